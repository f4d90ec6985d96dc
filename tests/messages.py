"""Random messages of any contract, made from descriptors: valid on the wire, hostile in what they say."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import strategies as st

DEPTH = 4  # of nested messages; below it they stay empty
HOSTILE = [
    "",
    " ",
    "\x00",
    "a\x00b",
    "default",
    "files/../../etc/passwd",
    "files/00000000-0000-0000-0000-000000000000",
    "uploads/x",
    "collections/default",
    "'; DROP TABLE files; --",
    "%s %(a)s {0} {x}",
    "\u202e\ufeff\ud7ff",
    "第一条",
    "a" * 5000,
    "NaN",
    "http://127.0.0.1/",
    "*",
    "_",
    "\\",
]
INTS = [0, 1, -1, 2, 10, 1000, 2**31 - 1, -(2**31), 2**63 - 1, -(2**63), 2**32 - 1, 2**64 - 1]
FLOATS = [0.0, -0.0, 1.0, -1.0, 0.5, 1e300, 1e-300, float("inf"), float("-inf"), float("nan")]
BYTES = [b"", b"\x00", b"\xff" * 7, b"%PDF-1.7\n", b"PK\x03\x04", b"plain text", b"\x00" * 1536, b"<html><p>x"]
RANGES = {
    FieldDescriptor.TYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_SINT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_SFIXED32: (-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.TYPE_FIXED32: (0, 2**32 - 1),
    FieldDescriptor.TYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_SINT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_SFIXED64: (-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_UINT64: (0, 2**64 - 1),
    FieldDescriptor.TYPE_FIXED64: (0, 2**64 - 1),
}


@st.composite
def messages(draw: st.DrawFn, descriptor: Descriptor, depth: int = DEPTH) -> Message:
    """A message whose fields are set at random, one at most of each oneof."""
    message = GetMessageClass(descriptor)()
    for field in _chosen_fields(draw, descriptor):
        if field.message_type is not None and depth == 0:
            continue
        _fill(draw, message, field, depth)
    return message


def _chosen_fields(draw: st.DrawFn, descriptor: Descriptor) -> list[FieldDescriptor]:
    chosen = [draw(st.sampled_from(oneof.fields)) for oneof in descriptor.oneofs if draw(st.integers(0, 3))]
    free = [field for field in descriptor.fields if field.containing_oneof is None]
    return chosen + [field for field in free if draw(st.booleans())]


def _fill(draw: st.DrawFn, message: Message, field: FieldDescriptor, depth: int) -> None:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        _fill_map(draw, getattr(message, field.name), field.message_type, depth)
    elif field.is_repeated:
        values = draw(st.lists(_value(field, depth), max_size=3))
        getattr(message, field.name).extend(values)
    elif field.message_type is not None:
        getattr(message, field.name).CopyFrom(draw(_value(field, depth)))
    else:
        setattr(message, field.name, draw(_value(field, depth)))


def _fill_map(draw: st.DrawFn, entries: Any, entry: Descriptor, depth: int) -> None:
    key, value = entry.fields_by_name["key"], entry.fields_by_name["value"]
    for name in draw(st.lists(_value(key, depth), max_size=2)):
        if value.message_type is None:
            entries[name] = draw(_value(value, depth))
        else:
            entries[name].CopyFrom(draw(_value(value, depth)))


def _value(field: FieldDescriptor, depth: int) -> st.SearchStrategy[Any]:
    if field.message_type is not None:
        return messages(field.message_type, depth - 1)
    if field.type == FieldDescriptor.TYPE_STRING:
        return st.sampled_from(HOSTILE) | st.text(st.characters(codec="utf-8"), max_size=20)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return st.sampled_from(BYTES) | st.binary(max_size=64)
    if field.type == FieldDescriptor.TYPE_BOOL:
        return st.booleans()
    if field.type == FieldDescriptor.TYPE_ENUM:
        return st.sampled_from([value.number for value in field.enum_type.values] + [77])
    if field.type in (FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FLOAT):
        return st.sampled_from(FLOATS)
    low, high = RANGES[field.type]
    return st.sampled_from([number for number in INTS if low <= number <= high]) | st.integers(low, high)
