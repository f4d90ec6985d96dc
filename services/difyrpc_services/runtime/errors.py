"""The errors that cores raise; one interceptor turns them into gRPC statuses.

ServiceError
├── InvalidArgument      the request can never succeed as it is; names the field
├── Unauthenticated      no key, or not a valid one
├── PermissionDenied     the key is valid and may not do this
├── NotFound             no such thing in this tenant
├── AlreadyExists
├── FailedPrecondition   the state forbids it; the same call may succeed after a change
├── OutOfRange           a position past the end
├── Aborted              somebody else won; read again and repeat
├── ResourceExhausted    a limit, which the metadata names
├── DeadlineExceeded     the work did not end in the caller's time
├── Unavailable          passing; `retry_after` says when to come back
├── Unimplemented        this server, engine or build cannot do it
├── DataLoss             stored bytes are not what was acknowledged
└── Internal             our mistake

A message is a template that is filled from the metadata, so every value in the message is in the
metadata too: `NotFound("FILE_NOT_FOUND", "there is no file {name}", name=name)`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

VALUE_BYTES = 512
"""The most of a value that an error shows. A client takes 8 KiB of trailers, where a value may stand four times, twice
of them encoded; one that sent a name of 3,000 letters would be told RESOURCE_EXHAUSTED instead of NOT_FOUND."""


@dataclass(frozen=True)
class FieldViolation:
    """One field of a request that is wrong."""

    field: str
    """Path from the request message: `options.pages[0].first`."""
    description: str
    """What is wrong with it, as a sentence without an end mark."""


class ServiceError(Exception):
    """An error with a reason that a program can test."""

    code: ClassVar[int] = 13
    """Number of the gRPC status, as in google.rpc.Code."""

    def __init__(
        self,
        reason: str,
        template: str,
        *,
        field: str | None = None,
        violations: tuple[FieldViolation, ...] = (),
        retry_after: float | None = None,
        quota_of: str = "",
        **metadata: object,
    ) -> None:
        """Takes a reason in UPPER_SNAKE_CASE, a message template and the values that fill it.

        `field` is the path of the one wrong field, `violations` names several; `retry_after` is in
        seconds and is sent as RetryInfo; `quota_of` says whose limit it is, `tenants/acme`, and is sent as
        QuotaFailure.
        """
        self.reason = reason
        self.metadata = {name: _short(str(value)) for name, value in metadata.items()}
        self.message = template.format_map(self.metadata)
        self.retry_after = retry_after
        self.quota_of = quota_of
        self.violations = violations or ((FieldViolation(field, self.message),) if field else ())
        super().__init__(self.message)


class InvalidArgument(ServiceError):
    """The request can never succeed as it is."""

    code = 3


class DeadlineExceeded(ServiceError):
    """The work did not end in the caller's time."""

    code = 4


class NotFound(ServiceError):
    """There is no such thing in the caller's tenant."""

    code = 5


class AlreadyExists(ServiceError):
    """The name is taken."""

    code = 6


class PermissionDenied(ServiceError):
    """The key is valid and may not do this."""

    code = 7


class ResourceExhausted(ServiceError):
    """A limit was reached; metadata `limit` names its setting."""

    code = 8


class FailedPrecondition(ServiceError):
    """The state forbids it; the same call may succeed after a change."""

    code = 9


class Aborted(ServiceError):
    """Somebody else won; read again and repeat."""

    code = 10


class OutOfRange(ServiceError):
    """A position past the end."""

    code = 11


class Unimplemented(ServiceError):
    """This server, engine or build cannot do it."""

    code = 12


class Internal(ServiceError):
    """Our mistake, or a part of ours that broke."""

    code = 13


class Unavailable(ServiceError):
    """A passing fault; `retry_after` says when to come back."""

    code = 14


class DataLoss(ServiceError):
    """Stored bytes are not what was acknowledged."""

    code = 15


class Unauthenticated(ServiceError):
    """No key, or not a valid one."""

    code = 16


def _short(value: str) -> str:
    data = value.encode(errors="replace")
    return value if len(data) <= VALUE_BYTES else data[:VALUE_BYTES].decode(errors="ignore") + "…"
