"""Jobs that behave and jobs that do not."""

from __future__ import annotations

import ctypes
import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator

from difyrpc_services.runtime.errors import InvalidArgument
from difyrpc_services.runtime.workers import asking, programs


def echo(content: memoryview, options: bytes) -> Iterator[bytes]:
    yield bytes(content)
    yield options


def process_id(content: memoryview, options: bytes) -> Iterator[bytes]:
    yield str(os.getpid()).encode()


def length(content: memoryview, options: bytes) -> Iterator[bytes]:
    yield str(len(content)).encode()


def refuse(content: memoryview, options: bytes) -> Iterator[bytes]:
    yield b"first"
    raise InvalidArgument("CORRUPT", "byte {position} is {{odd}}", position=7, field="content")


def raise_value_error(content: memoryview, options: bytes) -> Iterator[bytes]:
    yield b"first"
    raise ValueError("secret content")


def turn_for_ever(content: memoryview, options: bytes) -> Iterator[bytes]:
    yield str(os.getpid()).encode()
    while True:
        pass


def turn_for(content: memoryview, options: bytes) -> Iterator[bytes]:
    until = time.monotonic() + float(options)
    while time.monotonic() < until:
        pass
    yield b""


def eat_memory(content: memoryview, options: bytes) -> Iterator[bytes]:
    eaten = [bytearray(1 << 20)]
    while True:
        eaten.append(bytearray(1 << 20))
        yield b""


def eat_memory_in_c(content: memoryview, options: bytes) -> Iterator[bytes]:
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    while True:
        place = libc.malloc(1 << 20)
        ctypes.memset(place or 0, 1, 1 << 20)
        yield b""


def crash(content: memoryview, options: bytes) -> Iterator[bytes]:
    yield b"first"
    ctypes.string_at(0)


def end_itself(content: memoryview, options: bytes) -> Iterator[bytes]:
    yield b"first"
    os._exit(3)


def pour(content: memoryview, options: bytes) -> Iterator[bytes]:
    while True:
        yield bytes(1 << 20)


def count_up(content: memoryview, options: bytes) -> Iterator[bytes]:
    for number in range(int(options)):
        yield str(number).encode()


def keep_memory(content: memoryview, options: bytes) -> Iterator[bytes]:
    globals()["kept"] = bytes(range(256)) * (int(options) // 256)
    yield str(os.getpid()).encode()


def try_everything(content: memoryview, options: bytes) -> Iterator[bytes]:
    """Yields what became of each thing that a worker must not do."""
    attempts = {
        "socket": lambda: socket.socket(),
        "connect_inet": lambda: socket.create_connection(("127.0.0.1", 9), 1),
        "program": lambda: subprocess.run(["true"], check=False),
        "fork": os.fork,
        "exec": lambda: os.execv("/bin/true", ["true"]),
        "write": lambda: os.open(options.decode() + ".new", os.O_CREAT | os.O_WRONLY),
        "unlink": lambda: os.unlink(options.decode()),
        "kill": lambda: os.kill(os.getppid(), 0),
        "raise_limit": lambda: __import__("resource").setrlimit(7, (4096, 4096)),
    }
    found = {}
    for name, attempt in attempts.items():
        try:
            attempt()
            found[name] = "done"
        except OSError as error:
            found[name] = type(error).__name__
        except ValueError:  # what resource makes of EPERM
            found[name] = "PermissionError"
    thread = threading.Thread(target=lambda: found.update(thread="done"))
    thread.start()
    thread.join()
    with open(options.decode()) as file:
        found["read"] = file.read()
    yield json.dumps(found).encode()


def spend(content: memoryview, options: bytes) -> Iterator[bytes]:
    end = time.process_time() + float(options)
    while time.process_time() < end:
        pass
    yield b"spent"


def have_run(content: memoryview, options: bytes) -> Iterator[bytes]:
    """Has a program run: its name and arguments are the options, the content is its input."""
    name, *arguments = json.loads(options)
    yield programs.run(name, arguments, [content])


def have_run_twice(content: memoryview, options: bytes) -> Iterator[bytes]:
    for _ in range(2):
        yield from have_run(content, options)


def ask_twice(content: memoryview, options: bytes) -> Iterator[bytes]:
    yield asking.ask(bytes(content))
    yield asking.ask(options)
