"""TLS and mTLS: certificates from files, which are read again when they change, or as PEM text."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeGuard

from difyrpc_client._errors import ConfigurationError
from difyrpc_client._x509 import read_pem

if TYPE_CHECKING:
    import ssl

    import grpc

log = logging.getLogger(__name__)

PEM_MARK = "-----BEGIN"
LOOK_SECONDS = 10.0  # how long files that were read are believed; a failed connection has them looked at sooner
MAY_PASS_FILES = hasattr(os, "memfd_create")  # OpenSSL's own module reads a key from a file alone


@dataclass(frozen=True, kw_only=True)
class TLS:
    """How the connection is encrypted. Each PEM is a path, or the text itself.

    Files may be replaced while the client runs: within ten seconds, and at once after a connection that failed, later
    calls go over connections with what the files then hold. Calls that run end on the old ones. Files that cannot be
    used, such as a key that does not fit yet, leave everything as it was and are logged once as a WARNING.
    """

    ca: str | Path | bytes | None = None
    """Authorities that may sign the server's certificate; None for the public ones."""
    certificate: str | Path | bytes | None = None
    """The client's certificate with its chain, for servers that ask for one; needs `key`."""
    key: str | Path | bytes | None = field(default=None, repr=False)
    """The private key of `certificate`, not encrypted."""
    server_name: str | None = None
    """Name that the server's certificate must carry, where it is not the address's host."""

    def load(self) -> Material:
        """Reads the files now; ConfigurationError names the one that cannot be read or is no PEM."""
        if (self.certificate is None) != (self.key is None):
            raise ConfigurationError("TLS needs both certificate and key, or neither")
        return Material(
            ca=_pem("ca", self.ca),
            certificate=_pem("certificate", self.certificate),
            key=_pem("key", self.key),
            server_name=self.server_name,
            source=self if any(map(_is_path, (self.ca, self.certificate, self.key))) else None,
        )


@dataclass(frozen=True, kw_only=True)
class Material:
    """What was read: two connections of equal material may be shared."""

    ca: bytes | None
    """PEM of the authorities."""
    certificate: bytes | None
    """PEM of the client's chain."""
    key: bytes | None = field(repr=False)
    """PEM of the client's key."""
    server_name: str | None
    """Name to verify instead of the host."""
    source: TLS | None = field(default=None, compare=False, repr=False)
    """Where it can be read again; None where there are no files."""

    def check(self) -> None:
        """Looks at what was read; ConfigurationError for what no connection could be made with."""
        import ssl

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            if self.ca is not None:
                context.load_verify_locations(cadata=self.ca.decode("ascii", "ignore"))
        except ssl.SSLError as error:
            raise ConfigurationError("TLS ca holds no certificate in PEM") from error
        try:
            self.show(context)
        except ssl.SSLError as error:
            raise ConfigurationError("TLS certificate and key cannot be read, or do not belong together") from error
        mine = read_pem(self.certificate)
        if mine is not None and mine.last < datetime.now(UTC):
            raise ConfigurationError(f"TLS certificate expired on {mine.last:%F %H:%M} UTC")

    def show(self, context: ssl.SSLContext) -> None:
        """Gives the client's certificate to a connection of Python's own; SSLError where the key does not fit."""
        if self.certificate is not None and self.key is not None and MAY_PASS_FILES:
            with _in_memory(self.certificate + b"\n" + self.key) as path:
                context.load_cert_chain(path)

    def credentials(self) -> grpc.ChannelCredentials:
        """Answers credentials for a channel."""
        import grpc

        return grpc.ssl_channel_credentials(self.ca, self.key, self.certificate)

    def options(self) -> list[tuple[str, str]]:
        """Answers the channel options that the server's name needs."""
        if self.server_name is None:
            return []
        return [("grpc.ssl_target_name_override", self.server_name), ("grpc.default_authority", self.server_name)]


class Renewal:
    """Reads the material of one client again when its files have changed."""

    def __init__(self, material: Material, now: Callable[[], float] = time.monotonic) -> None:
        self.look_at = now() + LOOK_SECONDS
        """When the files are next to be looked at, in the clock's time."""
        self._material = material
        self._now = now
        self._lock = threading.Lock()
        self._told = ""

    @property
    def material(self) -> Material:
        """What is in use."""
        return self._material

    def look(self) -> Material:
        """Answers what is to be used from now on: what the files hold, or the old where that cannot be used."""
        if self._lock.acquire(blocking=False):  # whoever comes meanwhile goes on with the old
            try:
                self.look_at = self._now() + LOOK_SECONDS
                self._material = self._read()
            finally:
                self._lock.release()
        return self._material

    def _read(self) -> Material:
        source = self._material.source
        try:
            found = source.load() if source else self._material
            if found == self._material:
                self._told = ""
                return self._material
            found.check()
        except ConfigurationError as error:
            if self._told != error.message:
                log.warning("%s; the client goes on with what it read before", error.message)
            self._told = error.message
            return self._material
        log.info("the files of TLS have changed; new calls use what they hold now")
        self._told = ""
        return found


def renewal_of(material: Material | None, now: Callable[[], float] = time.monotonic) -> Renewal | None:
    """Answers what reads the files again; None for an unencrypted connection, and where there are no files."""
    return Renewal(material, now) if material is not None and material.source is not None else None


def _is_path(source: str | Path | bytes | None) -> TypeGuard[str | Path]:
    return isinstance(source, Path) or (isinstance(source, str) and PEM_MARK not in source)


def _pem(name: str, source: str | Path | bytes | None) -> bytes | None:
    if source is None:
        return None
    data = _read(name, source)
    if PEM_MARK.encode() not in data:
        raise ConfigurationError(f"TLS {name} holds no PEM block ({PEM_MARK} …)")
    return data


def _read(name: str, source: str | Path | bytes) -> bytes:
    if not _is_path(source):
        return source.encode() if isinstance(source, str) else bytes(source)
    try:
        return Path(source).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"TLS {name} {str(source)!r} cannot be read: {error.strerror}") from error


@contextlib.contextmanager
def _in_memory(data: bytes) -> Iterator[str]:
    """Answers a path to the data that no disk sees."""
    with open(os.memfd_create("pem"), "wb") as file:
        file.write(data)
        file.flush()
        yield f"/proc/self/fd/{file.fileno()}"
