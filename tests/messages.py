"""Random messages of any contract, made from descriptors: valid on the wire, hostile in what they say."""

from __future__ import annotations

from random import Random
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

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


def message_of(descriptor: Descriptor, random: Random, depth: int = DEPTH) -> Message:
    """Makes a message whose fields are set at random, one at most of each oneof; the same for the same state."""
    message = GetMessageClass(descriptor)()
    for field in _chosen_fields(descriptor, random):
        if field.message_type is None or depth > 0:
            _fill(message, field, random, depth)
    return message


def _chosen_fields(descriptor: Descriptor, random: Random) -> list[FieldDescriptor]:
    chosen = [random.choice(oneof.fields) for oneof in descriptor.oneofs if random.random() < 0.75]
    free = [field for field in descriptor.fields if field.containing_oneof is None]
    return chosen + [field for field in free if random.random() < 0.5]


def _fill(message: Message, field: FieldDescriptor, random: Random, depth: int) -> None:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        _fill_map(getattr(message, field.name), field.message_type, random, depth)
    elif field.is_repeated:
        values = [_value(field, random, depth) for _ in range(random.randrange(4))]
        getattr(message, field.name).extend(values)
    elif field.message_type is not None:
        getattr(message, field.name).CopyFrom(_value(field, random, depth))
    else:
        setattr(message, field.name, _value(field, random, depth))


def _fill_map(entries: Any, entry: Descriptor, random: Random, depth: int) -> None:
    key, value = entry.fields_by_name["key"], entry.fields_by_name["value"]
    for _ in range(random.randrange(3)):
        name = _value(key, random, depth)
        if value.message_type is None:
            entries[name] = _value(value, random, depth)
        else:
            entries[name].CopyFrom(_value(value, random, depth))


def _value(field: FieldDescriptor, random: Random, depth: int) -> Any:
    if field.message_type is not None:
        return message_of(field.message_type, random, depth - 1)
    if field.type == FieldDescriptor.TYPE_STRING:
        return random.choice(HOSTILE) if random.random() < 0.6 else _text(random)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return random.choice(BYTES) if random.random() < 0.6 else random.randbytes(random.randrange(64))
    if field.type == FieldDescriptor.TYPE_BOOL:
        return random.random() < 0.5
    if field.type == FieldDescriptor.TYPE_ENUM:
        return random.choice([value.number for value in field.enum_type.values] + [77])
    if field.type in (FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FLOAT):
        return random.choice(FLOATS)
    low, high = RANGES[field.type]
    fitting = [number for number in INTS if low <= number <= high]
    return random.choice(fitting) if random.random() < 0.7 else random.randint(low, high)


def _text(random: Random) -> str:
    points = [random.choice((random.randrange(1, 0xD800), random.randrange(0xE000, 0x110000))) for _ in range(20)]
    return "".join(map(chr, points[: random.randrange(20)]))
