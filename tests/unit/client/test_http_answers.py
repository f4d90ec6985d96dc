"""Answers over HTTP that break off, are too large or not what they should be."""

from __future__ import annotations

import gzip
import re
import threading
from contextlib import closing

import pytest
from http_calls import FILE, GET, PARTS, downloaded, get
from raw_http import Peer, RawServer, envelope, message, response, stream

from difyrpc.files.v1 import files_pb2 as pb
from difyrpc_client import DifyrpcError, ResourceExhausted, Unavailable, Unknown, connect
from difyrpc_client._http import HttpTransport
from difyrpc_client._settings import Endpoint

pytestmark = pytest.mark.usefixtures("no_proxy")


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
