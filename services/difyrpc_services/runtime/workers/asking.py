"""Questions of a job to the server: what a worker cannot do itself, the server may do for it.

The pool is given the function that answers. A worker is not to be trusted, so neither is its question.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass

from difyrpc_services.runtime.workers import frames


@dataclass
class _Own:
    """What belongs to this worker process."""

    server: socket.socket | None = None


_own = _Own()


def use_server(sock: socket.socket | None) -> None:
    """Makes `ask` of this process use the worker's own socket."""
    _own.server = sock


def ask(question: bytes) -> bytes:
    """Asks the server and waits for its answer; an error of the server ends the job instead."""
    if _own.server is None:
        raise RuntimeError("nobody answers questions here: this process is no worker")
    frames.send(_own.server, frames.ASK, question)
    kind, answer = frames.receive(_own.server)
    if kind != frames.ANSWER:
        raise ConnectionError("the server sent something else than an answer")
    return answer
