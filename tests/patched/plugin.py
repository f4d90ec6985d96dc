"""Calls from a process that gevent patches: `plugin.py WHEN SCENARIO TARGET` prints what came of it as JSON.

WHEN is `first` (before anything else is imported, as Dify's plugin SDK does), `imported` (after the client and grpc)
or `late` (after the client has called over its only channel).
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

WHEN, SCENARIO, TARGET = sys.argv[1:4]


def patch() -> None:
    from gevent import monkey

    warnings.simplefilter("ignore")  # gevent warns of what it finds imported; that it works nevertheless is the test
    monkey.patch_all(sys=True)


if WHEN == "first":
    patch()

import hashlib  # noqa: E402  # the order is what is tested
import os  # noqa: E402

import grpc  # noqa: E402, F401

import difyrpc_client  # noqa: E402
from difyrpc.files.v1 import files_pb2 as pb  # noqa: E402
from difyrpc.files.v1 import files_pb2_grpc as rpc  # noqa: E402
from difyrpc_client import Clock, Dify, Retry, connect  # noqa: E402

if WHEN == "imported":
    patch()

import gevent  # noqa: E402
import gevent.os  # noqa: E402

MB = 1 << 20


def unary(dify: Dify) -> Any:
    return dify.files.get("files/one").name


def stream(dify: Dify) -> Any:
    """The next piece comes only when the one before was acknowledged: what arrives at the end alone never ends."""
    pieces = 0
    for piece in dify.files.iter_bytes("files/steps", limit=5):
        pieces += len(piece)
        if pieces < 5:
            dify.files.get("files/step")
    return pieces


def acknowledged(dify: Dify) -> Any:
    dify.files.get("files/step")
    return stream(dify)


def bulk(dify: Dify) -> Any:
    content = os.urandom(20 * MB)
    file = dify.files.upload(content, name="large.bin")
    back = hashlib.sha256()
    for piece in dify.files.iter_bytes(file):
        back.update(piece)
    return [file.size_bytes, back.hexdigest() == hashlib.sha256(content).hexdigest()]


def together(dify: Dify) -> Any:
    calls = [gevent.spawn(dify.files.get, "files/together") for _ in range(40)]
    gevent.joinall(calls, raise_error=True)
    return len({call.value.name for call in calls})


def together_over_new_clients(_: Dify) -> Any:
    """Every greenlet makes its own client: the pool's locks are taken and waited for all at once."""

    def call() -> str:
        with connect(TARGET, channels=3, max_message_bytes=1 << 20, env={}) as own:
            return own.files.get("files/together").name

    calls = [gevent.spawn(call) for _ in range(40)]
    gevent.joinall(calls, raise_error=True)
    return [len(calls), _open_channels()]


def killed(dify: Dify) -> Any:
    """Kills greenlets that wait in each shape of call, and calls again."""
    stub = rpc.FileStorageStub(difyrpc_client.channel(TARGET, env={}))
    waiting = [
        gevent.spawn(dify.files.get, "files/stuck"),
        gevent.spawn(list, dify.files.iter_bytes("files/stuck")),
        gevent.spawn(stub.GetFile, pb.GetFileRequest(name="files/stuck")),
        gevent.spawn(stub.UploadFile, _stuck_upload()),
        gevent.spawn(_consume, stub.DownloadFile(pb.DownloadFileRequest(name="files/stuck"))),
    ]
    _say("waiting")
    _hear()
    gevent.killall(waiting, timeout=20)
    return [all(one.dead for one in waiting), dify.files.get("files/one").name]


def killed_often(dify: Dify) -> Any:
    """The same for a hundred calls and a hundred streams: what one kill leaves behind adds up."""
    for _ in range(10):
        calls = [gevent.spawn(dify.files.get, "files/stuck") for _ in range(10)]
        streams = [gevent.spawn(list, dify.files.iter_bytes("files/stuck")) for _ in range(10)]
        _say("waiting")
        _hear()
        gevent.killall(calls + streams, timeout=20)
    return dify.files.get("files/one").name


