"""What a server still answers in time under too much load, with shedding and without: `python -m benchmarks.shedding`.

Callers do not wait for each other (an open loop), as callers do not in life: calls come at a fixed rate, whatever
happens to those before. Goodput is the calls a second that are answered within the deadline.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Self

import grpc
import uvloop

from benchmarks import machine
from benchmarks.machine import ROOT
from benchmarks.rounds import cpu_of
from benchmarks.servers import tell
from difyrpc.files.v1 import files_pb2, files_pb2_grpc
from difyrpc_services import assembly
from difyrpc_services.catalogue import CATALOGUE, SERVICES
from difyrpc_services.runtime.access import Doorkeeper
from difyrpc_services.runtime.admission import Admission
from difyrpc_services.runtime.exposition import CallMetrics, registry_of_process
from difyrpc_services.runtime.health import Health
from difyrpc_services.runtime.interceptors import Layers
from difyrpc_services.runtime.limits import Limits
from difyrpc_services.runtime.server import Server, ServerSettings
from difyrpc_services.runtime.service import Service

PACKAGES = ("grpcio", "protobuf", "uvloop")
PATH = "/difyrpc.files.v1.FileStorage/GetFile"
REQUEST = files_pb2.GetFileRequest(name="files/a").SerializeToString()
STEPS, STEP_SECONDS = 10, 0.001  # of processor time in each call; between the steps other calls have their turn
DEADLINE_SECONDS = 2.0
CHANNELS = 4
LOADS = (0.5, 1.0, 2.0, 5.0, 10.0)  # times the capacity
SETTLING_SECONDS = 3.0  # a queue that nobody shortens takes more than the deadline to grow that long
COUNTED_SECONDS, RECOVERY_SECONDS = 2.0, 3.0
PROCESSORS = machine.processors()  # the caller's and the server's, before either is bound to one
SIDES = {"with shedding": "0.25", "without": "0"}


class Busy(files_pb2_grpc.FileStorageServicer):
    """Works for as many steps as it is told."""

    def __init__(self, steps: int) -> None:
        self._steps = steps

    async def GetFile(self, request: Any, context: Any) -> files_pb2.GetFileResponse:  # noqa: N802  # the rpc's name
        for _ in range(self._steps):
            end = time.thread_time() + STEP_SECONDS
            while time.thread_time() < end:
                pass
            await asyncio.sleep(0)
        return files_pb2.GetFileResponse(file=files_pb2.File(name=request.name))


async def serve(wait_seconds: str, steps: int) -> None:
    """Serves behind all layers, with a line in the log for each call, until the standard input ends."""
    with tempfile.TemporaryDirectory() as folder, open(os.devnull, "w") as nothing:  # noqa: ASYNC230
        logging.basicConfig(level=logging.INFO, stream=nothing)
        server = _server({"DIFYRPC_SHED_WAIT_SECONDS": wait_seconds}, Busy(steps), f"unix:{folder}/peers.sock")
        await server.start()
        tell({"plain": server.port})
        await asyncio.to_thread(sys.stdin.read)
        await server.stop()


def _server(env: dict[str, str], servicer: Busy, address: str) -> Server:
    entry, limits, registry = SERVICES["files"], Limits(), registry_of_process(())
    service = Service(
        name="files",
        full_name=entry.full_name,
        register=lambda server: files_pb2_grpc.add_FileStorageServicer_to_server(servicer, server),
        backend="steps",
    )
    metrics = CallMetrics(registry)
    layers = Layers(
        methods=assembly.methods([entry]),
        known=assembly.methods(CATALOGUE),
        runnable=SERVICES,
        doorkeeper=Doorkeeper(verifier=None, tenant="default"),
        limits=limits,
        metrics=metrics,
        replay=None,
        gate=Admission.from_env(env, SERVICES).gate(limits, metrics, registry),
    )
    return Server(
        settings=ServerSettings.from_env({"DIFYRPC_LISTEN": "127.0.0.1:0", "DIFYRPC_AUTH": "none"}),
        services=[service],
        layers=layers,
        health=Health([service.full_name]),
        peer_address=address,
    )


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How one call ended."""

    at: float
    """Seconds since its load began."""
    took: float
    """Seconds from its sending to its end."""
    is_good: bool
    """Whether it was answered in time."""
    is_refused: bool
    """Whether the server refused it."""


@dataclass(kw_only=True)
class Caller:
    """Calls one server."""

    target: str
    outcomes: list[Outcome] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        options = [("grpc.use_local_subchannel_pool", 1)]
        channels = [grpc.aio.insecure_channel(self.target, options=options) for _ in range(CHANNELS)]
        self._calls = itertools.cycle([channel.unary_unary(PATH) for channel in channels])
        self._channels = channels
        await asyncio.gather(*(channel.channel_ready() for channel in channels))
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*(channel.close() for channel in self._channels))

    async def call(self, began: float) -> None:
        """Makes one call and notes its outcome."""
        sent, code = time.perf_counter(), grpc.StatusCode.OK
        try:
            await next(self._calls)(REQUEST, timeout=DEADLINE_SECONDS)
        except grpc.aio.AioRpcError as error:
            code = error.code()
        now = time.perf_counter()
        self.outcomes.append(
            Outcome(
                at=now - began,
                took=now - sent,
                is_good=code is grpc.StatusCode.OK,
                is_refused=code is grpc.StatusCode.UNAVAILABLE,
            )
        )

    async def offer(self, rate: float, seconds: float) -> list[Outcome]:
        """Makes `rate` calls a second; what has not ended then is given up."""
        self.outcomes, calls = [], set()
        began, made = time.perf_counter(), 0
        while (passed := time.perf_counter() - began) < seconds:
            while made < passed * rate:
                call = asyncio.create_task(self.call(began))
                calls.add(call)
                call.add_done_callback(calls.discard)
                made += 1
            await asyncio.sleep(0.001)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        return self.outcomes

    async def rush(self, callers: int, calls: int) -> float:
        """Makes calls by so many callers who wait for their answers; answers the calls a second."""

        async def go() -> None:
            for _ in range(calls):
                await self.call(0.0)

        began = time.perf_counter()
        await asyncio.gather(*(go() for _ in range(callers)))
        return callers * calls / (time.perf_counter() - began)


