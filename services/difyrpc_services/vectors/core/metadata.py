"""What may stand in metadata, ids, names and texts; refuses the rest with the path of the field."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from difyrpc_services.runtime.errors import InvalidArgument

MAX_FIELDS = 128
MAX_METADATA_BYTES = 65_536
MAX_LIST_VALUES = 1_000
MAX_ID_CHARACTERS = 256
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

FIELD_NAME = re.compile(r"[^\W\d_][\w.\-]{0,127}\Z")
COLLECTION_NAME = re.compile(r"[^\W_][\w\-]{0,63}\Z")
STREAM_ID = re.compile(r"[A-Za-z0-9_.:\-]{1,128}\Z")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

KINDS: dict[type, str] = {
    str: "text",
    bool: "bool",
    int: "number",
    float: "number",
    datetime: "time",
    list: "list",
    type(None): "null",
}


def kind_of(value: Any) -> str:
    """Answers `text`, `number`, `bool`, `time`, `null` or `list`."""
    return KINDS[type(value)]


def instant(value: datetime) -> int:
    """Answers a time as microseconds since 1970, exactly."""
    return (value - EPOCH) // MICROSECOND


def check_metadata(metadata: Mapping[str, Any], *, path: str) -> dict[str, Any]:
    """Answers the metadata as it is stored; InvalidArgument for what the contract does not allow."""
    if len(metadata) > MAX_FIELDS:
        raise InvalidArgument("METADATA_TOO_LARGE", "more than {limit} metadata fields", field=path, limit=MAX_FIELDS)
    for name in metadata:
        check_field_name(name, path=path)
    found = {name: check_value(value, path=f'{path}["{name}"]') for name, value in metadata.items()}
    size = sum(len(name.encode()) + _size(value) for name, value in found.items())
    if size > MAX_METADATA_BYTES:
        raise InvalidArgument(
            "METADATA_TOO_LARGE", "more than {limit} bytes of metadata", field=path, limit=MAX_METADATA_BYTES
        )
    return found


def check_field_name(name: str, *, path: str) -> None:
    """Refuses a name that is not a letter followed by letters, digits, `_`, `-` and `.`."""
    if not FIELD_NAME.match(name):
        raise InvalidArgument(
            "FIELD_NAME_INVALID",
            "a metadata field's name is a letter, then up to 127 letters, digits, _, - and .",
            field=path,
        )


def check_value(value: Any, *, path: str) -> Any:
    """Answers one value as it is stored; InvalidArgument for NaN, infinities, NUL and lists of lists."""
    if isinstance(value, str) and "\0" in value:
        raise InvalidArgument("TEXT_INVALID", "the text holds a NUL character", field=path)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidArgument("NUMBER_NOT_FINITE", "the number is NaN or infinite", field=path)
        return value or 0.0  # no -0.0: engines and JSON differ in what they make of it
    if isinstance(value, list):
        return _check_list(value, path)
    return value


def _check_list(values: list[Any], path: str) -> list[Any]:
    if len(values) > MAX_LIST_VALUES:
        raise InvalidArgument(
            "LIST_TOO_LONG", "the list has more than {limit} values", field=path, limit=MAX_LIST_VALUES
        )
    if any(isinstance(value, list) for value in values):
        raise InvalidArgument("LIST_IN_LIST", "a list does not hold a list", field=path)
    return [check_value(value, path=f"{path}[{index}]") for index, value in enumerate(values)]


def check_point_id(value: str, *, path: str) -> None:
    """Refuses an id that is empty, too long, or holds control characters."""
    if not value or len(value) > MAX_ID_CHARACTERS or CONTROL.search(value):
        raise InvalidArgument(
            "POINT_ID_INVALID",
            "a point's id has 1 to {limit} characters and no control characters",
            field=path,
            limit=MAX_ID_CHARACTERS,
        )


def check_text(value: str, *, path: str, limit: int) -> None:
    """Refuses a text that holds NUL or is longer than `limit` bytes."""
    if "\0" in value:
        raise InvalidArgument("TEXT_INVALID", "the text holds a NUL character", field=path)
    if len(value.encode()) > limit:
        raise InvalidArgument(
            "TEXT_TOO_LONG",
            "the text has more than {limit} bytes; split it, or raise DIFYRPC_VECTORS_MAX_TEXT_BYTES",
            field=path,
            limit=limit,
        )


def collection_name(given: str, *, path: str = "collection", default: str = "default") -> str:
    """Answers the bare name out of `collections/{name}` or `{name}`; an empty one is the default."""
    name = given.removeprefix("collections/") or default
    if not COLLECTION_NAME.match(name):
        raise InvalidArgument(
            "COLLECTION_NAME_INVALID",
            "a collection's name is a letter or digit, then up to 63 letters, digits, _ and -",
            field=path,
        )
    return name


def check_stream_id(value: str, *, path: str) -> None:
    """Refuses the id of a stream that the contract does not allow; empty is fine."""
    if value and not STREAM_ID.match(value):
        raise InvalidArgument(
            "STREAM_ID_INVALID", "a stream's id has up to 128 letters, digits, _, -, . and :", field=path
        )


def _size(value: Any) -> int:
    if isinstance(value, str):
        return len(value.encode())
    return sum(map(_size, value)) if isinstance(value, list) else 8
