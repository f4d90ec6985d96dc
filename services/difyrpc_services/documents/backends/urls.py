"""Reads `url` sources from listed origins; the address that was checked is the one that is connected to."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, TypeVar

import httpcore

from difyrpc_services.documents.gathering import Found
from difyrpc_services.documents.origins import Origins, Url
from difyrpc_services.runtime.errors import NotFound, PermissionDenied, ServiceError, Unavailable

T = TypeVar("T")

MOST_REDIRECTS: Final = 5  # documents.proto, ParseRequest.url
REDIRECTS: Final = (301, 302, 303, 307, 308)
_FILE_NAME: Final = re.compile(r'filename="?([^";]+)"?', re.IGNORECASE)
_UNTYPED: Final = ("application/octet-stream", "binary/octet-stream")  # what stores say when they do not know
_BROKEN: Final = (
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.TimeoutException,
    httpcore.UnsupportedProtocol,
    OSError,
)


class Urls:
    """Fetches documents; each fetch has a connection of its own."""

    def __init__(self, origins: Origins, *, seconds: float, ca: Path | None = None) -> None:
        """Takes what may be read, the longest that a whole fetch may take, and authorities beside the system's."""
        self._origins = origins
        self._seconds = seconds
        self._tls = ssl.create_default_context()
        if ca is not None:
            self._tls.load_verify_locations(ca)

    @asynccontextmanager
    async def open(self, name: str) -> AsyncIterator[Found]:
        """Opens one; URL_NOT_ALLOWED, BAD_URL, URL_NOT_FOUND, URL_NOT_READABLE, URL_NOT_REACHABLE."""
        until = asyncio.get_running_loop().time() + self._seconds
        url = self._origins.checked(name)
        async with httpcore.AsyncConnectionPool(self._tls, network_backend=_Checked(self._origins)) as pool:
            for _ in range(MOST_REDIRECTS + 1):
                response = await self._asked(pool, url, until)
                try:
                    if response.status not in REDIRECTS:
                        yield self._found(response, url, until)
                        return
                    url = self._origins.redirected(url, _header(response, b"location"))
                finally:
                    await response.aclose()
        raise _not_readable(url, f"it redirects more than {MOST_REDIRECTS} times")

    async def _asked(self, pool: httpcore.AsyncConnectionPool, url: Url, until: float) -> httpcore.Response:
        target = httpcore.URL(scheme=url.scheme, host=url.host, port=url.port, target=url.target)
        request = httpcore.Request("GET", target, headers=_headers(url))
        return await self._within(pool.handle_async_request(request), url, until)

    def _found(self, response: httpcore.Response, url: Url, until: float) -> Found:
        if response.status != 200:
            raise _refused(response.status, url)
        if _header(response, b"content-encoding") not in ("", "identity"):
            raise _not_readable(url, "it is sent compressed, although that was not asked for")
        length = _header(response, b"content-length")
        return Found(
            chunks=self._chunks(response, url, until),
            name=_file_name(response) or url.name,
            media_type=_media_type(response),
            size_bytes=int(length) if length.isdigit() else None,
        )

    async def _chunks(self, response: httpcore.Response, url: Url, until: float) -> AsyncGenerator[bytes, None]:
        stream = response.aiter_stream()
        while chunk := await self._within(anext(stream, b""), url, until):
            yield chunk

    async def _within(self, work: Awaitable[T], url: Url, until: float) -> T:
        left = until - asyncio.get_running_loop().time()
        try:
            return await asyncio.wait_for(work, max(0.0, left))
        except TimeoutError:
            raise _not_reachable(url, f"it was not read within {self._seconds:g} s") from None
        except _BROKEN as error:
            raise _not_reachable(url, str(error) or type(error).__name__) from error


class _Checked(httpcore.AsyncNetworkBackend):
    """Connects to the admitted addresses of a host and to no others."""

    def __init__(self, origins: Origins) -> None:
        self._origins = origins
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connects to the first admitted address that answers; URL_NOT_ALLOWED where there is none."""
        addresses = [address for address in await _addresses(host, port) if self._origins.admits(address)]
        if not addresses:
            raise PermissionDenied(
                "URL_NOT_ALLOWED", "{host} has no address that this server may connect to", host=host
            )
        failure: Exception | None = None
        for address in addresses:
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        assert failure is not None  # there was an address
        raise failure


async def _addresses(host: str, port: int) -> list[str]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise httpcore.ConnectError(f"the name {host} is not known ({error.strerror})") from error
    return [str(address[0]) for *_, address in found]


def _headers(url: Url) -> list[tuple[bytes, bytes]]:
    host = f"[{url.host}]" if ":" in url.host else url.host
    return [
        (b"host", f"{host}:{url.port}".encode()),
        (b"accept", b"*/*"),
        (b"accept-encoding", b"identity"),  # what expands without bound is for the workers alone
        (b"user-agent", b"difyrpc"),
    ]


def _header(response: httpcore.Response, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in response.headers if key.lower() == name), "")


def _file_name(response: httpcore.Response) -> str:
    match = _FILE_NAME.search(_header(response, b"content-disposition"))
    return match[1] if match else ""


def _media_type(response: httpcore.Response) -> str:
    stated = _header(response, b"content-type").partition(";")[0].strip().lower()
    return "" if stated in _UNTYPED else stated


def _refused(status: int, url: Url) -> ServiceError:
    if status in (404, 410):
        return NotFound("URL_NOT_FOUND", "{url} does not exist (HTTP {status})", url=url.shown, status=status)
    if status in (408, 425, 429) or status >= 500:
        return _not_reachable(url, f"HTTP {status}")
    return _not_readable(url, f"HTTP {status}")


def _not_readable(url: Url, cause: str) -> PermissionDenied:
    return PermissionDenied("URL_NOT_READABLE", "{url} cannot be read: {cause}", url=url.shown, cause=cause)


def _not_reachable(url: Url, cause: str) -> Unavailable:
    return Unavailable(
        "URL_NOT_REACHABLE", "{url} cannot be reached: {cause}", retry_after=1, url=url.shown, cause=cause
    )
