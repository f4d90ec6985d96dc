"""Streams over HTTP: what goes up, who refuses while it does, who leaves early."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest
from http_calls import DOWNLOAD, GET, PARTS, UPLOAD, ack, chunks, uploaded
from raw_http import Peer, RawServer, envelope, response, stream

from difyrpc.files.v1 import files_pb2 as pb
from difyrpc_client import DifyrpcError, ResourceExhausted
from difyrpc_client._http import HttpTransport
from difyrpc_client._settings import Endpoint

pytestmark = pytest.mark.usefixtures("no_proxy")


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
