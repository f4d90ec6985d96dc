"""How metadata and vectors are written for PostgreSQL.

Metadata is jsonb: texts, bools, nulls and lists as themselves, a time as `{"t": microseconds}`, a whole number without
a point and a double always with one. PostgreSQL keeps numbers exact and their trailing zeros, so both kinds of number
compare by value and come back as what they were.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import numpy as np
from psycopg.adapt import Buffer, Dumper
from psycopg.pq import Format

from difyrpc_services.vectors.core.metadata import EPOCH, MICROSECOND, instant
from difyrpc_services.vectors.core.values import Floats


class Binary:
    """A parameter in the server's own binary form; its type comes from the cast in the statement."""

    def __init__(self, data: bytes) -> None:
        """Takes the bytes as the type's receive function wants them."""
        self.data = data


class BinaryDumper(Dumper):
    """Sends a `Binary` as it is."""

    format = Format.BINARY

    def dump(self, obj: Binary) -> Buffer:
        """Answers the bytes."""
        return obj.data


def to_json(metadata: Mapping[str, Any]) -> str:
    """Writes metadata as the text of its jsonb."""
    return "{" + ",".join(f"{json.dumps(name)}:{value_to_json(value)}" for name, value in metadata.items()) + "}"


def value_to_json(value: Any) -> str:
    """Writes one value as the text of its jsonb."""
    if isinstance(value, float):
        return _double(value)
    if isinstance(value, datetime):
        return f'{{"t":{instant(value)}}}'
    if isinstance(value, list):
        return "[" + ",".join(map(value_to_json, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def from_json(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Reads metadata back out of what the driver made of its jsonb."""
    return {name: _from_json(value) for name, value in metadata.items()}


def _from_json(value: Any) -> Any:
    if isinstance(value, dict):
        return EPOCH + value["t"] * MICROSECOND
    return list(map(_from_json, value)) if isinstance(value, list) else value


def _double(value: float) -> str:
    """Writes a double so that it compares exactly with whole numbers and reads back as the same double.

    A whole double is written out in full, since its shortest form may stand for another whole number.
    """
    return f"{int(value)}.0" if value.is_integer() else format(Decimal(repr(value)), "f")


def vector_parameter(vector: Floats) -> Binary:
    """Writes one vector for `%b::vector`."""
    return Binary(struct.pack(">hh", vector.size, 0) + vector.astype(">f4").tobytes())


def vectors_parameter(vectors: Sequence[Floats], type_oid: int) -> Binary:
    """Writes several vectors of one dimension for `%b::vector[]`, without a Python loop over numbers."""
    matrix = np.stack(vectors)
    count, dimension = matrix.shape
    rows = np.zeros(count, dtype=[("bytes", ">i4"), ("size", ">i2"), ("zero", ">i2"), ("numbers", ">f4", (dimension,))])
    rows["bytes"] = 4 + 4 * dimension
    rows["size"] = dimension
    rows["numbers"] = matrix
    return Binary(struct.pack(">iiIii", 1, 0, type_oid, count, 1) + rows.tobytes())


def vector_from(sent: bytes | None) -> Floats | None:
    """Reads what `vector_send` answers."""
    return None if sent is None else np.frombuffer(sent, dtype=">f4", offset=4).astype(np.float32)
