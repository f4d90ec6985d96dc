"""Calls over HTTP against servers that answer as scripted: connections, deadlines, sizes, broken answers, proxies."""

from __future__ import annotations

import gc
import gzip
import os
import re
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import Any

import pytest
import trustme
from forward_proxy import ForwardProxy
from raw_http import Peer, RawServer, envelope, message, response, stream

from difyrpc.files.v1 import files_pb2 as pb
from difyrpc_client import (
    TLS,
    ConfigurationError,
    DeadlineExceeded,
    DifyrpcError,
    File,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    Retry,
    TLSError,
    Unauthenticated,
    Unavailable,
    Unknown,
    channel,
    connect,
    connect_async,
)
from difyrpc_client._http import HttpTransport
from difyrpc_client._methods import Method, rpc
from difyrpc_client._settings import Endpoint

GET = rpc("FileStorage.GetFile", pb.GetFileRequest, pb.GetFileResponse)
DOWNLOAD = rpc("FileStorage.DownloadFile", pb.DownloadFileRequest, pb.DownloadFileResponse)
WRITE = rpc("FileStorage.WriteUpload", pb.WriteUploadRequest, pb.WriteUploadResponse)
UPLOAD = rpc("FileStorage.UploadFile", pb.UploadFileRequest, pb.UploadFileResponse)
FILE = pb.GetFileResponse(file=pb.File(name="files/x", display_name="x"))
ONCE = Retry(attempts=1)
SOON = Retry(wait_min=0.001, wait_max=0.001)
NEVER = Method(
    path="/difyrpc.files.v1.FileStorage/GetFile",
    request=pb.GetFileRequest,
    response=pb.GetFileResponse,
    request_streaming=False,
    response_streaming=False,
    repeat=type(GET.repeat).NEVER,
)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def get(server: RawServer, **options: Any) -> File:
    with connect(server.url, retry=ONCE, timeout=20, **options) as dify:
        return dify.files.get("files/x")


def downloaded(server: RawServer, timeout: float = 20, **options: Any) -> list[pb.DownloadFileResponse]:
    with closing(HttpTransport(Endpoint(target=server.url, **options))) as transport:
        return list(transport.stream(DOWNLOAD, [pb.DownloadFileRequest(name="files/x")], timeout, ()))


def uploaded(
    server: RawServer, parts: Iterable[pb.WriteUploadRequest], timeout: float = 20
) -> list[pb.WriteUploadResponse]:
    with closing(HttpTransport(Endpoint(target=server.url))) as transport:
        return list(transport.stream(WRITE, parts, timeout, ()))


def chunks(count: int, size: int = 100_000) -> list[pb.WriteUploadRequest]:
    return [pb.WriteUploadRequest(chunk=pb.Chunk(data=bytes(size))) for _ in range(count)]


def ack(committed: int) -> pb.WriteUploadResponse:
    return pb.WriteUploadResponse(committed_bytes=committed)


# Connections


def test_a_connection_is_used_again() -> None:
    with RawServer(message(FILE)) as server, connect(server.url, retry=ONCE) as dify:
        assert [dify.files.get("files/x").display_name for _ in range(5)] == ["x"] * 5
        assert (len(server.requests), server.connections) == (5, 1)


def test_a_connection_is_used_again_after_a_stream_and_after_an_error() -> None:
    answers = [
        stream([pb.DownloadFileResponse(chunk=pb.Chunk(data=b"x"))]),
        response(b"", "404 Not Found", "text/plain"),
    ]
    failed = stream([], {"error": {"code": "not_found"}})
    with RawServer(*answers, failed, message(FILE)) as server:
        transport = HttpTransport(Endpoint(target=server.url))
        with closing(transport):
            request = pb.DownloadFileRequest(name="files/x")
            assert len(list(transport.stream(DOWNLOAD, [request], 20, ()))) == 1
            with pytest.raises(DifyrpcError):
                transport.unary(GET, pb.GetFileRequest(), 20, ())
            with pytest.raises(NotFound):
                list(transport.stream(DOWNLOAD, [request], 20, ()))
            assert transport.unary(GET, pb.GetFileRequest(), 20, ()) == FILE
        assert server.connections == 1


