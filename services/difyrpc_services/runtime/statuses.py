"""Turns a ServiceError into what gRPC sends: code, message and google.rpc details."""

from __future__ import annotations

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from difyrpc_services.runtime.errors import ServiceError

DOMAIN = "difyrpc"
REQUEST_ID_KEY = "x-request-id"
DETAILS_KEY = "grpc-status-details-bin"
CODES = {code.value[0]: code for code in grpc.StatusCode}


def code_of(error: ServiceError) -> grpc.StatusCode:
    """Answers the gRPC status code of an error."""
    return CODES[error.code]


def trailers(error: ServiceError, request_id: str) -> tuple[tuple[str, str | bytes], ...]:
    """Answers the trailing metadata that carries the call's id and the error's details."""
    return ((REQUEST_ID_KEY, request_id), (DETAILS_KEY, status_of(error).SerializeToString()))


def status_of(error: ServiceError) -> status_pb2.Status:
    """Answers the error as a google.rpc.Status."""
    return status_pb2.Status(code=error.code, message=error.message, details=list(map(_packed, _details(error))))


def _details(error: ServiceError) -> list[Message]:
    details: list[Message] = [error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata)]
    if error.violations:
        bad = error_details_pb2.BadRequest()
        for violation in error.violations:
            bad.field_violations.add(field=violation.field, description=violation.description, reason=error.reason)
        details.append(bad)
    if error.quota_of:
        quota = error_details_pb2.QuotaFailure()
        quota.violations.add(subject=error.quota_of, description=error.message)
        details.append(quota)
    if error.retry_after is not None:
        delay = Duration()
        delay.FromNanoseconds(int(error.retry_after * 1e9))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    return details


def _packed(message: Message) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(message)
    return packed
