"""Reads messages of the contract into the dataclasses whose fields have their names."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from difyrpc_client._errors import InvalidArgument
from difyrpc_client._message import wrong
from difyrpc_client._values import read_metadata, read_seconds, read_time

T = TypeVar("T")
Reader = Callable[[Any], Any]

_kinds: dict[str, type[Any]] = {}
_WELL_KNOWN: dict[str, Reader] = {
    "google.protobuf.Timestamp": read_time,
    "google.protobuf.Duration": read_seconds,
}


def reads(message: type[Message]) -> Callable[[type[T]], type[T]]:
    """Declares that a dataclass is what a message becomes, wherever it stands in another."""

    def declare(kind: type[T]) -> type[T]:
        _kinds[message.DESCRIPTOR.full_name] = kind
        return kind

    return declare


def called(name: str, default: Any = None) -> Any:
    """Declares a dataclass field whose name in the message is another."""
    return dataclasses.field(default=default, metadata={"called": name})


def in_hex() -> Any:
    """Declares a dataclass field that shows the bytes of the message in hexadecimal digits."""
    return dataclasses.field(default="", metadata={"reader": bytes.hex})


def read(message: Message) -> Any:
    """Answers a message as the dataclass that was declared for it."""
    descriptor = message.DESCRIPTOR
    return made(_kinds[descriptor.full_name], {name: reader(message) for name, reader in _plan(descriptor)})


def made(kind: type[T], values: dict[str, Any]) -> T:
    """Makes a frozen dataclass without checks of its own out of all its fields.

    Its __init__ would set them one by one past its own lock, which costs more than all the reading.
    """
    value = object.__new__(kind)
    value.__dict__.update(values)
    return value


def enum_text(enum: EnumDescriptor, number: int) -> str:
    """Answers an enum's value in small letters without the enum's name; empty for unspecified and unknown ones."""
    value = enum.values_by_number.get(number)
    return value.name[len(_prefix(enum)) :].lower() if value and number else ""


def enum_number(enum: EnumDescriptor, text: str, name: str) -> int:
    """Answers the number of what `enum_text` answers; 0 for empty text; InvalidArgument names the choices."""
    if not text:
        return 0
    choices = ", ".join(enum_text(enum, one.number) for one in enum.values if one.number)
    if not isinstance(text, str):
        raise wrong(name, text, f"one of {choices}")
    value = enum.values_by_name.get(_prefix(enum) + text.upper())
    if value is None:
        raise InvalidArgument(f"{name}={text!r} is not one of {choices}")
    return int(value.number)


@cache
def _prefix(enum: EnumDescriptor) -> str:
    return str(enum.values_by_number[0].name.removesuffix("UNSPECIFIED"))


@cache
def _plan(descriptor: Descriptor) -> list[tuple[str, Reader]]:
    fields = dataclasses.fields(_kinds[descriptor.full_name])
    return [(field.name, _reader_of(field, descriptor.fields_by_name[_called(field)])) for field in fields]


def _reader_of(field: dataclasses.Field[Any], described: FieldDescriptor) -> Reader:
    own: Reader | None = field.metadata.get("reader")
    return (lambda message: own(getattr(message, described.name))) if own else _of_field(described)


def _called(field: dataclasses.Field[Any]) -> str:
    return str(field.metadata.get("called", field.name))


def _of_field(field: FieldDescriptor) -> Reader:
    name, reader = field.name, _of_value(field)
    if _is_map(field):
        return lambda message: _read_map(field, getattr(message, name))
    if field.is_repeated:
        return lambda message: tuple(reader(one) for one in getattr(message, name))
    if field.has_presence:
        return lambda message: reader(getattr(message, name)) if message.HasField(name) else None
    return lambda message: reader(getattr(message, name))


def _of_value(field: FieldDescriptor) -> Reader:
    if field.enum_type is not None:
        enum = field.enum_type
        return lambda number: enum_text(enum, number)
    if field.message_type is not None:
        return _WELL_KNOWN.get(field.message_type.full_name, read)
    return _same


def _same(value: Any) -> Any:
    return value


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _read_map(field: FieldDescriptor, entries: Any) -> dict[str, Any]:
    entry = field.message_type
    typed = entry is not None and entry.fields_by_name["value"].message_type is not None
    return read_metadata(entries) if typed else dict(entries)
