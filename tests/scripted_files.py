"""A synchronous FileStorage that fails as a test says, for tests of the client."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import grpc

from difyrpc.files.v1 import files_pb2 as pb
from difyrpc.files.v1 import files_pb2_grpc

AWAY = (grpc.StatusCode.UNAVAILABLE, {})


class Files(files_pb2_grpc.FileStorageServicer):
    """Ends the first calls as told, None for a success, then answers; notes what came."""

    def __init__(self, refuse: Callable[..., None], *failures: tuple[grpc.StatusCode, dict[str, Any]] | None) -> None:
        self.metadata: list[dict[str, str]] = []
        self.waiting = threading.Event()
        self.release = threading.Event()
        self._refuse = refuse
        self._failures = list(failures)

    def GetFile(self, request: Any, context: Any) -> pb.GetFileResponse:
        self.metadata.append(dict(context.invocation_metadata()))
        failure = self._failures.pop(0) if self._failures else None
        if failure:
            self._refuse(context, failure[0], **failure[1])
        if request.name == "files/slow":
            self.waiting.set()
            self.release.wait(20)
        return pb.GetFileResponse(file=pb.File(name=request.name))

    def DownloadFile(self, request: Any, context: Any) -> Any:
        self.metadata.append(dict(context.invocation_metadata()))
        if request.name == "files/away":
            self._refuse(context, *AWAY[:1])
        yield pb.DownloadFileResponse(file=pb.File(name=request.name, size_bytes=10, generation=1))
        if request.offset == 0:
            yield pb.DownloadFileResponse(chunk=pb.Chunk(data=b"01234"))
            if request.name == "files/short":
                self._refuse(context, *AWAY[:1])
        yield pb.DownloadFileResponse(chunk=pb.Chunk(data=b"56789"))


def add(servicer: Files) -> tuple[Callable[..., None], Files]:
    """What `serve` takes."""
    return files_pb2_grpc.add_FileStorageServicer_to_server, servicer
