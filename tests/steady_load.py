"""A client that calls at a steady rate and tells of each call: `-m steady_load API MIX RATE NAME`."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from difyrpc.files.v1 import files_pb2 as pb
from difyrpc.files.v1.files_pb2_grpc import FileStorageStub
from difyrpc_client import AsyncDify, Dify, DifyrpcError, channel, channel_async, connect, connect_async

THREADS = 1000  # more than ever wait at once, so that the rate is kept
CHUNK = pb.UploadFileRequest(chunk=pb.Chunk(data=b"x" * 1024))
MIXES = {
    "files": ("upload", "copy", "get", "get", "get"),  # never repeated, with a request id, freely
    "documents": ("parse",),
}
TEXT = b"1. Liability\nThe supplier is liable for late delivery.\n"


def upload_of(who: str) -> list[pb.UploadFileRequest]:
    return [pb.UploadFileRequest(spec=pb.FileSpec(display_name=who)), CHUNK, CHUNK]


def calls_of(dify: Dify | AsyncDify, stub: Any) -> dict[str, Callable[[str], Any]]:
    """The same calls for either API."""
    return {
        "get": dify.files.get,
        "copy": lambda who: dify.files.copy(who, name=who),
        "upload": lambda who: stub.UploadFile(iter(upload_of(who))),
        "parse": lambda who: dify.documents.parse(TEXT, name="a.txt"),
    }


def tell(who: str, kind: str, begun: float, error: BaseException | None) -> None:
    """Writes one line about a call that has ended."""
    told = {"who": who, "kind": kind, "begun": begun, "ended": time.monotonic(), "error": "", "message": ""}
    if isinstance(error, grpc.RpcError):
        told |= {"error": error.code().name, "message": error.details()}
    elif error is not None:
        told |= {"error": type(error).__name__, "message": f"{error} ({getattr(error, 'attempts', 1)} attempts)"}
    os.write(1, json.dumps(told).encode() + b"\n")


def paced(name: str, mix: str, rate: float, ended: threading.Event) -> Iterator[tuple[str, str, float]]:
    """Yields who is to call what in how many seconds, until it has ended."""
    first = time.monotonic()
    for number in itertools.count():
        if ended.is_set():
            return
        kind = MIXES[mix][number % len(MIXES[mix])]
        yield f"files/{name}-{number}", kind, max(0.0, first + number / rate - time.monotonic())


def in_threads(*pace: Any) -> None:
    with connect() as dify, channel() as pooled, ThreadPoolExecutor(THREADS) as pool:
        calls = calls_of(dify, FileStorageStub(pooled))

        def call(who: str, kind: str) -> None:
            begun, failed = time.monotonic(), None
            try:
                calls[kind](who)
            except (DifyrpcError, grpc.RpcError) as error:
                failed = error
            tell(who, kind, begun, failed)

        for who, kind, due in paced(*pace):
            time.sleep(due)
            pool.submit(call, who, kind)


async def in_a_loop(*pace: Any) -> None:
    async with connect_async() as dify, channel_async() as pooled, asyncio.TaskGroup() as group:
        calls = calls_of(dify, FileStorageStub(pooled))

        async def call(who: str, kind: str) -> None:
            begun, failed = time.monotonic(), None
            try:
                await calls[kind](who)
            except (DifyrpcError, grpc.RpcError) as error:
                failed = error
            tell(who, kind, begun, failed)

        for who, kind, due in paced(*pace):
            await asyncio.sleep(due)
            group.create_task(call(who, kind))


def main(api: str, mix: str, rate: float, name: str) -> None:
    """Calls until standard input ends, and then until all calls have."""
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    if api == "threads":
        in_threads(name, mix, rate, ended)
    else:
        asyncio.run(in_a_loop(name, mix, rate, ended))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]), sys.argv[4])
