"""Forks at bad moments and calls in every process: `forks.py SCENARIO TARGET` prints what came of it as JSON."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

from difyrpc_client import ConfigurationError, Dify, channel, connect, connect_async
from difyrpc_client._pool import PROCESS_POOL

SCENARIO, TARGET = sys.argv[1:3]
SECONDS = 30


def dify_of_process() -> Dify:
    return connect(TARGET, timeout=SECONDS, stream_timeout=SECONDS, env={})


def in_child(work: Callable[[], Any], *, leave: Callable[[int], Any] = sys.exit) -> Any:
    """Forks, answers what the child's work came to and how the child ended.

    It ends as any program does, destroying what is left over, or by `os._exit` as the children of multiprocessing do.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(SECONDS)  # a child that hangs is the failure that is looked for
        os.write(writing, json.dumps(work()).encode())
        leave(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read()
    return [json.loads(told or "null"), os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])]


def after_a_call() -> Any:
    with dify_of_process() as dify:
        dify.files.get("files/before")
        child = in_child(lambda: dify.files.get("files/child").name)
        return [child, dify.files.get("files/parent").name]


def during_a_call() -> Any:
    """The parent's call is under way, in a thread, when it forks, and is answered when the child has ended."""
    with dify_of_process() as dify:
        names: list[str] = []
        waiting = threading.Thread(target=lambda: names.append(dify.files.get("files/together").name))
        waiting.start()
        _say("calling")
        _hear()
        child = in_child(lambda: "ended", leave=os._exit)
        dify.files.get("files/together")
        waiting.join(SECONDS)
        return [child, names]


def during_a_stream() -> Any:
    """The child leaves the stream that it inherited to the garbage collector."""
    with dify_of_process() as dify:
        dify.files.get("files/step")
        pieces = dify.files.iter_bytes("files/steps", limit=5)
        got = len(next(pieces))
        child = in_child(lambda: "ended", leave=os._exit)
        for _ in range(4):
            dify.files.get("files/step")
            got += len(next(pieces))
        return [child, got + len(list(pieces))]


def with_many_children() -> Any:
    """As a server that forks its workers beforehand: each has its own channels and they call side by side."""
    with dify_of_process() as dify:
        dify.files.get("files/before")
        ports = PROCESS_POOL.size()
        context = multiprocessing.get_context("fork")
        with context.Pool(4, initializer=_use, initargs=(dify,)) as workers:
            names = workers.map(_call, range(40))
            workers.close()
            workers.join()
        return [sorted(set(names)), ports, dify.files.get("files/parent").name]


def without_a_call_before() -> Any:
    """A preloaded application: the client is made before the fork and first called after it."""
    with dify_of_process() as dify:
        children = [in_child(lambda: dify.files.get("files/child").name) for _ in range(3)]
        return [children, dify.files.get("files/parent").name]


def of_a_child() -> Any:
    with dify_of_process() as dify:
        dify.files.get("files/before")

        def child() -> Any:
            name = dify.files.get("files/child").name
            return [name, in_child(lambda: dify.files.get("files/grandchild").name)]

        return [in_child(child), dify.files.get("files/parent").name]


def closing_in_the_child() -> Any:
    """What the child closes is its own; the parent's channels stay open, and its stream goes on."""
    dify = dify_of_process()
    dify.files.get("files/step")
    pieces = dify.files.iter_bytes("files/steps", limit=5)
    got = len(next(pieces))
    child = in_child(dify.close, leave=os._exit)
    for _ in range(4):
        dify.files.get("files/step")
        got += len(next(pieces))
    return [child, got + len(list(pieces))]


def with_generated_stubs() -> Any:
    from difyrpc.files.v1 import files_pb2 as pb
    from difyrpc.files.v1 import files_pb2_grpc as rpc

    stub = rpc.FileStorageStub(channel(TARGET, env={}))

    def call() -> str:
        return str(stub.GetFile(pb.GetFileRequest(name="files/one"), timeout=SECONDS).file.name)

    return [call(), in_child(call), call()]


def between_loops() -> Any:
    """One client, used in a loop of the parent, then in loops of a child and of the parent."""
    return [asyncio.run(one_call()), in_child(lambda: asyncio.run(one_call())), asyncio.run(one_call())]


def with_an_open_asynchronous_client() -> Any:
    """The child inherits channels of grpc.aio, beside which grpc cannot make others."""
    return asyncio.run(_with_open())


async def _with_open() -> Any:
    async with connect_async(TARGET, timeout=SECONDS, env={}) as dify:
        await dify.files.get("files/before")
        child = in_child(_refused, leave=os._exit)
        return [child, (await dify.files.get("files/parent")).name]


def _refused() -> str:
    try:
        return asyncio.run(one_call())
    except ConfigurationError as error:
        return str(error)


async def one_call() -> str:
    async with connect_async(TARGET, timeout=SECONDS, env={}) as dify:
        return (await dify.files.get("files/one")).name


def _use(dify: Dify) -> None:
    global inherited
    inherited = dify


def _call(number: int) -> str:
    return inherited.files.get(f"files/{number % 4}").name


def _say(word: str) -> None:
    print(word, flush=True)


def _hear() -> None:
    sys.stdin.readline()


inherited: Dify

if __name__ == "__main__":
    print(json.dumps(globals()[SCENARIO]()), flush=True)
