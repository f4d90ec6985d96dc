"""The way to one HTTP address: directly or through a proxy, with TLS or without."""

from __future__ import annotations

import ssl
import time
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from urllib.parse import urlsplit

from difyrpc_client._errors import ConfigurationError, PermissionDenied, Unauthenticated, Unavailable
from difyrpc_client._http_proxy import Proxy, proxy_for
from difyrpc_client._http_wire import Wire, dial
from difyrpc_client._settings import Endpoint
from difyrpc_client._tls import Material, Renewal

PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, kw_only=True)
class Address:
    """What stands in a target like `https://gateway:8443/prefix`."""

    scheme: str
    """http or https."""
    host: str
    """Name or address, without brackets."""
    port: int
    """TCP port."""
    prefix: str
    """What stands before the path of every rpc; empty, or begins with a slash and does not end with one."""

    @property
    def authority(self) -> str:
        """What stands in `Host`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"


def read_address(target: str) -> Address:
    """Reads a target that was checked."""
    parts = urlsplit(target)
    port = parts.port or PORTS[parts.scheme]
    return Address(scheme=parts.scheme, host=parts.hostname or "", port=port, prefix=parts.path.rstrip("/"))


class Route:
    """Opens wires to one address."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.address = read_address(endpoint.target)
        """Where it leads."""
        _check_encryption(endpoint)
        address = self.address
        self._proxy = proxy_for(address.scheme, address.host, address.port, endpoint.proxies)
        self._keepalive_seconds = endpoint.keepalive_seconds
        self._trust = Trust(endpoint.tls) if address.scheme == "https" else None

    @property
    def headers(self) -> dict[str, str]:
        """What every request says to a proxy that reads it."""
        return dict(self._proxy.headers) if self._proxy and self._trust is None else {}

    def url(self, path: str) -> str:
        """Answers what a request asks for: a path, or where a proxy reads it the whole URL."""
        path = f"{self.address.prefix}{path}"
        return f"http://{self.address.authority}{path}" if self._proxy and self._trust is None else path

    def through(self) -> str:
        """Answers the proxy for messages, empty for none."""
        return f" through the proxy {self._proxy.host}:{self._proxy.port}" if self._proxy else ""

    def connect(self, deadline: float) -> Wire:
        """Opens a wire; OSError where nobody answers or is to be trusted, DifyrpcError where a proxy refuses."""
        hop = self._proxy or self.address
        wire = dial(hop.host, hop.port, deadline, self._keepalive_seconds)
        try:
            if self._trust is not None:
                if self._proxy:
                    _tunnel(wire, self._proxy, self.address)
                self._trust.secure(wire, self.address.host)
        except BaseException:
            wire.end()
            raise
        return wire


def _check_encryption(endpoint: Endpoint) -> None:
    if endpoint.tls is not None and endpoint.target.startswith("http:"):
        raise ConfigurationError(f"target {endpoint.target!r} is not encrypted, and TLS was asked for; write https://")


class Trust:
    """What the client trusts and shows; read again when its files change."""

    def __init__(self, material: Material | None) -> None:
        self._renewal = Renewal(material) if material else None
        self._read: Material | None = material
        self._context = _context(material)

    def secure(self, wire: Wire, host: str) -> None:
        """Turns a wire to TLS; ssl.SSLError where the peer cannot be trusted."""
        self._renew()
        try:
            wire.secure(self._context, (self._read and self._read.server_name) or host)
        except ssl.SSLError:
            if self._renewal:
                self._renewal.look_at = 0.0  # the next try looks at the files first
            raise

    def _renew(self) -> None:
        if self._renewal and time.monotonic() >= self._renewal.look_at:
            material = self._renewal.look()
            if material != self._read:
                self._context, self._read = _context(material), material


def _context(material: Material | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cadata=material.ca.decode() if material and material.ca else None)
        context.set_alpn_protocols(["http/1.1"])
        if material:
            material.show(context)
    except (ssl.SSLError, UnicodeDecodeError) as error:
        raise ConfigurationError("the certificates given as TLS cannot be used; see ca, certificate and key") from error
    return context


def _tunnel(wire: Wire, proxy: Proxy, address: Address) -> None:
    """Asks a proxy for a connection to the address; DifyrpcError where it refuses."""
    host = f"[{address.host}]" if ":" in address.host else address.host
    lines = [f"CONNECT {host}:{address.port} HTTP/1.1", f"Host: {host}:{address.port}"]
    lines += [f"{name}: {value}" for name, value in proxy.headers]
    wire.sendall("".join(f"{line}\r\n" for line in [*lines, ""]).encode("ascii"))
    response = HTTPResponse(wire, method="CONNECT")  # type: ignore[arg-type]  # calls makefile alone
    try:
        response.begin()
    except HTTPException as error:
        raise OSError(f"the proxy {proxy.host}:{proxy.port} does not speak HTTP") from error
    finally:
        response.close()
    if response.status != 200:
        kind = {403: PermissionDenied, 407: Unauthenticated}.get(response.status, Unavailable)
        said = response.headers.get("x-squid-error") or response.reason
        raise kind(
            f"the proxy {proxy.host}:{proxy.port} answered {response.status} for {host}:{address.port}: {said}; "
            "let it pass there, or name the host in no_proxy"
        )
