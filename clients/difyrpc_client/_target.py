"""Addresses of servers: checked, and with a port."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from difyrpc_client._errors import ConfigurationError

DEFAULT_PORT = 50051
DEFAULT_TARGET = f"localhost:{DEFAULT_PORT}"

# A name or [IPv6] without a port, alone or after `dns:`; what has another scheme is gRPC's to read.
_WITHOUT_PORT = re.compile(r"(dns:(//[^/]*/)?)?(\[[^\]]+\]|[^:/\[\]]+)")


def checked_target(target: str) -> str:
    """Answers the address, with port 50051 if it has none; ConfigurationError for what is no address.

    A URL of http or https is a gateway's, is answered without a slash at its end, and has that scheme's port.
    """
    if not isinstance(target, str):
        raise ConfigurationError(f"target={target!r} is no text; give host:port")
    if is_url(target):
        return _checked_url(target)
    if _is_ipv6(target):
        return f"[{target}]:{DEFAULT_PORT}"
    return f"{target}:{DEFAULT_PORT}" if _WITHOUT_PORT.fullmatch(target) else target


def is_url(target: str) -> bool:
    """Answers whether the target is reached by HTTP and not by gRPC."""
    return target.startswith(("http://", "https://"))


def grpc_only(target: str, asker: str) -> str:
    """Answers the target; ConfigurationError where it is a URL, which `asker` cannot call."""
    if is_url(target):
        raise ConfigurationError(
            f"target {target!r} is a URL, and {asker} speaks gRPC alone; write host:port, or use connect()"
        )
    return target


def _checked_url(target: str) -> str:
    parts = urlsplit(target)
    if "@" in parts.netloc:
        raise ConfigurationError(f"target {parts.scheme}://…@{parts.hostname} holds a password; give the key as token")
    try:
        found = bool(parts.hostname) and parts.port != 0 and not parts.query and not parts.fragment
    except ValueError:  # a port that is none
        found = False
    if not found or not target.isascii() or not target.isprintable() or " " in target:
        raise ConfigurationError(f"target {target!r} is no address; write http://host:port or https://host/prefix")
    return target.rstrip("/")


def _is_ipv6(target: str) -> bool:
    try:
        ipaddress.IPv6Address(target)
    except ValueError:
        return False
    return True
