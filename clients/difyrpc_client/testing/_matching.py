"""Which points a filter means, and how alike two texts are by their words."""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from difyrpc.vectors.v1 import filter_pb2 as pb
from difyrpc_client._values import read_metadata, read_value

DIMENSION = 256
WORD = re.compile(r"[a-z0-9]+|[\u3040-\u9fff]", re.I)


class _Missing:
    """Stands for a field that a point does not have."""


MISSING = _Missing()


def embed(text: str) -> list[float]:
    """Makes a vector of length 1 out of the words of a text, and the characters of a Chinese one."""
    vector = [0.0] * DIMENSION
    for word in WORD.findall(text.lower()):
        vector[zlib.crc32(word.encode()) % DIMENSION] += 1.0
    length = math.hypot(*vector)
    return [number / length for number in vector] if length else vector


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    """Answers how alike two vectors are, -1 to 1; 0 for one of zeros."""
    lengths = math.hypot(*one) * math.hypot(*other)
    return sum(a * b for a, b in zip(one, other, strict=True)) / lengths if lengths else 0.0


def matches(node: pb.Filter, metadata: Mapping[str, Any]) -> bool:
    """Answers whether a filter is true for the metadata of a point."""
    kind = node.WhichOneof("node")
    if kind == "all_of":
        return all(matches(one, metadata) for one in node.all_of.filters)
    if kind == "any_of":
        return any(matches(one, metadata) for one in node.any_of.filters)
    if kind == "negated":
        return not matches(node.negated, metadata)
    condition = node.condition
    found = read_metadata(metadata).get(condition.field, MISSING)
    return _TESTS[condition.operator](found, read_value(condition.value))


def _equal(found: Any, value: Any) -> bool:
    return found is not MISSING and _kind(found) == _kind(value) != "list" and found == value


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, datetime):
        return "time"
    return type(value).__name__


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    comparable = ("number", "str", "time")
    return lambda found, value: _kind(found) == _kind(value) and _kind(found) in comparable and compare(found, value)


def _in(found: Any, values: Any) -> bool:
    return any(_equal(found, value) for value in values)


def _contains(found: Any, value: Any) -> bool:
    if isinstance(found, list):
        return any(_equal(one, value) for one in found)
    return isinstance(found, str) and isinstance(value, str) and value in found


def _empty(found: Any) -> bool:
    return found is MISSING or found is None or found in ("", [])


def _text(test: Callable[[str, str], bool]) -> Callable[[Any, Any], bool]:
    return lambda found, value: isinstance(found, str) and isinstance(value, str) and test(found, value)


_TESTS: dict[int, Callable[[Any, Any], bool]] = {
    pb.OPERATOR_EQUAL: _equal,
    pb.OPERATOR_NOT_EQUAL: lambda found, value: not _equal(found, value),
    pb.OPERATOR_LESS: _ordered(lambda found, value: found < value),
    pb.OPERATOR_LESS_OR_EQUAL: _ordered(lambda found, value: found <= value),
    pb.OPERATOR_GREATER: _ordered(lambda found, value: found > value),
    pb.OPERATOR_GREATER_OR_EQUAL: _ordered(lambda found, value: found >= value),
    pb.OPERATOR_IN: _in,
    pb.OPERATOR_NOT_IN: lambda found, values: not _in(found, values),
    pb.OPERATOR_CONTAINS: _contains,
    pb.OPERATOR_NOT_CONTAINS: lambda found, value: not _contains(found, value),
    pb.OPERATOR_STARTS_WITH: _text(str.startswith),
    pb.OPERATOR_ENDS_WITH: _text(str.endswith),
    pb.OPERATOR_EXISTS: lambda found, _: found is not MISSING,
    pb.OPERATOR_NOT_EXISTS: lambda found, _: found is MISSING,
    pb.OPERATOR_EMPTY: lambda found, _: _empty(found),
    pb.OPERATOR_NOT_EMPTY: lambda found, _: not _empty(found),
}
