"""A client that waits for what never comes: `hanging.py KIND TARGET`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator

from difyrpc.files.v1 import files_pb2 as pb
from difyrpc.files.v1 import files_pb2_grpc as rpc
from difyrpc_client import channel, connect, connect_async

STUCK = "files/stuck"


def messages() -> Iterator[pb.UploadFileRequest]:
    yield pb.UploadFileRequest(spec=pb.FileSpec(display_name="stuck"))
    while True:
        yield pb.UploadFileRequest(chunk=pb.Chunk(data=bytes(1 << 18)))


async def consume(pieces: AsyncIterator[bytes]) -> None:
    async for _ in pieces:
        pass


async def hang(kind: str, target: str) -> None:
    async with connect_async(target, env={}) as dify:
        await (dify.files.get(STUCK) if kind == "unary_async" else consume(dify.files.iter_bytes(STUCK)))


def main(kind: str, target: str) -> None:
    if kind.endswith("_async"):
        asyncio.run(hang(kind, target))
    with connect(target, env={}) as dify:
        if kind == "unary":
            dify.files.get(STUCK)
        elif kind == "stream":
            list(dify.files.iter_bytes(STUCK))
        else:
            rpc.FileStorageStub(channel(target, env={})).UploadFile(messages())


if __name__ == "__main__":
    main(*sys.argv[1:])
