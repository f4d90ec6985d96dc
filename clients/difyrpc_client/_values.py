"""Typed values of metadata, times and durations: Python ↔ contract."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf import duration_pb2, struct_pb2, timestamp_pb2

from difyrpc.type.v1 import value_pb2
from difyrpc_client._errors import InvalidArgument
from difyrpc_client._message import shown, wrong

Scalar = str | int | float | bool | datetime | None
MetadataValue = Scalar | list[Scalar]
Metadata = Mapping[str, MetadataValue]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def write_value(value: object, name: str = "value") -> value_pb2.Value:
    """Makes the contract's value; InvalidArgument names what has no kind there."""
    if value is None:
        return value_pb2.Value(null_value=struct_pb2.NULL_VALUE)
    if isinstance(value, bool):  # before int, of which it is a kind
        return value_pb2.Value(bool_value=value)
    if isinstance(value, str):
        return value_pb2.Value(string_value=_whole(value, name))
    if isinstance(value, int):
        return value_pb2.Value(int64_value=_in_range(value, name))
    if isinstance(value, float):
        return value_pb2.Value(double_value=_finite(value, name))
    if isinstance(value, datetime):
        return value_pb2.Value(time_value=write_time(value, name))
    if isinstance(value, list | tuple | set | frozenset):
        values = [write_value(one, name) for one in value]
        return value_pb2.Value(list_value=value_pb2.ListValue(values=values))
    raise InvalidArgument(f"{name} is a {type(value).__name__}; text, numbers, bool, datetime, None and lists are kept")


def read_value(value: value_pb2.Value) -> Any:
    """Answers a value as Python knows it; times are in UTC."""
    kind = value.WhichOneof("kind")
    if kind == "time_value":
        return read_time(value.time_value)
    if kind == "list_value":
        return [read_value(one) for one in value.list_value.values]
    return None if kind in (None, "null_value") else getattr(value, kind)


def write_metadata(metadata: Metadata | None) -> dict[str, value_pb2.Value]:
    """Makes a map of the contract's values."""
    if metadata is not None and not isinstance(metadata, Mapping):
        raise wrong("metadata", metadata, "a mapping of names to values")
    return {name: write_value(value, f"metadata[{name!r}]") for name, value in (metadata or {}).items()}


def read_metadata(metadata: Mapping[str, value_pb2.Value]) -> dict[str, Any]:
    """Answers metadata as Python knows it."""
    return {name: read_value(value) for name, value in metadata.items()} if metadata else {}


def write_time(moment: datetime, name: str = "time") -> timestamp_pb2.Timestamp:
    """Makes a timestamp; a time without a zone is taken as local."""
    if not isinstance(moment, datetime):
        raise wrong(name, moment, "a datetime")
    stamp = timestamp_pb2.Timestamp()
    stamp.FromDatetime(moment.astimezone(UTC))
    return stamp


def read_time(stamp: timestamp_pb2.Timestamp) -> datetime:
    """Answers the time in UTC."""
    return EPOCH + timedelta(0, stamp.seconds, stamp.nanos // 1000)  # by place: half the time that names take


def read_optional_time(message: Any, field: str) -> datetime | None:
    """Answers a field that holds a time, None where it is not set."""
    return read_time(getattr(message, field)) if message.HasField(field) else None


def write_seconds(seconds: float | timedelta, name: str = "seconds") -> duration_pb2.Duration:
    """Makes a duration out of seconds, exact to the microsecond."""
    duration = duration_pb2.Duration()
    try:
        duration.FromTimedelta(seconds if isinstance(seconds, timedelta) else timedelta(seconds=seconds))
    except (TypeError, ValueError, OverflowError):
        raise wrong(name, seconds, "seconds as a number, or a timedelta") from None
    return duration


def read_seconds(duration: duration_pb2.Duration) -> float:
    """Answers a duration in seconds."""
    return duration.seconds + duration.nanos / 1e9


def _whole(text: str, name: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidArgument(f"{name}={shown(text)} holds half a surrogate pair; give whole characters") from None
    return text


def _in_range(value: int, name: str) -> int:
    if not -(2**63) <= value < 2**63:
        raise InvalidArgument(f"{name}={value} does not fit in 64 bits; send it as text")
    return value


def _finite(value: float, name: str) -> float:
    if not math.isfinite(value):
        raise InvalidArgument(f"{name}={value} is not finite; send None where nothing is known")
    return value
