"""The inside of one worker process: takes jobs from its socket and sends back what they yield."""

from __future__ import annotations

import contextlib
import mmap
import os
import socket
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import cast

from difyrpc_services.runtime.errors import ServiceError
from difyrpc_services.runtime.workers import asking, frames, launcher, programs, sandbox
from difyrpc_services.runtime.workers.limits import WorkerLimits

Function = Callable[[memoryview, bytes], Iterator[bytes]]


def serve(sock: socket.socket, limits: WorkerLimits, known: Sequence[programs.Program] = ()) -> None:
    """Confines this process, then does one job after the other until the server closes the socket."""
    os.nice(limits.niceness)
    programs.use_launcher(launcher.start(known) if known else None)
    asking.use_server(sock)
    sandbox.confine(limits)
    frames.send(sock, frames.READY, frames.pack({"virtual_bytes": sandbox.virtual_bytes()}))
    while (request := frames.receive_request(sock)) is not None:
        function, options, fd = request
        frames.send(sock, frames.TAKEN)
        try:
            perform(sock, function, options, fd)
        finally:
            os.close(fd)


def perform(sock: socket.socket, function: str, options: bytes, fd: int) -> None:
    """Does one job and sends its outputs and its end."""
    try:
        with content_of(fd) as content:
            for item in load(function)(content, options):
                frames.send(sock, frames.OUTPUT, item)
    except ServiceError as error:
        frames.send(sock, frames.REFUSED, frames.pack_error(error))
    except MemoryError:
        frames.send(sock, frames.NO_MEMORY)
    except OSError as error:
        if isinstance(error, BrokenPipeError | ConnectionError):
            raise  # the server is gone
        frames.send(sock, frames.CRASHED, describe(error))
    except Exception as error:  # noqa: BLE001  # a parser may raise anything; here it becomes one job's error
        frames.send(sock, frames.CRASHED, describe(error))
    else:
        frames.send(sock, frames.END, usage())


def load(function: str) -> Function:
    """Imports `package.module:function`."""
    module, _, name = function.partition(":")
    return cast(Function, getattr(import_module(module), name))


@contextlib.contextmanager
def content_of(fd: int) -> Iterator[memoryview]:
    """Maps the descriptor into memory without copying it."""
    size = os.fstat(fd).st_size
    if not size:
        yield memoryview(b"")
        return
    mapping = mmap.mmap(fd, size, access=mmap.ACCESS_COPY)
    view = memoryview(mapping)
    try:
        yield view
    finally:
        with contextlib.suppress(BufferError):  # a parser still refers to it; it goes with that object
            view.release()
            mapping.close()


def usage() -> bytes:
    """Answers the processor seconds of this process and of its programs so far, and its resident bytes."""
    return frames.pack(
        {
            "cpu_seconds": time.process_time(),
            "program_seconds": programs.spent_seconds(),
            "resident_bytes": sandbox.resident_bytes(),
        }
    )


def describe(error: BaseException) -> bytes:
    """Answers an exception's class and where it was raised; never its message, which may hold content."""
    places = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
    return frames.pack({"class": type(error).__name__, "places": places[-12:]})
