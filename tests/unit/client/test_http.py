"""The client over HTTP: which connection a call takes, and what there is besides."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from http_calls import DOWNLOAD, FILE, GET, ONCE, SOON
from raw_http import Peer, RawServer, message, response, stream

from difyrpc.files.v1 import files_pb2 as pb
from difyrpc_client import (
    ConfigurationError,
    DifyrpcError,
    NotFound,
    Unavailable,
    channel,
    connect,
    connect_async,
)
from difyrpc_client._http import HttpTransport
from difyrpc_client._methods import Method
from difyrpc_client._settings import Endpoint

pytestmark = pytest.mark.usefixtures("no_proxy")


NEVER = Method(
    path="/difyrpc.files.v1.FileStorage/GetFile",
    request=pb.GetFileRequest,
    response=pb.GetFileResponse,
    request_streaming=False,
    response_streaming=False,
    repeat=type(GET.repeat).NEVER,
)


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


def test_only_the_blocking_client_takes_urls() -> None:
    with pytest.raises(ConfigurationError, match=r"connect_async\(\) speaks gRPC alone"):
        connect_async("http://gateway")
    with pytest.raises(ConfigurationError, match=r"channel\(\) speaks gRPC alone"):
        channel("https://gateway/{service}", service="files")


async def test_the_asynchronous_client_refuses_the_url_of_a_single_service() -> None:
    async with connect_async("localhost:1", env={"DIFYRPC_FILES_TARGET": "http://gateway"}) as dify:
        with pytest.raises(ConfigurationError, match="write host:port"):
            await dify.files.get("files/x")
