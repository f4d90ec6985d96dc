"""Reads `file` sources from FileStorage, with the current caller's token."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, cast

import grpc

from difyrpc.files.v1 import files_pb2 as pb
from difyrpc.files.v1 import files_pb2_grpc as rpc
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

    async def open(self, name: str) -> AsyncIterator[bytes]:
        """Answers the bytes of one file; FILE_NOT_FOUND, FILES_NOT_AVAILABLE."""
        if not self._peers.has("files"):
            raise FailedPrecondition(
                "FILES_NOT_AVAILABLE",
                "stored files need the service files, which does not run here; set {setting} to its address",
                setting="DIFYRPC_FILES_TARGET",
            )
        stub = cast("rpc.FileStorageAsyncStub", rpc.FileStorageStub(self._peers.channel("files")))
        call = stub.DownloadFile(pb.DownloadFileRequest(name=name))
        try:
            async for message in call:
                if message.WhichOneof("part") == "chunk":
                    yield message.chunk.data
        except grpc.aio.AioRpcError as error:
            raise told(error, name) from error
        finally:
            call.cancel()


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
