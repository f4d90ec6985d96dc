"""The client beside the bare stub and beside FastAPI with requests: `python -m benchmarks.client`.

Each row is taken in turn, A B A B, and printed as ratios to its first line: the median of all rounds and its quartiles.
"""

from __future__ import annotations

import argparse
import math
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

import trustme

from benchmarks import callers, machine
from benchmarks.callers import Scene
from benchmarks.rounds import Figures, Row, Side, measured, ratio
from benchmarks.servers import running

PACKAGES = ("difyrpc", "grpcio", "protobuf", "uvloop", "fastapi", "uvicorn", "httptools", "requests", "httpx")
SMALL, LARGE = 100, 16 * 1024  # bytes of a message
MESSAGES = 10_000  # of a stream


def unary(scene: Scene, size: int) -> Iterator[Row]:
    """The time of one call, from a thread."""
    with callers.sync_sides(scene, size) as calls:
        sides = [scene.side(name, call) for name, call in calls.items()]
        goals = {"client, message": "≤ 1.15", "client, files.get": "≤ 1.15"}
        yield Row(title=f"unary echo, {size:,} bytes, sync, p50", sides=sides, times=150, rounds=40, goals=goals)


def unary_async(scene: Scene, size: int) -> Iterator[Row]:
    """The time of one call, in an event loop."""
    with callers.async_sides(scene, size) as sides:
        yield Row(title=f"unary echo, {size:,} bytes, asyncio, p50", sides=sides, times=150, rounds=30)


def processor_time(scene: Scene, size: int) -> Iterator[Row]:
    """The processor time of one call, caller and server together, beside HTTP and JSON."""
    with callers.sync_sides(scene, size) as calls, callers.http_sides(scene, size) as http:
        ours = [scene.side(name, calls[name]) for name in ("client, files.get", "client, message", "bare stub")]
        yield Row(
            title=f"unary echo, {size:,} bytes, sync, processor time of both sides a call",
            sides=[*ours, *http],
            times=150,
            rounds=20,
            figure="cpu",
            goals={"requests + FastAPI": "≥ 1.80"},
        )


def threads(scene: Scene) -> Iterator[Row]:
    """How many calls 64 threads make a second."""
    with callers.sync_sides(scene, SMALL) as calls:
        names = ("bare stub", "client, message", "client, files.get")
        sides = [
            Side(
                name=name, work=lambda times, call=calls[name]: callers.together(call, times), server=scene.grpc.process
            )
            for name in names
        ]
        goals = {"client, message": "≥ .90", "client, files.get": "≥ .90"}
        yield Row(
            title=f"{callers.CALLERS} threads, unary echo, {SMALL} bytes, calls a second",
            sides=sides,
            times=callers.CALLERS * 30,
            rounds=10,
            figure="seconds",
            goals=goals,
            is_rate=True,
        )


def stream(scene: Scene) -> Iterator[Row]:
    """How many small messages of a stream are read a second."""
    with callers.stream_sides(scene) as sides:
        goals = {"client, messages": "≥ .90", "client, files.iter_bytes": "≥ .90"}
        yield Row(
            title=f"stream of {MESSAGES:,} messages of {len(callers.TOKEN)} bytes, messages a second",
            sides=sides,
            times=MESSAGES,
            rounds=9,
            figure="seconds",
            goals=goals,
            is_rate=True,
        )


def connections(scene: Scene) -> Iterator[Row]:
    """What encryption and a new channel for each call cost."""
    with callers.connection_sides(scene, SMALL) as calls:
        sides = [scene.side(name, call) for name, call in calls.items()]
        yield Row(title=f"unary echo, {SMALL} bytes, sync, p50 by kind of connection", sides=sides, times=40, rounds=12)


def rows(scene: Scene) -> Iterator[Row]:
    """Yields all rows; what one needs is open while it is taken."""
    for size in (SMALL, LARGE):
        yield from unary(scene, size)
    for size in (SMALL, LARGE):
        yield from unary_async(scene, size)
    for size in (SMALL, LARGE):
        yield from processor_time(scene, size)
    yield from threads(scene)
    yield from stream(scene)
    yield from connections(scene)


def table(row: Row, figures: dict[str, list[Figures]]) -> str:
    """Answers the lines of one row."""
    heads = ("ratio", "quartiles", "goal", "p50 µs", "cpu µs", "client cpu", "a second")
    lines = [row.title, f"  {'':26}" + "".join(f"{head:>13}" for head in heads)]
    return "\n".join(lines + [_line(row, side.name, figures) for side in row.sides])


def _line(row: Row, name: str, figures: dict[str, list[Figures]]) -> str:
    found, own = ratio(row, figures, name), figures[name]
    micro = [median(getattr(one, key) for one in own) * 1e6 for key in ("p50", "cpu", "client_cpu")]
    cells = [
        f"{found.median:.2f}",
        f"{found.low:.2f}–{found.high:.2f}",
        row.goals.get(name, ""),
        *map(_shown, micro),
        f"{1 / median(one.seconds for one in own):,.0f}",
    ]
    return f"  {name:26}" + "".join(f"{cell:>13}" for cell in cells)


def _shown(number: float) -> str:
    if math.isnan(number):
        return ""
    return f"{number:,.0f}" if number >= 100 else f"{number:.1f}"


@contextmanager
def scene() -> Iterator[Scene]:
    """Starts the servers; callers and servers get a processor each where there are two."""
    placed = machine.processors()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="difyrpc-bench-")))
        certificates(folder)
        server = placed[1] if placed else None
        answering = stack.enter_context(running("grpc", str(folder), processor=server))
        http = stack.enter_context(running("http", processor=server))
        if placed:
            os.sched_setaffinity(0, {placed[0]})
        yield Scene(grpc=answering, http=http, folder=folder)


def certificates(folder: Path) -> None:
    """Writes an authority, a server's certificate for localhost and a caller's."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(folder / "ca.pem")
    for name, identity in (("server", "localhost"), ("client", "client.example")):
        made = ca.issue_cert(identity)
        made.private_key_pem.write_to_path(folder / f"{name}.key")
        for pem in made.cert_chain_pems:
            pem.write_to_path(folder / f"{name}.pem", append=True)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.client", description=__doc__)
    parser.add_argument("--only", default="", help="rows whose title holds this text")
    parser.add_argument("--share", type=float, default=1.0, help="share of the rounds, for a first look")
    options = parser.parse_args()
    began = time.monotonic()
    print(machine.described(PACKAGES))
    print(
        "caller and server on a processor each\n" if machine.processors() else "caller and server share one processor\n"
    )
    with scene() as servers:
        for row in rows(servers):
            if options.only in row.title:
                print(table(row, measured(row, options.share)), end="\n\n", flush=True)
    print(f"{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