def test_a_connection_that_its_server_closed_is_not_used_again() -> None:
    closed = threading.Event()

    def answer_and_close(peer: Peer) -> None:
        peer.read_request()
        peer.socket.sendall(message(FILE))
        peer.socket.close()
        closed.set()

    with RawServer(answer_and_close, message(FILE)) as server, connect(server.url, retry=ONCE) as dify:
        dify.files.get("files/x")
        assert closed.wait(20)
        dify.files.get("files/x")
        assert (len(server.requests), server.connections) == (2, 2)


def test_what_nobody_asked_for_is_never_taken_for_an_answer() -> None:
    wrong = message(pb.GetFileResponse(file=pb.File(display_name="wrong")))
    with RawServer(message(FILE) + wrong, message(FILE)) as server, connect(server.url, retry=ONCE) as dify:
        assert [dify.files.get("files/x").display_name for _ in range(2)] == ["x", "x"]
        assert server.connections == 2


def test_a_kept_connection_that_breaks_is_a_failure_that_the_contract_may_repeat() -> None:
    with RawServer(message(FILE), b"", message(FILE)) as server, connect(server.url, retry=SOON) as dify:
        dify.files.get("files/x")
        dify.files.get("files/x")
        assert (len(server.requests), server.connections) == (3, 2)


def test_a_call_that_must_not_be_repeated_is_sent_once() -> None:
    with RawServer(message(FILE), b"", message(FILE)) as server:
        transport = HttpTransport(Endpoint(target=server.url))
        with closing(transport):
            transport.unary(NEVER, pb.GetFileRequest(), 20, ())
            with pytest.raises(Unavailable):
                transport.unary(NEVER, pb.GetFileRequest(), 20, ())
        assert len(server.requests) == 2


def test_a_call_that_must_not_be_repeated_takes_no_connection_that_lay_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("difyrpc_client._http_connection.SURE_SECONDS", 0)
    with RawServer(message(FILE)) as server:
        with closing(HttpTransport(Endpoint(target=server.url))) as transport:
            for method in (GET, GET, NEVER):
                transport.unary(method, pb.GetFileRequest(), 20, ())
        assert server.connections == 2


def test_threads_share_a_client() -> None:
    with RawServer(message(FILE)) as server, connect(server.url, retry=ONCE) as dify, ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: dify.files.get("files/x").display_name, range(100)))
        assert found == ["x"] * 100
        assert server.connections <= 8 + 100 // 10


def test_a_client_that_is_dropped_closes_its_connections() -> None:
    ended = threading.Event()

    def answer_and_wait(peer: Peer) -> None:
        peer.read_request()
        peer.socket.sendall(message(FILE))
        ended.set() if not peer.socket.recv(1) else None

    with RawServer(answer_and_wait) as server:
        dify = connect(server.url, retry=ONCE)
        dify.files.get("files/x")
        del dify
        gc.collect()
        assert ended.wait(20)


def test_the_child_of_a_fork_opens_its_own_connection() -> None:
    program = """
import os, sys
from difyrpc_client import connect
dify = connect(sys.argv[1], timeout=20)
dify.files.get("files/x")
child = os.fork()
dify.files.get("files/x")
if child:
    sys.exit(os.waitpid(child, 0)[1])
os._exit(0)
"""
    with RawServer(message(FILE)) as server:
        subprocess.run([sys.executable, "-c", program, server.url], check=True, timeout=60, env=path_of_imports())
        assert (len(server.requests), server.connections) == (3, 2)


def test_neither_grpc_nor_asyncio_nor_a_thread_is_there_after_a_call() -> None:
    program = """
import sys, threading
from difyrpc_client import Retry, connect
with connect(sys.argv[1], timeout=20, retry=Retry(wait_min=0.01, wait_max=0.01)) as dify:
    dify.files.get("files/x")
print({"grpc", "asyncio", "urllib.request"} & set(sys.modules), threading.active_count())
"""
    with RawServer(response(b"", "503 No", "text/html"), message(FILE)) as server:
        done = subprocess.run(
            [sys.executable, "-c", program, server.url],
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
            env=path_of_imports(),
        )
    assert done.stdout == "set() 1\n"


def path_of_imports() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


# Deadlines


