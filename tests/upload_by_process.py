"""A client that uploads in a process of its own, to be killed: `-m upload_by_process KIND TARGET SEED SIZE NAME`."""

from __future__ import annotations

import asyncio
import random
import sys

from difyrpc_client import File, connect, connect_async


def upload(target: str, content: bytes, name: str) -> File:
    with connect(target, keepalive_seconds=2) as dify:
        return dify.files.upload(content, name=name, started=told)


async def upload_async(target: str, content: bytes, name: str) -> File:
    async with connect_async(target, keepalive_seconds=2) as dify:
        return await dify.files.upload(content, name=name, started=told)


def told(upload: str) -> None:
    print(upload, flush=True)


if __name__ == "__main__":
    kind, target, seed, size, name = sys.argv[1:]
    content = random.Random(int(seed)).randbytes(int(size))
    if kind == "sync":
        upload(target, content, name)
    else:
        asyncio.run(upload_async(target, content, name))