@contextmanager
def running(wait_seconds: str, steps: int = STEPS) -> Iterator[tuple[int, str]]:
    """Starts a server on a processor of its own; answers its process and its address."""
    command = [sys.executable, "-m", "benchmarks.shedding", "--serve", wait_seconds, str(steps)]
    popen = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert popen.stdin
    assert popen.stdout
    try:
        if PROCESSORS:
            os.sched_setaffinity(popen.pid, {PROCESSORS[1]})
        yield popen.pid, f"127.0.0.1:{json.loads(popen.stdout.readline())['plain']}"
    finally:
        popen.kill()
        popen.stdin.close()
        popen.wait()
        popen.stdout.close()


async def capacity() -> float:
    """Answers how many calls a second the server ends when as many run as keep it busy."""
    with running("0") as (_, target):
        async with Caller(target=target) as caller:
            return await caller.rush(callers=4, calls=60)


async def row(times: float, rate: float) -> str:
    """Answers a line of the table: the goodput of both sides, and how long those who were served waited."""
    cells = []
    for wait_seconds in SIDES.values():
        with running(wait_seconds) as (_, target):
            async with Caller(target=target) as caller:
                outcomes = await caller.offer(times * rate, SETTLING_SECONDS + COUNTED_SECONDS)
        cells.append(_cell([outcome for outcome in outcomes if outcome.at >= SETTLING_SECONDS], rate))
    return f"{times:5g} ×" + "".join(cells)


def _cell(outcomes: Sequence[Outcome], rate: float) -> str:
    good = [outcome.took for outcome in outcomes if outcome.is_good]
    refused = sum(outcome.is_refused for outcome in outcomes) / COUNTED_SECONDS
    goodput = len(good) / COUNTED_SECONDS
    middle = f"{median(good) * 1000:.0f}" if good else "–"
    return f"{goodput:12.0f}{goodput / rate:8.0%}{refused:9.0f}{middle:>8}"


async def recovery(rate: float) -> str:
    """Answers how long after a tenfold load the last call is refused, when half the capacity is left of it."""
    with running(SIDES["with shedding"]) as (_, target):
        async with Caller(target=target) as caller:
            await caller.offer(LOADS[-1] * rate, SETTLING_SECONDS)
            outcomes = await caller.offer(LOADS[0] * rate, RECOVERY_SECONDS)
    last = max((outcome.at for outcome in outcomes if outcome.is_refused), default=0.0)
    return f"from 10 × to 0.5 ×: the last refusal comes after {last:.1f} s"


async def price() -> str:
    """Answers what watching costs each call of a server that is not busy, and each second."""
    micros: dict[str, list[float]] = {side: [] for side in SIDES}
    with running(SIDES["with shedding"], steps=0) as watched, running(SIDES["without"], steps=0) as plain:
        async with Caller(target=watched[1]) as first, Caller(target=plain[1]) as second:
            for _ in range(8):
                for side, process, caller in zip(SIDES, (watched[0], plain[0]), (first, second), strict=True):
                    before = cpu_of(process)
                    await caller.rush(callers=4, calls=60)
                    micros[side].append((cpu_of(process) - before) / 240 * 1e6)
    shown = ", ".join(f"{side} {median(found):.0f} µs" for side, found in micros.items())
    return f"an echo's processor time on a calm server: {shown}"


async def measure(loads: Sequence[float]) -> None:
    """Measures and prints."""
    rate = await capacity()
    print(
        f"capacity {rate:.0f} calls a second of {STEPS} × {STEP_SECONDS * 1000:g} ms; deadline {DEADLINE_SECONDS:g} s\n"
    )
    print("  load" + "".join(f"{side:>20}{'':17}" for side in SIDES))
    print(" " * 7 + "".join(f"{'goodput':>12}{'share':>8}{'refused':>9}{'p50 ms':>8}" for _ in SIDES))
    for times in loads:
        print(await row(times, rate), flush=True)


async def rest() -> None:
    """Measures what is beside the table and prints it."""
    print(await recovery(await capacity()), flush=True)
    print(await price())


def main() -> None:
    """Measures and prints, or serves."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shedding", description=__doc__)
    parser.add_argument("--load", type=float, nargs="*", help="these lines of the table alone, in times the capacity")
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        uvloop.run(serve(options.serve[0], int(options.serve[1])))
        return
    began = time.monotonic()
    print(machine.described(PACKAGES))
    if PROCESSORS:
        os.sched_setaffinity(0, {PROCESSORS[0]})
    uvloop.run(measure(LOADS if options.load is None else options.load))
    if not options.load:
        uvloop.run(rest())
    print(f"{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
