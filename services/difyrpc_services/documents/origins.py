"""Which URLs may be read: the origins that the operator has listed, at the addresses that those may have."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

from difyrpc_services.runtime.errors import InvalidArgument, PermissionDenied
from difyrpc_services.runtime.settings import SettingsError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

PORTS: Final = {"https": 443, "http": 80}
LONGEST_URL: Final = 8_000  # characters; RFC 9110, section 4.1, asks for this at least
_NAT64: Final = IPv6Network("64:ff9b::/96")  # RFC 6052: an IPv4 address stands in the last 32 bits
_UNSAFE: Final = re.compile(r"[\x00-\x20\x7f\\]")


@dataclass(frozen=True, kw_only=True)
class Url:
    """A URL whose origin may be read."""

    scheme: str
    host: str
    """In lower case and ASCII; an IPv6 address without brackets."""
    port: int
    target: str
    """Path and query."""

    @property
    def shown(self) -> str:
        """Answers it for messages: without the query, where signatures stand."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.target.partition('?')[0]}"

    @property
    def name(self) -> str:
        """Answers the last part of the path: a file name, perhaps."""
        return unquote(self.target.partition("?")[0].rpartition("/")[2])


@dataclass(frozen=True, kw_only=True)
class _Origin:
    scheme: str
    host: str
    port: int

    def fits(self, url: Url) -> bool:
        if (self.scheme, self.port) != (url.scheme, url.port):
            return False
        return url.host.endswith(self.host[1:]) if self.host.startswith("*.") else url.host == self.host


class Origins:
    """The list of an operator."""

    def __init__(self, listed: tuple[str, ...], networks: tuple[str, ...], *, setting: str) -> None:
        """Takes origins, the networks beyond the public ones that they may lead to, and the setting's prefix.

        Origins are `https://files.example.com`, `https://*.example.com` or `http://10.0.0.7:9000`, networks
        `10.0.0.0/8`; SettingsError for others.
        """
        self._origins = tuple(_origin(text, setting) for text in listed)
        literal = tuple(f"{one.host}" for one in self._origins if _address(one.host))
        self._networks = tuple(_network(text, setting) for text in (*networks, *literal))

    def checked(self, text: str) -> Url:
        """Answers a URL that may be read; URL_NOT_ALLOWED, BAD_URL."""
        url = _url(text)
        if not any(origin.fits(url) for origin in self._origins):
            raise PermissionDenied(
                "URL_NOT_ALLOWED", "the origin of {url} is not one that this server may read", url=url.shown
            )
        return url

    def redirected(self, url: Url, location: str) -> Url:
        """Answers where a redirect leads; URL_NOT_ALLOWED, BAD_URL."""
        host = f"[{url.host}]" if ":" in url.host else url.host
        return self.checked(urljoin(f"{url.scheme}://{host}:{url.port}{url.target}", location))

    def admits(self, address: str) -> bool:
        """Answers whether an address may be connected to: a public one, or one of the listed networks."""
        found = _address(address.partition("%")[0])
        if found is None:
            return False
        meant = _meant(found)
        if any(meant in network for network in self._networks if network.version == meant.version):
            return True
        return meant.is_global and not meant.is_multicast


def _url(text: str) -> Url:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise _bad("it cannot be read") from None
    if len(text) > LONGEST_URL or _UNSAFE.search(text):
        raise _bad(f"it has spaces, control characters or more than {LONGEST_URL} characters")
    if parts.scheme not in PORTS or not parts.hostname:
        raise _bad("it does not begin with https:// or http:// and a host")
    if parts.username is not None or parts.password is not None:
        raise _bad("it holds a user name or password")
    return Url(
        scheme=parts.scheme,
        host=_host(parts.hostname),
        port=PORTS[parts.scheme] if port is None else port,
        target=_target(parts),
    )


def _target(parts: SplitResult) -> str:
    target = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
    return f"{target}?{quote(parts.query, safe=_QUERY)}" if parts.query else target


_QUERY: Final = "/%:@!$&'()*+,;=~-._?"


def _host(text: str) -> str:
    try:
        return text.rstrip(".").encode("idna").decode("ascii").lower() if not text.isascii() else text.rstrip(".")
    except UnicodeError:
        raise _bad("its host is no name") from None


def _bad(cause: str) -> InvalidArgument:
    return InvalidArgument("BAD_URL", "the URL cannot be used: {cause}", field="url", cause=cause)


def _origin(text: str, setting: str) -> _Origin:
    try:
        url = _url(text)
    except InvalidArgument as error:
        raise SettingsError(f"{setting}ORIGINS holds {text!r}: {error.metadata['cause']}") from None
    if url.target != "/":
        raise SettingsError(f"{setting}ORIGINS holds {text!r}: an origin ends behind its host and port")
    if "*" in url.host.removeprefix("*.") or url.host.count(".") < 2 * url.host.startswith("*."):
        raise SettingsError(f"{setting}ORIGINS holds {text!r}: give https://files.example.com or https://*.example.com")
    return _Origin(scheme=url.scheme, host=url.host, port=url.port)


def _network(text: str, setting: str) -> Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        raise SettingsError(f"{setting}NETWORKS holds {text!r}; give networks as 10.0.0.0/8 or fd00::/8") from None


def _address(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _meant(address: Address) -> Address:
    """Answers the IPv4 address that stands in an IPv6 one, else the address itself."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(address.packed[-4:])
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else address)
