"""Reads what a failed call carries."""

from __future__ import annotations

from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2


def details(error: grpc.aio.AioRpcError, kind: type[Any]) -> Any:
    """The detail of one kind that the error carries, None when it carries none."""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            for detail in status_pb2.Status.FromString(value).details:
                found = kind()
                if detail.Unpack(found):
                    return found
    return None


def reason(error: grpc.aio.AioRpcError) -> str:
    """The ErrorInfo's reason; every error of ours has one."""
    info = details(error, error_details_pb2.ErrorInfo)
    assert info is not None, f"no ErrorInfo on {error.code()}: {error.details()}"
    assert info.domain == "difyrpc"
    return str(info.reason)


def info(error: grpc.aio.AioRpcError) -> dict[str, str]:
    """The ErrorInfo's metadata."""
    return dict(details(error, error_details_pb2.ErrorInfo).metadata)


def retry_seconds(error: grpc.aio.AioRpcError) -> float | None:
    """The seconds of RetryInfo, None without one."""
    retry = details(error, error_details_pb2.RetryInfo)
    return None if retry is None else retry.retry_delay.ToNanoseconds() / 1e9


def fields(error: grpc.aio.AioRpcError) -> list[str]:
    """The fields that BadRequest names."""
    bad = details(error, error_details_pb2.BadRequest)
    return [] if bad is None else [violation.field for violation in bad.field_violations]
