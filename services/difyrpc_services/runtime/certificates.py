"""Reads certificates and keys, says clearly what is wrong with them, and gives a running server new ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import grpc
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from prometheus_client import CollectorRegistry, Gauge

from difyrpc_services.runtime.settings import SettingsError
from difyrpc_services.runtime.watched import Lookout, Watched


@dataclass(frozen=True, kw_only=True)
class Material:
    """What a server shows of itself, and whom it believes; equal when the files hold the same."""

    chain: bytes
    """PEM of the certificate and those that lead to its authority."""
    key: str = field(repr=False)
    """PEM of the certificate's private key."""
    client_ca: bytes | None
    """PEM of the authorities of client certificates; None where none is asked for."""
    expiry: datetime
    """When the first certificate of the chain ends."""
    client_ca_expiry: datetime | None
    """When the first of the authorities ends."""

    def configuration(self) -> grpc.ServerCertificateConfiguration:
        """Answers the same for gRPC."""
        return grpc.ssl_server_certificate_configuration([(self.key.encode(), self.chain)], self.client_ca)


@dataclass(frozen=True, kw_only=True)
class ServerFiles:
    """Where a server's certificates are."""

    certificate: Path
    """PEM file of the chain."""
    key: str = field(repr=False)
    """PEM of the key, where it is no file's."""
    key_file: Path | None
    """PEM file of the key; None where it was given as text, which nobody can replace."""
    client_ca: Path | None
    """PEM file of the authorities of client certificates; None where none is asked for."""

    def read(self) -> Material:
        """Reads the files; SettingsError names the one that cannot be used."""
        chain, certificates = read_certificates(self.certificate, "DIFYRPC_TLS_CERTIFICATE")
        key = _read_key(self.key_file) if self.key_file else self.key
        check_pair(key, certificates[0])
        client_ca, authorities = None, None
        if self.client_ca:
            client_ca, authorities = read_certificates(self.client_ca, "DIFYRPC_TLS_CLIENT_CA")
        return Material(
            chain=chain,
            key=key,
            client_ca=client_ca,
            expiry=first_expiry(certificates),
            client_ca_expiry=first_expiry(authorities) if authorities else None,
        )

    def read_valid(self) -> Material:
        """Reads the files; SettingsError also for a certificate that is not valid now."""
        found = self.read()
        now, start = datetime.now(UTC), x509.load_pem_x509_certificate(found.chain).not_valid_before_utc
        if found.expiry <= now:
            raise SettingsError(f"DIFYRPC_TLS_CERTIFICATE={self.certificate}: expired on {found.expiry:%F %H:%M} UTC")
        if start > now:
            raise SettingsError(f"DIFYRPC_TLS_CERTIFICATE={self.certificate}: not valid before {start:%F %H:%M} UTC")
        return found


class ServerCertificates:
    """The certificates of a running server: each new connection gets what the files hold, others go on."""

    def __init__(self, files: ServerFiles, registry: CollectorRegistry) -> None:
        """Reads the files; SettingsError when they cannot be used. A certificate that has expired is served."""
        self._watched = Watched(files.read(), files.read_valid)
        self._known_to_grpc = self._watched.value
        self._expiry = Gauge(
            "difyrpc_tls_certificate_expiry_timestamp_seconds",
            "When the certificate in use ends, the first of its file; server is this server's own",
            ("certificate",),
            registry=registry,
            multiprocess_mode="livemin",  # the worker that goes on with the oldest
        )
        self._show()

    def watched_by(self, lookout: Lookout) -> None:
        """Has the files looked at."""
        lookout.add("certificates", self._watched, self._show)

    def credentials(self) -> grpc.ServerCredentials:
        """Answers what a port is opened with."""
        material = self._watched.value
        newer = cast("Callable[[], grpc.ServerCertificateConfiguration]", self._newer)  # None is allowed too
        return grpc.dynamic_ssl_server_credentials(material.configuration(), newer, material.client_ca is not None)

    def _newer(self) -> grpc.ServerCertificateConfiguration | None:
        """Answers what gRPC is to use from this handshake on; None for what it has."""
        material = self._watched.value
        if material is self._known_to_grpc:
            return None
        self._known_to_grpc = material
        return material.configuration()

    def _show(self) -> None:
        material = self._watched.value
        self._expiry.labels("server").set(material.expiry.timestamp())
        if material.client_ca_expiry:
            self._expiry.labels("client_ca").set(material.client_ca_expiry.timestamp())


def first_expiry(certificates: Sequence[x509.Certificate]) -> datetime:
    """Answers when the first of several certificates ends."""
    return min(certificate.not_valid_after_utc for certificate in certificates)


def read_certificates(path: Path, name: str) -> tuple[bytes, list[x509.Certificate]]:
    """Reads the PEM file that the setting `name` points to; answers its bytes and its certificates."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{name}={path}: cannot be read ({error.strerror})") from error
    try:
        return data, x509.load_pem_x509_certificates(data)
    except (ValueError, x509.InvalidVersion) as error:
        raise SettingsError(f"{name}={path}: holds no certificate in PEM") from error


def check_pair(key: str, certificate: x509.Certificate) -> None:
    """Refuses a private key that is not the certificate's."""
    try:
        private = load_pem_private_key(key.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SettingsError("DIFYRPC_TLS_KEY is not a private key in PEM without a password") from error
    try:
        fits = private.public_key() == certificate.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise SettingsError("DIFYRPC_TLS_CERTIFICATE has a kind of key that is not known here") from error
    if not fits:
        raise SettingsError(
            "DIFYRPC_TLS_KEY does not fit DIFYRPC_TLS_CERTIFICATE: take the key that the certificate was made with"
        )


def _read_key(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"DIFYRPC_TLS_KEY_FILE={path}: cannot be read ({error})") from error
