"""Turns values back into messages, for services in memory that answer what a test told them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from google.protobuf.message import Message

from difyrpc_client._shape import enum_number
from difyrpc_client._values import write_metadata, write_seconds, write_time


def fill(message: Message, value: Any) -> None:
    """Sets the fields of a message from the dataclass that it becomes when it is read."""
    for field in dataclasses.fields(value):
        described: Any = message.DESCRIPTOR.fields_by_name[field.metadata.get("called", field.name)]
        found = getattr(value, field.name)
        if found is not None:
            _set(message, described, found)


def _set(message: Message, field: Any, value: Any) -> None:
    if isinstance(value, Mapping):
        message.MergeFrom(type(message)(**{field.name: write_metadata(value)}))
    elif isinstance(value, tuple):
        _extend(getattr(message, field.name), value)
    elif isinstance(value, datetime):
        getattr(message, field.name).CopyFrom(write_time(value))
    elif dataclasses.is_dataclass(value):
        getattr(message, field.name).SetInParent()
        fill(getattr(message, field.name), value)
    elif field.message_type is not None:
        getattr(message, field.name).CopyFrom(write_seconds(value))
    elif field.enum_type is not None:
        setattr(message, field.name, enum_number(field.enum_type, value, field.name))
    elif field.type == field.TYPE_BYTES and isinstance(value, str):
        setattr(message, field.name, bytes.fromhex(value))
    else:
        setattr(message, field.name, value)


def _extend(repeated: Any, values: tuple[Any, ...]) -> None:
    for value in values:
        if dataclasses.is_dataclass(value):
            fill(repeated.add(), value)
        else:
            repeated.append(value)