def drip(peer: Peer) -> None:
    """Answers byte by byte, each well before the deadline, and never ends."""
    peer.read_request()
    peer.socket.sendall(response(b"", "200 OK", "application/proto").replace(b"Length: 0", b"Length: 100000"))
    while not peer.server.stopped.wait(0.02):
        peer.socket.sendall(b"x")


def never_read(peer: Peer) -> None:
    peer.server.stopped.wait()


def begin_and_stop(peer: Peer) -> None:
    peer.read_request()
    whole = stream([pb.DownloadFileResponse(chunk=pb.Chunk(data=b"x"))])
    peer.socket.sendall(whole[: -len(b"0\r\n\r\n") - 4])
    peer.server.stopped.wait()


@pytest.mark.parametrize("answer", [drip, never_read])
def test_the_deadline_is_of_the_whole_call(answer: object) -> None:
    with (
        RawServer(answer) as server,
        connect(server.url, timeout=0.3) as dify,
        pytest.raises(DeadlineExceeded, match=r"files.GetFile did not end within its timeout of 0.3 s"),
    ):
        dify.files.get("files/x")


def test_the_deadline_ends_a_request_that_nobody_reads() -> None:
    with RawServer(never_read) as server, pytest.raises(DeadlineExceeded):
        uploaded(server, chunks(400), timeout=0.3)


def test_the_deadline_ends_a_stream_that_stands_still() -> None:
    with RawServer(begin_and_stop) as server, pytest.raises(DeadlineExceeded):
        downloaded(server, timeout=0.3)


def test_the_deadline_ends_a_stream_that_never_pauses() -> None:
    def flood(peer: Peer) -> None:
        peer.read_request()
        peer.socket.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/connect+proto\r\n\r\n")
        while not peer.server.stopped.is_set():
            peer.socket.sendall(envelope(PARTS[0].SerializeToString()) * 1000)

    with RawServer(flood) as server, closing(HttpTransport(Endpoint(target=server.url))) as transport:
        answers = transport.stream(DOWNLOAD, [pb.DownloadFileRequest()], 0.3, ())
        with pytest.raises(DeadlineExceeded):
            for _ in answers:
                pass


def test_an_address_that_nobody_listens_at_is_unavailable() -> None:
    with RawServer(never_read) as server:
        url = server.url
    with (
        connect(url, retry=ONCE) as dify,
        pytest.raises(Unavailable, match=f"{url}: cannot connect: Connection refused"),
    ):
        dify.files.get("files/x")


