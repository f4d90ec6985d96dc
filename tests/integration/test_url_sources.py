"""Documents read from URLs: listed origins alone, at checked addresses, within limits of size and time."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from issued import Issuer
from raw_http import Peer, RawServer, response

from difyrpc_services.documents.backends.memory import MemoryBackend
from difyrpc_services.documents.backends.urls import Urls
from difyrpc_services.documents.core import Documents
from difyrpc_services.documents.origins import Origins
from difyrpc_services.documents.values import Limits, Parsed, ParseOptions, Source
from difyrpc_services.runtime.errors import ServiceError

LIMITS = Limits(content_bytes=1_000_000, pages=100, seconds=60, expanded_bytes=10_000_000)
CONTRACT = "第一条 甲方应当付款。\n第二条 乙方应当交货。\n".encode()
LOOPBACK = ("127.0.0.0/8", "::1/128")


def answering(*answers: bytes) -> Callable[[Peer], None]:
    def answer(peer: Peer) -> None:
        peer.read_head()
        for part in answers:
            peer.socket.sendall(part)

    return answer


def plain(body: bytes = CONTRACT, status: str = "200 OK", media_type: str = "text/plain", *headers: str) -> Callable:
    return answering(response(body, status, media_type, *headers))


def to(location: str) -> Callable[[Peer], None]:
    return plain(b"", "302 Found", "text/plain", f"Location: {location}")


async def parsed(
    url: str, *origins: str, networks: tuple[str, ...] = LOOPBACK, seconds: float = 30.0, ca: Path | None = None
) -> Parsed:
    listed = Origins(origins, networks, setting="")
    documents = Documents(MemoryBackend(), limits=LIMITS, urls=Urls(listed, seconds=seconds, ca=ca))
    return await documents.parse("acme", Source(url=url), ParseOptions())


async def refused(url: str, *origins: str, **options: object) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        await parsed(url, *origins, **options)
    return caught.value


async def test_a_listed_origin_is_read() -> None:
    with RawServer(plain()) as server:
        found, host = await parsed(f"{server.url}/contract.txt?signature=1", server.url), server.url[len("http://") :]
    assert [clause.number for clause in found.clauses] == ["第一条", "第二条"]
    (request,) = server.requests
    assert request["line"] == "GET /contract.txt?signature=1 HTTP/1.1"
    assert request["host"] == host


async def test_the_name_and_the_type_of_the_answer_are_hints() -> None:
    table = b"name,count\nbolt,3\nnut,4\n"
    with RawServer(plain(b"# Title\n\ntext\n", "200 OK", "text/markdown")) as server:
        assert (await parsed(f"{server.url}/x", server.url)).info.format == "markdown"
    with RawServer(plain(b"# Title\n\ntext\n")) as server:
        assert (await parsed(f"{server.url}/a%20b.md", server.url)).info.format == "markdown"
    disposition = 'Content-Disposition: attachment; filename="notes.md"'
    with RawServer(plain(b"# Title\n\n" + table, "200 OK", "application/octet-stream", disposition)) as server:
        assert (await parsed(f"{server.url}/download", server.url)).info.format == "markdown"


async def test_a_host_that_leads_to_a_private_address_is_not_read() -> None:
    with RawServer(plain()) as server:
        error = await refused(f"{server.url}/a", server.url, networks=())
    assert (error.reason, server.connections) == ("URL_NOT_ALLOWED", 0)


async def test_a_private_address_that_is_itself_listed_is_read() -> None:
    with RawServer(plain()) as server:
        url = server.url.replace("localhost", "127.0.0.1")
        assert (await parsed(f"{url}/a", url, networks=())).clauses


async def test_redirects_inside_listed_origins_are_followed() -> None:
    with RawServer(plain()) as last, RawServer(to("/b"), to(f"{last.url}/c")) as first:
        assert (await parsed(f"{first.url}/a", first.url, last.url)).clauses
    assert [request["line"].split()[1] for request in (*first.requests, *last.requests)] == ["/a", "/b", "/c"]


async def test_a_redirect_to_another_origin_is_refused_before_it_is_asked() -> None:
    with RawServer(plain()) as other, RawServer(to(f"{other.url}/secret?token=7")) as first:
        error = await refused(f"{first.url}/a", first.url)
    assert (error.reason, other.connections) == ("URL_NOT_ALLOWED", 0)
    assert "token" not in str(error)


async def test_redirects_without_end_are_refused() -> None:
    with RawServer(to("/again")) as server:
        assert (await refused(f"{server.url}/a", server.url)).reason == "URL_NOT_READABLE"
    assert len(server.requests) == 6


@pytest.mark.parametrize(
    ("status", "reason", "retried"),
    [
        ("404 Not Found", "URL_NOT_FOUND", False),
        ("403 Forbidden", "URL_NOT_READABLE", False),
        ("204 No Content", "URL_NOT_READABLE", False),
        ("429 Too Many Requests", "URL_NOT_REACHABLE", True),
        ("503 Service Unavailable", "URL_NOT_REACHABLE", True),
    ],
)
async def test_what_the_origin_refuses_is_said(status: str, reason: str, retried: bool) -> None:
    with RawServer(plain(b"", status)) as server:
        url = f"{server.url}/a"
        error = await refused(url, server.url)
    assert (error.reason, error.retry_after is not None, error.metadata["url"]) == (reason, retried, url)


async def test_a_stated_length_over_the_limit_is_refused_before_it_is_read() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000001\r\n\r\n"
    with RawServer(answering(head)) as server:
        assert (await refused(f"{server.url}/a", server.url)).reason == "TOO_LARGE"


async def test_more_bytes_than_the_limit_are_refused() -> None:
    chunk = b"%x\r\n%b\r\n" % (60_000, bytes(60_000))
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    with RawServer(answering(head, *[chunk] * 20)) as server:
        assert (await refused(f"{server.url}/a", server.url)).reason == "TOO_LARGE"


async def test_a_document_that_breaks_off_is_no_document() -> None:
    with RawServer(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nhalf")) as server:
        assert (await refused(f"{server.url}/a", server.url)).reason == "URL_NOT_REACHABLE"


async def test_an_empty_document_is_refused() -> None:
    with RawServer(plain(b"")) as server:
        assert (await refused(f"{server.url}/a", server.url)).reason == "EMPTY_CONTENT"


@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nhalf"])
async def test_an_origin_that_hangs_costs_the_time_that_is_set(begun: bytes) -> None:
    def hang(peer: Peer) -> None:
        peer.socket.sendall(begun)
        peer.server.stopped.wait(60)

    before = time.monotonic()
    with RawServer(hang) as server:
        error = await refused(f"{server.url}/a", server.url, seconds=0.3)
        assert time.monotonic() - before < 20
    assert error.reason == "URL_NOT_REACHABLE"
    assert "0.3 s" in str(error)


async def test_nobody_who_listens_is_said() -> None:
    with RawServer(plain()) as server:
        url = server.url
    assert (await refused(f"{url}/a", url)).reason == "URL_NOT_REACHABLE"


async def test_an_unknown_host_is_said() -> None:
    assert (await refused("http://nobody.invalid/a", "http://nobody.invalid")).reason == "URL_NOT_REACHABLE"


async def test_compressed_answers_are_refused() -> None:
    with RawServer(plain(b"x", "200 OK", "text/plain", "Content-Encoding: gzip")) as server:
        assert (await refused(f"{server.url}/a", server.url)).reason == "URL_NOT_READABLE"


async def test_an_authority_of_ones_own_is_believed_when_set(tmp_path: Path) -> None:
    issuer, ca = Issuer(), tmp_path / "ca.pem"
    ca.write_bytes(issuer.pem)
    pair = tmp_path / "pair.pem"
    pair.write_bytes(b"".join(issuer.pair().values()))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pair)
    with RawServer(plain(), tls=tls) as server:
        assert (await parsed(f"{server.url}/a", server.url, ca=ca)).clauses
        assert (await refused(f"{server.url}/a", server.url)).reason == "URL_NOT_REACHABLE"
