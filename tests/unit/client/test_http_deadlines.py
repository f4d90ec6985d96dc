"""Calls over HTTP whose server is slow, silent or not there."""

from __future__ import annotations

from contextlib import ExitStack, closing

import pytest
from http_calls import DOWNLOAD, FILE, GET, ONCE, PARTS, chunks, downloaded, uploaded
from raw_http import Peer, RawServer, envelope, message, response, stream

from difyrpc.files.v1 import files_pb2 as pb
from difyrpc_client import DeadlineExceeded, Unavailable, connect
from difyrpc_client._http import HttpTransport
from difyrpc_client._settings import Endpoint

pytestmark = pytest.mark.usefixtures("no_proxy")


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