def test_a_repetition_may_wait_for_a_server_that_is_not_there_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    with RawServer(never_read) as gone:
        url = gone.url
    later = ExitStack()
    pauses: list[float] = []

    def wait(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            later.enter_context(RawServer(message(FILE), port=int(url.rpartition(":")[2])))

    monkeypatch.setattr("difyrpc_client._http_connection.time.sleep", wait)
    with later, closing(HttpTransport(Endpoint(target=url))) as transport:
        assert transport.unary(GET, pb.GetFileRequest(), 20, (), wait_for_ready=True) == FILE
    assert pauses == [0.1, 0.2]


# Answers that are not as they should be


def cut(data: bytes, size: int) -> object:
    def answer(peer: Peer) -> None:
        peer.read_request()
        peer.socket.sendall(data[:-size])

    return answer


UNBOUNDED = b"HTTP/1.1 200 OK\r\nContent-Type: application/proto\r\n\r\n"


@pytest.mark.parametrize(
    ("whole", "missing"),
    [
        (message(FILE), 1),
        (response(FILE.SerializeToString(), chunked=True), 5),
        (UNBOUNDED + FILE.SerializeToString(), 1),
        (b"no http\r\n", 1),
    ],
    ids=["length", "chunks", "unbounded", "no-http"],
)
def test_an_answer_that_breaks_off_is_never_taken_for_whole(whole: bytes, missing: int) -> None:
    with RawServer(cut(whole, missing)) as server, pytest.raises(Unavailable):
        get(server)


PARTS = [pb.DownloadFileResponse(chunk=pb.Chunk(data=b"x" * 10)) for _ in range(3)]


AFTER_THE_END = len(b"\r\n0\r\n\r\n")  # what HTTP sends after the last envelope


@pytest.mark.parametrize("missing", [1, 2, 3, 5, 10, 20, 40])
def test_a_stream_without_its_last_envelope_is_unavailable(missing: int) -> None:
    with RawServer(cut(stream(PARTS), AFTER_THE_END + missing)) as server, pytest.raises(Unavailable):
        downloaded(server)


@pytest.mark.parametrize("missing", [1, 4, AFTER_THE_END])
def test_a_stream_with_its_last_envelope_is_whole(missing: int) -> None:
    with RawServer(cut(stream(PARTS), missing)) as server:
        assert len(downloaded(server)) == 3


def test_a_stream_that_ends_well_for_http_alone_is_unavailable() -> None:
    body = b"".join(envelope(part.SerializeToString()) for part in PARTS)
    whole = response(body, "200 OK", "application/connect+proto", chunked=True)
    with RawServer(whole) as server, pytest.raises(Unavailable, match="ended before its last message"):
        downloaded(server)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("chunked", [False, True])
def test_an_answer_that_is_too_large_is_refused(packed: bool, chunked: bool) -> None:
    body = pb.GetFileResponse(file=pb.File(display_name="x" * 5000)).SerializeToString()
    head = ["Content-Encoding: gzip"] if packed else []
    whole = response(gzip.compress(body) if packed else body, "200 OK", "application/proto", *head, chunked=chunked)
    with RawServer(whole) as server:
        assert len(get(server, max_message_bytes=6000).display_name) == 5000
        with pytest.raises(ResourceExhausted, match="larger than 4000 bytes") as caught:
            get(server, max_message_bytes=4000)
    assert caught.value.request_id


@pytest.mark.parametrize("packed", [False, True])
def test_a_message_of_a_stream_that_is_too_large_is_refused(packed: bool) -> None:
    data = pb.DownloadFileResponse(chunk=pb.Chunk(data=bytes(5000))).SerializeToString()
    part = envelope(gzip.compress(data), 1) if packed else envelope(data)
    head = "Connect-Content-Encoding: gzip"
    whole = response(part + envelope(b"{}", 2), "200 OK", "application/connect+proto", head, chunked=True)
    with RawServer(whole) as server:
        assert len(downloaded(server)[0].chunk.data) == 5000
        with pytest.raises(ResourceExhausted):
            downloaded(server, max_message_bytes=4000)


def test_a_length_that_nobody_sends_takes_no_memory() -> None:
    whole = response(b"\x00\xff\xff\xff\xff", "200 OK", "application/connect+proto", chunked=True)
    with RawServer(whole) as server, pytest.raises(ResourceExhausted):
        downloaded(server)


@pytest.mark.parametrize("media_type", ["text/html", "application/json", "application/connect+proto"])
def test_an_answer_of_another_kind_says_that_it_is_no_gateway(media_type: str) -> None:
    said = f"answered with {media_type} and not with application/proto; is it the address of a difyrpc gateway?"
    with RawServer(response(b"<html>", "200 OK", media_type)) as server, pytest.raises(Unknown, match=re.escape(said)):
        get(server)


def test_an_answer_that_cannot_be_read_is_internal() -> None:
    with RawServer(response(b"\xff")) as server, pytest.raises(DifyrpcError, match="cannot be read as") as caught:
        get(server)
    assert (caught.value.code, bool(caught.value.request_id)) == (13, True)


def test_a_refusal_that_says_when_to_come_back_is_obeyed(fake_time) -> None:
    busy = response(b"", "429 Too Many Requests", "text/html", "Retry-After: 3")
    with RawServer(busy, message(FILE)) as server, connect(server.url, clock=fake_time.clock) as dify:
        dify.files.get("files/x")
    assert fake_time.sleeps[0] >= 3


def test_calls_that_fail_close_their_connections() -> None:
    ended = threading.Semaphore(0)

    def answer(peer: Peer) -> None:
        peer.read_request()
        peer.socket.sendall(response(b"<html>", "200 OK", "text/html").replace(b"Length: 6", b"Length: 60"))
        if not peer.socket.recv(1):
            ended.release()

    with RawServer(answer) as server, closing(HttpTransport(Endpoint(target=server.url))) as transport:
        for _ in range(20):
            with pytest.raises(Unknown):
                transport.unary(GET, pb.GetFileRequest(), 20, ())
            assert ended.acquire(timeout=20)


# Streams to the server


def test_messages_go_up_in_chunks_and_answers_come_after_them() -> None:
    with RawServer(stream([ack(1), ack(2)])) as server:
        assert uploaded(server, chunks(3, size=10)) == [ack(1), ack(2)]
        sent = b"".join(envelope(part.SerializeToString()) for part in chunks(3, size=10))
        assert server.requests[0]["body"] == sent
        assert server.requests[0]["content-type"] == "application/connect+proto"


def test_a_server_that_refuses_while_it_is_sent_to_is_sent_no_more() -> None:
    refused, received = threading.Event(), []

    def refuse(peer: Peer) -> None:
        peer.read_head()
        peer.read_chunk()
        peer.socket.sendall(response(b"", "413 Content Too Large", "text/html"))
        refused.set()
        while data := peer.socket.recv(1_000_000):
            received.append(len(data))

    def parts() -> Iterator[pb.WriteUploadRequest]:
        yield from chunks(1)
        assert refused.wait(20)
        yield from chunks(200)

    with RawServer(refuse) as server, pytest.raises(ResourceExhausted, match="413"):
        uploaded(server, parts())
    assert sum(received) < 1_000_000


def test_a_server_that_refuses_and_closes_is_heard() -> None:
    def refuse(peer: Peer) -> None:
        peer.read_head()
        peer.socket.sendall(response(b"", "413 Content Too Large", "text/html"))

    large = pb.GetFileRequest(name="x" * 20_000_000)
    with RawServer(refuse) as server, closing(HttpTransport(Endpoint(target=server.url))) as transport:
        with pytest.raises(ResourceExhausted, match="413") as caught:
            transport.unary(GET, large, 20, ())
        assert caught.value.retry_after is None


def test_what_making_the_messages_raises_comes_through_and_breaks_the_stream() -> None:
    def parts():
        yield from chunks(1)
        raise FileNotFoundError("gone")

    with RawServer(stream([ack(1)])) as server, pytest.raises(FileNotFoundError, match="gone"):
        uploaded(server, parts())
    assert not any("body" in request for request in server.requests)


@pytest.mark.parametrize("count", [0, 2])
def test_a_call_with_one_answer_that_gets_another_number_is_internal(count: int) -> None:
    answers = stream([pb.UploadFileResponse()] * count)
    with RawServer(answers) as server, closing(HttpTransport(Endpoint(target=server.url))) as transport:
        replies = transport.stream(UPLOAD, [pb.UploadFileRequest()], 20, ())
        with pytest.raises(DifyrpcError, match="not one"):
            list(replies)


def test_leaving_a_stream_early_closes_its_connection() -> None:
    left = threading.Event()

    def answer(peer: Peer) -> None:
        peer.read_request()
        peer.socket.sendall(stream(PARTS)[:-20])
        left.set() if not peer.socket.recv(1) else None

    with RawServer(answer) as server, closing(HttpTransport(Endpoint(target=server.url))) as transport:
        answers = transport.stream(DOWNLOAD, [pb.DownloadFileRequest()], 20, ())
        next(answers)
        answers.close()
        assert left.wait(20)


# TLS and proxies


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def server_tls(authority: trustme.CA, name: str = "localhost", ask: bool = False) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    if ask:
        authority.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def test_tls_is_spoken_with_the_given_authority(authority: trustme.CA) -> None:
    ca = authority.cert_pem.bytes()
    with RawServer(message(FILE), tls=server_tls(authority)) as server:
        assert get(server, tls=TLS(ca=ca)).display_name == "x"
    with RawServer(message(FILE), tls=server_tls(authority, "other.example")) as server:
        assert get(server, tls=TLS(ca=ca, server_name="other.example")).display_name == "x"
        with pytest.raises(TLSError, match="Hostname mismatch") as named:
            get(server, tls=TLS(ca=ca))
        with pytest.raises(TLSError, match="unable to get local issuer certificate") as signed:
            get(server)
    assert (named.value.reason, named.value.attempts) == ("SERVER_CERTIFICATE_NAME", 1)
    assert (signed.value.reason, signed.value.attempts) == ("SERVER_CERTIFICATE_UNTRUSTED", 1)


def test_a_connection_with_tls_is_used_again(authority: trustme.CA) -> None:
    mine = TLS(ca=authority.cert_pem.bytes())
    with RawServer(message(FILE), tls=server_tls(authority)) as server, connect(server.url, tls=mine) as dify:
        assert [dify.files.get("files/x").display_name for _ in range(3)] == ["x"] * 3
        assert server.connections == 1


def test_the_client_shows_its_certificate(authority: trustme.CA) -> None:
    mine = authority.issue_cert("client.example")
    pems = {
        "certificate": b"".join(blob.bytes() for blob in mine.cert_chain_pems),
        "key": mine.private_key_pem.bytes(),
        "ca": authority.cert_pem.bytes(),
    }
    with RawServer(message(FILE), tls=server_tls(authority, ask=True)) as server:
        assert get(server, tls=TLS(**pems)).display_name == "x"
        with pytest.raises(Unavailable):
            get(server, tls=TLS(ca=pems["ca"]))


def test_a_connection_that_would_not_be_encrypted_is_refused_where_tls_was_asked_for() -> None:
    with connect("http://localhost:1", tls=True) as dify, pytest.raises(ConfigurationError, match="write https://"):
        dify.files.get("files/x")


def proxied(proxy: ForwardProxy, login: str = "", **more: str) -> dict[str, str]:
    url = proxy.url.replace("//", f"//{login}@") if login else proxy.url
    return {"HTTP_PROXY": url, "HTTPS_PROXY": url, **more}


def test_a_proxy_is_given_the_whole_url_for_http() -> None:
    with RawServer(message(FILE)) as server, ForwardProxy() as proxy:
        assert get(server, env=proxied(proxy)).display_name == "x"
        assert proxy.requests == [f"POST {server.url}/difyrpc.files.v1.FileStorage/GetFile HTTP/1.1"]


def test_a_proxy_is_a_tunnel_for_https(authority: trustme.CA) -> None:
    with RawServer(message(FILE), tls=server_tls(authority)) as server, ForwardProxy() as proxy:
        assert get(server, env=proxied(proxy), tls=TLS(ca=authority.cert_pem.bytes())).display_name == "x"
        assert proxy.requests == [f"CONNECT {server.url.removeprefix('https://')} HTTP/1.1"]


def test_a_proxy_is_left_aside_for_hosts_that_are_excepted() -> None:
    with RawServer(message(FILE)) as server, ForwardProxy() as proxy:
        get(server, env=proxied(proxy, NO_PROXY="localhost"))
        assert proxy.requests == []


@pytest.mark.parametrize("secure", [False, True])
def test_a_proxy_that_refuses_is_named(authority: trustme.CA, secure: bool) -> None:
    tls = server_tls(authority) if secure else None
    with RawServer(message(FILE), tls=tls) as server, ForwardProxy(denies=True) as proxy:
        with pytest.raises(PermissionDenied, match=r"proxy 127.0.0.1:\d+.*ERR_ACCESS_DENIED"):
            get(server, env=proxied(proxy))
        assert server.connections == 0


@pytest.mark.parametrize("secure", [False, True])
def test_a_proxy_s_login_opens_it(authority: trustme.CA, secure: bool) -> None:
    tls = server_tls(authority) if secure else None
    mine = TLS(ca=authority.cert_pem.bytes()) if secure else None
    with RawServer(message(FILE), tls=tls) as server, ForwardProxy(login="a:b") as proxy:
        assert get(server, env=proxied(proxy, "a:b"), tls=mine).display_name == "x"
        with pytest.raises(Unauthenticated):
            get(server, env=proxied(proxy), tls=mine)
        assert "proxy-authorization" not in server.requests[0]


# What cannot be


def test_only_the_blocking_client_takes_urls() -> None:
    with pytest.raises(ConfigurationError, match=r"connect_async\(\) speaks gRPC alone"):
        connect_async("http://gateway")
    with pytest.raises(ConfigurationError, match=r"channel\(\) speaks gRPC alone"):
        channel("https://gateway/{service}", service="files")


async def test_the_asynchronous_client_refuses_the_url_of_a_single_service() -> None:
    async with connect_async("localhost:1", env={"DIFYRPC_FILES_TARGET": "http://gateway"}) as dify:
        with pytest.raises(ConfigurationError, match="write host:port"):
            await dify.files.get("files/x")
