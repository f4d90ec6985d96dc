"""Reads certificates and keys, and says clearly what is wrong with them."""

from __future__ import annotations

from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from difyrpc_services.runtime.settings import SettingsError


def read_certificates(path: Path, name: str) -> tuple[bytes, list[x509.Certificate]]:
    """Reads the PEM file that the setting `name` points to; answers its bytes and its certificates."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{name}={path}: cannot be read ({error.strerror})") from error
    try:
        return data, x509.load_pem_x509_certificates(data)
    except ValueError as error:
        raise SettingsError(f"{name}={path}: holds no certificate in PEM") from error


def check_pair(key: str, certificate: x509.Certificate) -> None:
    """Refuses a private key that is not the certificate's."""
    try:
        private = load_pem_private_key(key.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SettingsError("DIFYRPC_TLS_KEY is not a private key in PEM without a password") from error
    if private.public_key() != certificate.public_key():
        raise SettingsError(
            "DIFYRPC_TLS_KEY does not fit DIFYRPC_TLS_CERTIFICATE: take the key that the certificate was made with"
        )
