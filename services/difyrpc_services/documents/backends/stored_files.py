"""Reads `file` sources from FileStorage, with the current caller's token."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import grpc

from difyrpc.files.v1 import files_pb2 as pb
from difyrpc.files.v1 import files_pb2_grpc as rpc
from difyrpc_services.documents.gathering import Found
from difyrpc_services.runtime.errors import (
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    ServiceError,
    Unavailable,
)

if TYPE_CHECKING:
    from difyrpc_services.runtime.peers import Peers


class StoredFiles:
    """Downloads files of the caller's tenant."""

    def __init__(self, peers: Peers) -> None:
        self._peers = peers

    @asynccontextmanager
    async def open(self, name: str) -> AsyncIterator[Found]:
        """Opens one file; FILE_NOT_FOUND, FILES_NOT_AVAILABLE."""
        if not self._peers.has("files"):
            raise FailedPrecondition(
                "FILES_NOT_AVAILABLE",
                "stored files need the service files, which does not run here; set {setting} to its address",
                setting="DIFYRPC_FILES_TARGET",
            )
        stub = cast("rpc.FileStorageAsyncStub", rpc.FileStorageStub(self._peers.channel("files")))
        call = stub.DownloadFile(pb.DownloadFileRequest(name=name))
        messages = aiter(call)
        try:
            first = await _next(messages, name)
            file = first.file if first else pb.File()
            yield Found(
                chunks=_chunks(messages, name),
                name=file.display_name,
                media_type=file.media_type,
                size_bytes=file.size_bytes,
            )
        finally:
            call.cancel()


async def _chunks(messages: AsyncIterator[Any], name: str) -> AsyncIterator[bytes]:
    while message := await _next(messages, name):
        yield message.chunk.data


async def _next(messages: AsyncIterator[Any], name: str) -> pb.DownloadFileResponse | None:
    try:
        return cast("pb.DownloadFileResponse | None", await anext(messages, None))
    except grpc.aio.AioRpcError as error:
        raise told(error, name) from error


def told(error: grpc.aio.AioRpcError, name: str) -> ServiceError:
    """Answers what a failed download means for the parse."""
    code = error.code()
    if code == grpc.StatusCode.NOT_FOUND:
        return NotFound("FILE_NOT_FOUND", "there is no file {name}", name=name)
    if code == grpc.StatusCode.INVALID_ARGUMENT:
        return InvalidArgument("BAD_FILE_NAME", "{name} is not the name of a file", field="file", name=name)
    if code in (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED):
        return PermissionDenied("FILE_NOT_READABLE", "the caller may not read {name}", name=name)
    return Unavailable("FILES_NOT_REACHABLE", "the service files answered {status}", retry_after=1, status=code.name)
