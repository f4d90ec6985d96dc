"""Checked filters as SQL over the jsonb column `metadata`: names and values are always parameters.

Every piece is true or false, never NULL, so NOT means what the contract says. Pieces of the form `metadata @> …`
can be answered by the collection's index on metadata.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, LiteralString, TypeAlias

from psycopg import sql

from difyrpc_services.vectors.backends.postgres_values import to_json, value_to_json
from difyrpc_services.vectors.core.filters import AllOf, AnyOf, Condition, Filter, Negated, Operator
from difyrpc_services.vectors.core.metadata import kind_of

INDEXED_CHOICES = 16
"""Up to this many values `IN` is written as a chain that the index can answer."""


@dataclass(frozen=True)
class Piece:
    """A condition in SQL, with its parameters in order."""

    text: LiteralString
    parameters: tuple[Any, ...] = ()

    @property
    def composed(self) -> sql.SQL:
        """Answers it as a part of a statement."""
        return sql.SQL(self.text)


Translate: TypeAlias = Callable[[Condition], Piece]

EVERYTHING = Piece("true")


def where(found: Filter | None) -> Piece:
    """Translates a checked filter; none is everything."""
    match found:
        case None:
            return EVERYTHING
        case AllOf(filters):
            return _joined(" AND ", [where(part) for part in filters], "true")
        case AnyOf(filters):
            return _joined(" OR ", [where(part) for part in filters], "false")
        case Negated(part):
            inner = where(part)
            return Piece("NOT (" + inner.text + ")", inner.parameters)
        case Condition():
            return TRANSLATIONS[found.operator](found)


def _joined(word: LiteralString, pieces: list[Piece], when_empty: LiteralString) -> Piece:
    if not pieces:
        return Piece(when_empty)
    text: LiteralString = "(" + word.join([piece.text for piece in pieces]) + ")"
    return Piece(text, tuple(parameter for piece in pieces for parameter in piece.parameters))


def _equal(found: Condition) -> Piece:
    return Piece("metadata @> %s::jsonb", (to_json({found.field: found.value}),))


def _in(found: Condition) -> Piece:
    if len(found.value) <= INDEXED_CHOICES:
        choices = [_equal(Condition(found.field, Operator.EQUAL, value)) for value in found.value]
        return _joined(" OR ", choices, "false")
    values = [value_to_json(value) for value in found.value]
    return Piece("COALESCE(metadata -> %s::text = ANY(%s::text[]::jsonb[]), false)", (found.field, values))


def _ordered(number: LiteralString, text: LiteralString, time: LiteralString) -> Translate:
    by_kind = {"number": number, "text": text, "time": time}

    def translate(found: Condition) -> Piece:
        kind = kind_of(found.value)
        if kind == "time":
            limit = str(value_to_json(found.value)).removeprefix('{"t":').removesuffix("}")
            return Piece(by_kind[kind], (found.field, limit))
        limit = found.value if kind == "text" else value_to_json(found.value)
        return Piece(by_kind[kind], (found.field, found.field, limit))

    return translate


def _contains(found: Condition) -> Piece:
    element = Piece("metadata @> %s::jsonb", (to_json({found.field: [found.value]}),))
    if not isinstance(found.value, str):
        return element
    part = Piece(
        "CASE WHEN jsonb_typeof(metadata -> %s::text) = 'string' "
        "THEN strpos(metadata ->> %s::text, %s::text) > 0 ELSE false END",
        (found.field, found.field, found.value),
    )
    return _joined(" OR ", [element, part], "false")


def _starts_with(found: Condition) -> Piece:
    return Piece(
        "CASE WHEN jsonb_typeof(metadata -> %s::text) = 'string' "
        "THEN starts_with(metadata ->> %s::text, %s::text) ELSE false END",
        (found.field, found.field, found.value),
    )


def _ends_with(found: Condition) -> Piece:
    return Piece(
        "CASE WHEN jsonb_typeof(metadata -> %s::text) = 'string' "
        "THEN right(metadata ->> %s::text, length(%s::text)) = %s::text ELSE false END",
        (found.field, found.field, found.value, found.value),
    )


def _exists(found: Condition) -> Piece:
    return Piece("metadata ? %s::text", (found.field,))


def _empty(found: Condition) -> Piece:
    return Piece("COALESCE(metadata -> %s::text IN ('null'::jsonb, '\"\"'::jsonb, '[]'::jsonb), true)", (found.field,))


TRANSLATIONS: dict[Operator, Translate] = {
    Operator.EQUAL: _equal,
    Operator.IN: _in,
    Operator.LESS: _ordered(
        "CASE WHEN jsonb_typeof(metadata -> %s::text) = 'number' THEN metadata -> %s::text < %s::jsonb ELSE false END",
        "CASE WHEN jsonb_typeof(metadata -> %s::text) = 'string' "
        'THEN (metadata ->> %s::text) COLLATE "C" < %s::text ELSE false END',
        "COALESCE(metadata -> %s::text -> 't' < %s::jsonb, false)",
    ),
    Operator.LESS_OR_EQUAL: _ordered(
        "CASE WHEN jsonb_typeof(metadata -> %s::text) = 'number' THEN metadata -> %s::text <= %s::jsonb ELSE false END",
        "CASE WHEN jsonb_typeof(metadata -> %s::text) = 'string' "
        'THEN (metadata ->> %s::text) COLLATE "C" <= %s::text ELSE false END',
        "COALESCE(metadata -> %s::text -> 't' <= %s::jsonb, false)",
    ),
    Operator.GREATER: _ordered(
        "CASE WHEN jsonb_typeof(metadata -> %s::text) = 'number' THEN metadata -> %s::text > %s::jsonb ELSE false END",
        "CASE WHEN jsonb_typeof(metadata -> %s::text) = 'string' "
        'THEN (metadata ->> %s::text) COLLATE "C" > %s::text ELSE false END',
        "COALESCE(metadata -> %s::text -> 't' > %s::jsonb, false)",
    ),
    Operator.GREATER_OR_EQUAL: _ordered(
        "CASE WHEN jsonb_typeof(metadata -> %s::text) = 'number' THEN metadata -> %s::text >= %s::jsonb ELSE false END",
        "CASE WHEN jsonb_typeof(metadata -> %s::text) = 'string' "
        'THEN (metadata ->> %s::text) COLLATE "C" >= %s::text ELSE false END',
        "COALESCE(metadata -> %s::text -> 't' >= %s::jsonb, false)",
    ),
    Operator.CONTAINS: _contains,
    Operator.STARTS_WITH: _starts_with,
    Operator.ENDS_WITH: _ends_with,
    Operator.EXISTS: _exists,
    Operator.EMPTY: _empty,
}
