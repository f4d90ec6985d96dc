"""Addresses of servers: checked, and with a port."""

from __future__ import annotations

import ipaddress
import re

from difyrpc_client._errors import ConfigurationError

DEFAULT_PORT = 50051
DEFAULT_TARGET = f"localhost:{DEFAULT_PORT}"

# A name or [IPv6] without a port, alone or after `dns:`; what has another scheme is gRPC's to read.
_WITHOUT_PORT = re.compile(r"(dns:(//[^/]*/)?)?(\[[^\]]+\]|[^:/\[\]]+)")


def checked_target(target: str) -> str:
    """Answers the address, with port 50051 if it has none; ConfigurationError for what is no address."""
    if not isinstance(target, str):
        raise ConfigurationError(f"target={target!r} is no text; give host:port")
    if target.startswith(("http://", "https://")):
        raise ConfigurationError(f"target {target!r} is a URL; write host:port, and tls=True where it was https")
    if _is_ipv6(target):
        return f"[{target}]:{DEFAULT_PORT}"
    return f"{target}:{DEFAULT_PORT}" if _WITHOUT_PORT.fullmatch(target) else target


def _is_ipv6(target: str) -> bool:
    try:
        ipaddress.IPv6Address(target)
    except ValueError:
        return False
    return True
