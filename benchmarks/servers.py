"""Servers for the comparisons, each in a process of its own: bare grpc.aio on uvloop, FastAPI on uvicorn.

    python -m benchmarks.servers grpc FOLDER      plain, TLS and mTLS; the folder holds the certificates
    python -m benchmarks.servers http

Prints its ports in one line of JSON and ends with its standard input.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import uvloop
from grpc_health.v1 import health, health_pb2_grpc
from grpc_health.v1.health_pb2 import HealthCheckResponse

from benchmarks.machine import ROOT
from difyrpc.files.v1 import files_pb2, files_pb2_grpc

TOKEN = b"token "
OPTIONS = [
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", -1),
    ("grpc.http2.min_ping_interval_without_data_ms", 1000),  # as our servers: a pooled channel pings while it is idle
    ("grpc.keepalive_permit_without_calls", 1),
]
FILE = {"name": "files/measured", "media_type": "text/plain", "generation": 1, "etag": "1"}


class Echo(files_pb2_grpc.FileStorageServicer):
    """Answers the name it was asked for as a display name, and ranges as tokens."""

    async def GetFile(self, request: Any, context: Any) -> files_pb2.GetFileResponse:  # noqa: N802  # the rpc's name
        return files_pb2.GetFileResponse(file=files_pb2.File(display_name=request.name, **FILE))

    async def DownloadFile(  # noqa: N802
        self, request: Any, context: Any
    ) -> AsyncIterator[files_pb2.DownloadFileResponse]:
        yield files_pb2.DownloadFileResponse(file=files_pb2.File(size_bytes=request.limit, **FILE))
        for _ in range(request.limit // len(TOKEN)):
            yield files_pb2.DownloadFileResponse(chunk=files_pb2.Chunk(data=TOKEN))


async def serve_grpc(folder: Path) -> None:
    """Serves on three ports until the standard input ends."""
    server = grpc.aio.server(options=OPTIONS)
    files_pb2_grpc.add_FileStorageServicer_to_server(Echo(), server)
    checks = health.aio.HealthServicer()
    await checks.set("", HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(checks, server)
    pair, ca = [((folder / "server.key").read_bytes(), (folder / "server.pem").read_bytes())], folder / "ca.pem"
    ports = {
        "plain": server.add_insecure_port("127.0.0.1:0"),
        "tls": server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials(pair)),
        "mtls": server.add_secure_port(
            "127.0.0.1:0", grpc.ssl_server_credentials(pair, ca.read_bytes(), require_client_auth=True)
        ),
    }
    await server.start()
    tell(ports)
    await asyncio.to_thread(sys.stdin.read)
    await server.stop(None)


async def serve_http() -> None:
    """Serves the same echo as JSON until the standard input ends."""
    import uvicorn

    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(http_application(), log_level="warning", access_log=False))
    task = asyncio.create_task(server.serve([listening]))
    tell({"plain": listening.getsockname()[1]})
    await asyncio.to_thread(sys.stdin.read)
    server.should_exit = True
    await task


def http_application() -> Any:
    """Makes the FastAPI application."""
    import fastapi
    import pydantic

    application = fastapi.FastAPI()
    question = pydantic.create_model("GetFileRequest", name=(str, ...))
    file = pydantic.create_model(
        "File", name=(str, ...), display_name=(str, ...), media_type=(str, ...), generation=(int, ...), etag=(str, ...)
    )

    async def get_file(request: Any) -> Any:
        return file(display_name=request.name, **FILE)

    get_file.__annotations__ = {"request": question, "return": file}  # FastAPI reads them; they are made here
    application.post("/v1/files:get")(get_file)
    return application


def tell(ports: dict[str, int]) -> None:
    """Says that the server answers, and where."""
    print(json.dumps(ports), flush=True)


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server that runs."""

    process: int
    """Its process."""
    ports: dict[str, int]
    """Its ports on loopback by kind."""

    def target(self, kind: str = "plain") -> str:
        """Answers an address."""
        return f"localhost:{self.ports[kind]}"


@contextmanager
def running(*arguments: str, processor: int | None = None) -> Iterator[Server]:
    """Starts one of the servers, on a processor of its own where one is named."""
    command = [sys.executable, "-m", "benchmarks.servers", *arguments]
    popen = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert popen.stdin
    assert popen.stdout
    try:
        if processor is not None:
            os.sched_setaffinity(popen.pid, {processor})
        yield Server(process=popen.pid, ports=json.loads(popen.stdout.readline()))
    finally:
        popen.kill()  # a farewell to channels that the pool still keeps would be logged
        popen.stdin.close()
        popen.wait()
        popen.stdout.close()


def main() -> None:
    """Runs the named server."""
    kind, *rest = sys.argv[1:]
    uvloop.run(serve_grpc(Path(rest[0])) if kind == "grpc" else serve_http())


if __name__ == "__main__":
    main()
