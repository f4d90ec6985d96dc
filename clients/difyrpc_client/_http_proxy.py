"""Which proxy a call goes through, from the variables that curl, requests and urllib read too."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from difyrpc_client._errors import ConfigurationError

Proxies = tuple[tuple[str, str], ...]
DEFAULT_PROXY_PORT = 3128  # Squid's


@dataclass(frozen=True, kw_only=True)
class Proxy:
    """An HTTP proxy."""

    host: str
    """Name or address."""
    port: int
    """TCP port."""
    headers: tuple[tuple[str, str], ...] = ()
    """What it wants to see: its password."""


def proxies_of(env: Mapping[str, str]) -> Proxies:
    """Answers the proxies by scheme, `all` for the others, and under `no` what is reached without one.

    Lower case wins. `HTTP_PROXY` is not believed in a CGI program, where a request's header may have set it.
    """
    found = {}
    for scheme in ("http", "https", "all", "no"):
        lower = env.get(f"{scheme}_proxy")
        upper = "" if scheme == "http" and "REQUEST_METHOD" in env else env.get(f"{scheme}_proxy".upper(), "")
        if value := (upper if lower is None else lower):
            found[scheme] = value
    return tuple(found.items())


def proxy_for(scheme: str, host: str, port: int, proxies: Proxies) -> Proxy | None:
    """Answers the proxy on the way to a host, None for none; ConfigurationError for one that is no HTTP proxy."""
    named = dict(proxies)
    url = named.get(scheme) or named.get("all")
    if not url:
        return None
    from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]  # typeshed has it as proxy_bypass

    if proxy_bypass_environment(f"{host}:{port}", named):
        return None
    return _read(url, f"{scheme}_proxy")


def _read(url: str, name: str) -> Proxy:
    parts = urlsplit(url if "://" in url else f"http://{url}")
    try:
        host, port = parts.hostname, parts.port or DEFAULT_PROXY_PORT
    except ValueError:
        host, port = None, 0
    if parts.scheme != "http" or not host:
        shown = f"{parts.scheme}://{parts.hostname or ''}"
        raise ConfigurationError(
            f"{name} is {shown}…, no HTTP proxy; give http://host:port, or name the host in no_proxy"
        )
    if parts.username is None:
        return Proxy(host=host, port=port)
    secret = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return Proxy(
        host=host, port=port, headers=(("Proxy-Authorization", f"Basic {b64encode(secret.encode()).decode()}"),)
    )
