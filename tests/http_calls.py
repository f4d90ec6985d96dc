"""Calls over HTTP to a server that answers as scripted, and messages to call with."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from typing import Any

from raw_http import RawServer

from difyrpc.files.v1 import files_pb2 as pb
from difyrpc_client import File, Retry, connect
from difyrpc_client._http import HttpTransport
from difyrpc_client._methods import rpc
from difyrpc_client._settings import Endpoint

GET = rpc("FileStorage.GetFile", pb.GetFileRequest, pb.GetFileResponse)
DOWNLOAD = rpc("FileStorage.DownloadFile", pb.DownloadFileRequest, pb.DownloadFileResponse)
WRITE = rpc("FileStorage.WriteUpload", pb.WriteUploadRequest, pb.WriteUploadResponse)
UPLOAD = rpc("FileStorage.UploadFile", pb.UploadFileRequest, pb.UploadFileResponse)
FILE = pb.GetFileResponse(file=pb.File(name="files/x", display_name="x"))
ONCE = Retry(attempts=1)
SOON = Retry(wait_min=0.001, wait_max=0.001)
PARTS = [pb.DownloadFileResponse(chunk=pb.Chunk(data=b"x" * 10)) for _ in range(3)]


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
