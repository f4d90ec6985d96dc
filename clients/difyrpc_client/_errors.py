"""The errors that callers see; every status of a server becomes one of them.

DifyrpcError
├── ConfigurationError   the client was set up in a way that cannot work; raised before any call
├── InvalidArgument      the request can never succeed as it is; see `field_violations`
├── Unauthenticated      no token, or not a valid one
├── PermissionDenied     the token is valid and may not do this
├── NotFound             no such thing in this tenant
├── AlreadyExists        the name is taken
├── FailedPrecondition   the state forbids it; the same call may succeed after a change
├── OutOfRange           a position past the end
├── Aborted              somebody else won; read again and repeat
├── ResourceExhausted    a limit; `retry_after` says when to come back, where waiting helps
├── DeadlineExceeded     the call did not end within its timeout, its repetitions included
├── Cancelled            the server, or a proxy, gave the call up
├── Unavailable          nobody answered, or the server says that it will pass
│   ├── CircuitOpen      the call was not made: too many like it have failed; `retry_after` says when to come back
│   └── TLSError         client and server cannot agree on TLS; the message says what to change
├── Unimplemented        this server does not offer it; the message says how to start what does
├── DataLoss             bytes are not what they were when they were acknowledged
├── Internal             a mistake of the server
└── Unknown              a status without a meaning that is known here

Test the class or `.reason`, never the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Protocol

from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

DETAILS_KEY = "grpc-status-details-bin"  # trailing metadata that holds a google.rpc.Status


@dataclass(frozen=True, kw_only=True)
class FieldViolation:
    """One field of a request that is wrong."""

    field: str
    """Path from the request message: `options.pages[0].first`."""
    description: str
    """What is wrong with it."""


class DifyrpcError(Exception):
    """A call that did not succeed; the classes below say why. Can be pickled."""

    code: ClassVar[int] = 2
    """Number of the status, as in google.rpc.Code."""

    def __init__(
        self,
        message: str = "",
        *,
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        retry_after: float | None = None,
        field_violations: Iterable[FieldViolation] = (),
        request_id: str = "",
        attempts: int = 1,
    ) -> None:
        self.message = message
        """What is wrong, and what to do."""
        self.reason = reason
        """UPPER_SNAKE_CASE name of what went wrong: `FILE_NOT_FOUND`; empty where the server named none."""
        self.metadata = dict(metadata or {})
        """The values in the message, by name."""
        self.retry_after = retry_after
        """Seconds after which the same call may succeed; None where the server did not say."""
        self.field_violations = tuple(field_violations)
        """The fields of the request that are wrong."""
        self.request_id = request_id
        """The call's `x-request-id`, which the server's log shows too."""
        self.attempts = attempts
        """How often the call was sent."""
        super().__init__(message)

    def __reduce__(self) -> tuple[Any, ...]:
        options = {name: getattr(self, name) for name in _OPTIONS}
        return partial(type(self), self.message, **options), ()

    def __str__(self) -> str:
        """The message, the reason and the request id, for logs."""
        parts = [f"reason={self.reason}" if self.reason else "", self.request_id and f"request_id={self.request_id}"]
        notes = ", ".join(part for part in parts if part)
        return f"{self.message} ({notes})" if notes else self.message


_OPTIONS = ("reason", "metadata", "retry_after", "field_violations", "request_id", "attempts")


class ConfigurationError(DifyrpcError, ValueError):
    """The client was set up in a way that cannot work; names the setting and its value."""

    code = 3


class Cancelled(DifyrpcError):
    """The server, or a proxy, gave the call up; a caller who cancels sees the cancellation itself instead."""

    code = 1


class Unknown(DifyrpcError):
    """A status without a meaning that is known here."""

    code = 2


class InvalidArgument(DifyrpcError):
    """The request can never succeed as it is; `field_violations` names the fields."""

    code = 3


class DeadlineExceeded(DifyrpcError):
    """The call did not end within its timeout, its repetitions included."""

    code = 4


class NotFound(DifyrpcError):
    """There is no such thing in this tenant."""

    code = 5


class AlreadyExists(DifyrpcError):
    """The name is taken."""

    code = 6


class PermissionDenied(DifyrpcError):
    """The token is valid and may not do this."""

    code = 7


class ResourceExhausted(DifyrpcError):
    """A limit was reached; `retry_after` says when to come back, where waiting helps."""

    code = 8


class FailedPrecondition(DifyrpcError):
    """The state forbids it; the same call may succeed after a change."""

    code = 9


class Aborted(DifyrpcError):
    """Somebody else won; read again and repeat."""

    code = 10


class OutOfRange(DifyrpcError):
    """A position past the end."""

    code = 11


class Unimplemented(DifyrpcError):
    """This server does not offer it."""

    code = 12


class Internal(DifyrpcError):
    """A mistake of the server; its log knows more under `request_id`."""

    code = 13


class Unavailable(DifyrpcError):
    """Nobody answered, or the server says that the fault will pass."""

    code = 14


class CircuitOpen(Unavailable):
    """The call was not made, since too many like it have failed; `retry_after` says when to come back.

    The reason is `CIRCUIT_OPEN`; the metadata has `target`, `method`, and the `failures` among the last `calls`.
    """


class TLSError(Unavailable):
    """Client and server cannot agree on TLS; the message says what to change. It is not repeated.

    The reason is one of `SERVER_CERTIFICATE_EXPIRED`, `SERVER_CERTIFICATE_NOT_YET_VALID`, `SERVER_CERTIFICATE_NAME`,
    `SERVER_CERTIFICATE_UNTRUSTED`, `SERVER_IS_PLAIN`, `SERVER_SPEAKS_TLS`, `TLS_VERSION`, `CLIENT_CERTIFICATE_MISSING`,
    `CLIENT_CERTIFICATE_REFUSED` and `CLIENT_KEY_MISFIT`; the metadata has the `target` and, of the certificate in
    question, `issuer`, `names`, `since` and `until`, where they are known.
    """


class DataLoss(DifyrpcError):
    """Bytes are not what they were when they were acknowledged."""

    code = 15


class Unauthenticated(DifyrpcError):
    """No token, or not a valid one."""

    code = 16


BY_CODE: dict[int, type[DifyrpcError]] = {
    kind.code: kind for kind in DifyrpcError.__subclasses__() if kind is not ConfigurationError
}

STATUS_NAMES = {
    0: "OK",
    **{code: re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).upper() for code, kind in BY_CODE.items()},
}


class RpcFailure(Protocol):
    """What the errors of grpc and grpc.aio have in common, so that this module imports neither."""

    def code(self) -> Any:
        """Answers the status, whose value is (number, name)."""

    def details(self) -> str | None:
        """Answers the message."""

    def trailing_metadata(self) -> Any:
        """Answers pairs of key and value, or None."""


def from_rpc_error(error: RpcFailure, request_id: str = "") -> DifyrpcError:
    """Turns an error of grpc into ours."""
    pairs = error.trailing_metadata() or ()
    details = next((value for key, value in pairs if key == DETAILS_KEY), b"")
    status = error.code()
    return from_status(status.value[0] if status else 2, error.details() or "", details, request_id)


def from_status(code: int, message: str, details: bytes | str = b"", request_id: str = "") -> DifyrpcError:
    """Makes the error of a status; `details` are the bytes of a google.rpc.Status, ignored if they are not one."""
    kind = BY_CODE.get(code, Unknown)
    options = _read_details(details if isinstance(details, bytes) else b"")
    return kind(message or kind.__name__, request_id=request_id, **options)


def _read_details(data: bytes) -> dict[str, Any]:
    options: dict[str, Any] = {}
    try:
        for detail in status_pb2.Status.FromString(data).details:
            reader = _READERS.get(detail.TypeName())
            if reader:
                kind, read = reader
                options.update(read(kind.FromString(detail.value)))
    except DecodeError:
        return {}
    return options


def _read_info(info: Any) -> dict[str, Any]:
    return {"reason": info.reason, "metadata": dict(info.metadata)}


def _read_retry(info: Any) -> dict[str, Any]:
    return {"retry_after": info.retry_delay.seconds + info.retry_delay.nanos / 1e9}


def _read_fields(request: Any) -> dict[str, Any]:
    found = request.field_violations
    return {"field_violations": [FieldViolation(field=one.field, description=one.description) for one in found]}


_READERS: dict[str, tuple[Any, Any]] = {
    "google.rpc.ErrorInfo": (error_details_pb2.ErrorInfo, _read_info),
    "google.rpc.RetryInfo": (error_details_pb2.RetryInfo, _read_retry),
    "google.rpc.BadRequest": (error_details_pb2.BadRequest, _read_fields),
}
