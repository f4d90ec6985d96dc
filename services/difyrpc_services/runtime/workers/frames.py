"""The bytes on the socket between the server and one worker.

A frame is 4 bytes of length, 1 byte of kind, and the body. Nothing is pickled: a worker that a document has taken
over must not be able to run code in the server.
"""

from __future__ import annotations

import json
import socket
import struct
from typing import Any, Final

from difyrpc_services.runtime.errors import (
    FailedPrecondition,
    FieldViolation,
    Internal,
    InvalidArgument,
    NotFound,
    OutOfRange,
    ResourceExhausted,
    ServiceError,
    Unimplemented,
)

HEADER: Final = struct.Struct("!IB")
REQUEST_LIMIT: Final = 1 << 20  # bytes of a request's name and options

READY: Final = 1  # the worker waits for its first job
REQUEST: Final = 2  # name, NUL, options; the content's descriptor travels with it
OUTPUT: Final = 3  # one item that the job yielded
END: Final = 4  # the job is done; what it cost, as JSON
REFUSED: Final = 5  # a ServiceError, as JSON
NO_MEMORY: Final = 6  # MemoryError
CRASHED: Final = 7  # any other exception, as JSON
TAKEN: Final = 8  # the worker has the request; before this frame nothing of it has begun
ASK: Final = 9  # the job asks the server for something
ANSWER: Final = 10  # the server's answer

# What a job may answer as its own error; anything else from a worker is Internal.
_ERRORS: Final = {
    kind.code: kind
    for kind in (InvalidArgument, NotFound, FailedPrecondition, ResourceExhausted, OutOfRange, Unimplemented)
}


def send(sock: socket.socket, kind: int, body: bytes = b"") -> None:
    """Sends one frame from the worker; blocks while the server does not read."""
    if len(body) < 1 << 16:
        sock.sendall(HEADER.pack(len(body), kind) + body)
    else:
        sock.sendall(HEADER.pack(len(body), kind))
        sock.sendall(body)


def send_request(sock: socket.socket, function: str, options: bytes, fd: int) -> None:
    """Sends a job and its content's descriptor to an idle worker; OSError if it is gone.

    The socket's buffer is empty, so this does not block.
    """
    body = function.encode() + b"\0" + options
    if len(body) > REQUEST_LIMIT:
        raise ValueError(f"the options have {len(options)} bytes, more than {REQUEST_LIMIT}")
    message = HEADER.pack(len(body), REQUEST) + body
    sent = socket.send_fds(sock, [message], [fd])
    if sent < len(message):
        raise OSError("the worker's socket took only a part of the request")


def receive_request(sock: socket.socket) -> tuple[str, bytes, int] | None:
    """Waits in the worker for a job: function, options, descriptor; None at the end."""
    data, fds, _, _ = socket.recv_fds(sock, 1 << 16, 1)
    if not data or not fds:
        return None
    length, _ = HEADER.unpack_from(data)
    while len(data) < HEADER.size + length:
        more = sock.recv(1 << 16)
        if not more:
            return None
        data += more
    name, _, options = data[HEADER.size :].partition(b"\0")
    return name.decode(), options, fds[0]


def receive(sock: socket.socket) -> tuple[int, bytes]:
    """Waits in the worker for one frame without descriptors; ConnectionError if the server is gone."""
    length, kind = HEADER.unpack(_exactly(sock, HEADER.size))
    return kind, _exactly(sock, length)


def _exactly(sock: socket.socket, length: int) -> bytes:
    data = bytearray()
    while len(data) < length:
        more = sock.recv(min(length - len(data), 1 << 20))
        if not more:
            raise ConnectionError("the server is gone")
        data += more
    return bytes(data)


def pack(value: dict[str, Any]) -> bytes:
    """Answers `value` as JSON."""
    return json.dumps(value).encode()


def unpack(body: bytes) -> dict[str, Any]:
    """Reads JSON; anything that is not an object is empty, since a worker is not to be trusted."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def pack_error(error: ServiceError) -> bytes:
    """Answers a ServiceError as JSON."""
    violations = [[violation.field, violation.description] for violation in error.violations]
    return pack(
        {
            "code": error.code,
            "reason": error.reason,
            "message": error.message,
            "metadata": error.metadata,
            "violations": violations,
        }
    )


def unpack_error(body: bytes) -> ServiceError:
    """Makes the ServiceError that a worker answered."""
    value = unpack(body)
    kind = _ERRORS.get(value.get("code", 0), Internal)
    metadata = value.get("metadata")
    error = kind(str(value.get("reason", "WORKER_ERROR")), "")
    error.metadata = {str(k): str(v) for k, v in metadata.items()} if isinstance(metadata, dict) else {}
    error.message = str(value.get("message", "the worker answered an error without a message"))
    error.violations = tuple(FieldViolation(str(f), str(d)) for f, d in value.get("violations", ()))
    error.args = (error.message,)
    return error
