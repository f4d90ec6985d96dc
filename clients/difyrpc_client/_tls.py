"""TLS and mTLS: certificates from files or as PEM text."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from difyrpc_client._errors import ConfigurationError

if TYPE_CHECKING:
    import grpc

PEM_MARK = "-----BEGIN"


@dataclass(frozen=True, kw_only=True)
class TLS:
    """How the connection is encrypted. Each PEM is a path, or the text itself."""

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

    def credentials(self) -> grpc.ChannelCredentials:
        """Answers credentials for a channel."""
        import grpc

        return grpc.ssl_channel_credentials(self.ca, self.key, self.certificate)

    def options(self) -> list[tuple[str, str]]:
        """Answers the channel options that the server's name needs."""
        if self.server_name is None:
            return []
        return [("grpc.ssl_target_name_override", self.server_name), ("grpc.default_authority", self.server_name)]


def _pem(name: str, source: str | Path | bytes | None) -> bytes | None:
    if source is None:
        return None
    data = _read(name, source)
    if PEM_MARK.encode() not in data:
        raise ConfigurationError(f"TLS {name} holds no PEM block ({PEM_MARK} …)")
    return data


def _read(name: str, source: str | Path | bytes) -> bytes:
    if isinstance(source, bytes):
        return source
    if isinstance(source, str) and PEM_MARK in source:
        return source.encode()
    try:
        return Path(source).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"TLS {name} {str(source)!r} cannot be read: {error.strerror}") from error