def timed_out(dify: Dify) -> Any:
    calls = (lambda: dify.files.get("files/stuck"), lambda: list(dify.files.iter_bytes("files/stuck")))
    dify.files.get("files/one")
    before = _waiting_greenlets()
    ended = [_limited(call) for _ in range(5) for call in calls]
    _say("ended")
    _hear()
    return [ended, dify.files.get("files/one").name, _waiting_greenlets() - before]


def _limited(call: Callable[[], Any]) -> str:
    try:
        with gevent.Timeout(0.2):
            return str(call())
    except gevent.Timeout as error:
        return type(error).__name__


def deadline(dify: Dify) -> Any:
    ended = []
    for call in (
        lambda: dify.files.get("files/stuck", timeout=0.3),
        lambda: list(dify.files.iter_bytes("files/stuck", timeout=0.3)),
    ):
        try:
            call()
        except difyrpc_client.DeadlineExceeded as error:
            ended.append(type(error).__name__)
    return ended


def refusals(_: Dify) -> Any:
    refused = []
    for make in (difyrpc_client.connect_async, difyrpc_client.channel_async):
        try:
            make(TARGET, env={})
        except difyrpc_client.ConfigurationError as error:
            refused.append(str(error))
    return refused


def stubs(_: Dify) -> Any:
    """Every shape of rpc that a generated stub has, over `channel()`."""
    with difyrpc_client.channel(TARGET, env={}) as channel:
        stub = rpc.FileStorageStub(channel)
        got = stub.GetFile(pb.GetFileRequest(name="files/one")).file.name
        future = stub.GetFile.future(pb.GetFileRequest(name="files/two")).result().file.name
        parts = [part.WhichOneof("part") for part in stub.DownloadFile(pb.DownloadFileRequest(name="files/one"))]
        sent = stub.UploadFile(_upload(20)).file.size_bytes
    return [got, future, parts, sent]


def retries(_: Dify) -> Any:
    """Another greenlet looks whether it runs while the call waits before its next try."""
    naps: list[bool] = []

    def sleep(seconds: float) -> None:
        naps.append(False)
        Clock().sleep(seconds)
        naps.append(True)

    def look() -> bool:
        while not naps:
            gevent.sleep(0)
        return not naps[-1]

    retry = Retry(attempts=4, wait_min=0.2, wait_max=0.2)
    beside = gevent.spawn(look)
    with connect(TARGET, retry=retry, clock=Clock(sleep=sleep), env={}) as dify:
        name = dify.files.get("files/busy").name
    return [name, len(naps) // 2, beside.get()]


def _upload(megabytes: int) -> Iterator[pb.UploadFileRequest]:
    yield pb.UploadFileRequest(spec=pb.FileSpec(display_name="large"))
    for _ in range(megabytes):
        yield pb.UploadFileRequest(chunk=pb.Chunk(data=bytes(MB)))


def _stuck_upload() -> Iterator[pb.UploadFileRequest]:
    yield pb.UploadFileRequest(spec=pb.FileSpec(display_name="stuck"))
    while True:
        yield pb.UploadFileRequest(chunk=pb.Chunk(data=bytes(MB)))


def _consume(call: Any) -> None:
    for _ in call:
        pass


def _open_channels() -> int:
    from difyrpc_client._pool import PROCESS_POOL

    return PROCESS_POOL.size()


def _waiting_greenlets() -> int:
    import gc

    gc.collect()
    return sum(1 for each in gc.get_objects() if isinstance(each, gevent.Greenlet) and not each.dead)


def _say(word: str) -> None:
    print(word, flush=True)


def _hear() -> None:
    gevent.os.tp_read(sys.stdin.fileno(), 1)  # as the SDK does: sys.stdin itself would hold up all greenlets


def main() -> None:
    scenario: Callable[[Dify], Any] = globals()[SCENARIO]
    channels = 1 if WHEN == "late" else 2
    with connect(TARGET, channels=channels, timeout=20, stream_timeout=20, env={}) as dify:
        if WHEN == "late":
            dify.files.quota() if SCENARIO == "bulk" else dify.files.get("files/before")
            patch()
        answer = scenario(dify)
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
