"""Filters on metadata: the tree, its rules, and the evaluation that every engine is held to.

Filter.proto states the semantics. A checked filter has positive operators only: NOT_EQUAL and its like become a
`Negated` of their opposite, so an engine translates eleven operators and three connectives.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias

from difyrpc_services.runtime.errors import InvalidArgument
from difyrpc_services.vectors.core.metadata import check_field_name, check_value, kind_of

MAX_DEPTH = 8
MAX_NODES = 128


class Operator(Enum):
    """How a field is compared."""

    EQUAL = "equal"
    LESS = "less"
    LESS_OR_EQUAL = "less_or_equal"
    GREATER = "greater"
    GREATER_OR_EQUAL = "greater_or_equal"
    IN = "in"
    CONTAINS = "contains"
    STARTS_WITH = "starts_with"
    ENDS_WITH = "ends_with"
    EXISTS = "exists"
    EMPTY = "empty"
    NOT_EQUAL = "not_equal"
    NOT_IN = "not_in"
    NOT_CONTAINS = "not_contains"
    NOT_EXISTS = "not_exists"
    NOT_EMPTY = "not_empty"


OPPOSITES = {
    Operator.NOT_EQUAL: Operator.EQUAL,
    Operator.NOT_IN: Operator.IN,
    Operator.NOT_CONTAINS: Operator.CONTAINS,
    Operator.NOT_EXISTS: Operator.EXISTS,
    Operator.NOT_EMPTY: Operator.EMPTY,
}

SCALARS = frozenset({"text", "number", "bool", "time", "null"})
ORDERED = frozenset({"text", "number", "time"})
KINDS = {
    Operator.EQUAL: SCALARS,
    Operator.LESS: ORDERED,
    Operator.LESS_OR_EQUAL: ORDERED,
    Operator.GREATER: ORDERED,
    Operator.GREATER_OR_EQUAL: ORDERED,
    Operator.IN: frozenset({"list"}),
    Operator.CONTAINS: SCALARS,
    Operator.STARTS_WITH: frozenset({"text"}),
    Operator.ENDS_WITH: frozenset({"text"}),
    Operator.EXISTS: frozenset[str](),
    Operator.EMPTY: frozenset[str](),
}
"""Which kinds of values an operator takes; none: no value at all."""


@dataclass(frozen=True)
class AllOf:
    """True if all are true."""

    filters: tuple[Filter, ...]


@dataclass(frozen=True)
class AnyOf:
    """True if at least one is true."""

    filters: tuple[Filter, ...]


@dataclass(frozen=True)
class Negated:
    """True if the other is false."""

    filter: Filter


@dataclass(frozen=True)
class Condition:
    """One field compared with one value."""

    field: str
    operator: Operator
    value: Any = None
    """A metadata value; None is null."""
    has_value: bool = True
    """Whether a value was given at all."""


Filter: TypeAlias = AllOf | AnyOf | Negated | Condition


def checked(found: Filter, *, path: str = "filter") -> Filter:
    """Answers the filter with positive operators only; InvalidArgument for what the contract does not allow."""
    _Budget(path).spend(found, 1)
    return _checked(found, path)


def matches(found: Filter, metadata: Mapping[str, Any]) -> bool:
    """Evaluates a checked filter on one point's metadata: the reference for all engines."""
    match found:
        case AllOf(filters):
            return all(matches(part, metadata) for part in filters)
        case AnyOf(filters):
            return any(matches(part, metadata) for part in filters)
        case Negated(part):
            return not matches(part, metadata)
        case Condition(field=name, operator=Operator.EXISTS):
            return name in metadata
        case Condition(field=name, operator=Operator.EMPTY):
            return metadata.get(name) in (None, "", [])
        case Condition(field=name):
            return name in metadata and TESTS[found.operator](metadata[name], found.value)


def equal(one: Any, other: Any) -> bool:
    """Answers whether two values are of one kind and the same; numbers by value, lists never."""
    kind = kind_of(one)
    return kind == kind_of(other) and kind != "list" and bool(one == other)


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def test(one: Any, other: Any) -> bool:
        kind = kind_of(one)
        return kind == kind_of(other) and kind in ORDERED and compare(one, other)

    return test


def _contains(one: Any, other: Any) -> bool:
    if isinstance(one, list):
        return any(equal(element, other) for element in one)
    return isinstance(one, str) and isinstance(other, str) and other in one


TESTS: dict[Operator, Callable[[Any, Any], bool]] = {
    Operator.EQUAL: equal,
    Operator.LESS: _ordered(operator.lt),
    Operator.LESS_OR_EQUAL: _ordered(operator.le),
    Operator.GREATER: _ordered(operator.gt),
    Operator.GREATER_OR_EQUAL: _ordered(operator.ge),
    Operator.IN: lambda one, others: any(equal(one, other) for other in others),
    Operator.CONTAINS: _contains,
    Operator.STARTS_WITH: lambda one, start: isinstance(one, str) and one.startswith(start),
    Operator.ENDS_WITH: lambda one, end: isinstance(one, str) and one.endswith(end),
}


class _Budget:
    """Counts the nodes and levels of a filter before anything else looks at it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.nodes = 0

    def spend(self, found: Filter, depth: int) -> None:
        self.nodes += 1
        if depth > MAX_DEPTH:
            raise InvalidArgument(
                "FILTER_TOO_DEEP", "the filter is more than {limit} levels deep", field=self.path, limit=MAX_DEPTH
            )
        if self.nodes > MAX_NODES:
            raise InvalidArgument(
                "FILTER_TOO_LARGE", "the filter has more than {limit} nodes", field=self.path, limit=MAX_NODES
            )
        for part in _parts(found):
            self.spend(part, depth + 1)


def _parts(found: Filter) -> tuple[Filter, ...]:
    match found:
        case AllOf(filters) | AnyOf(filters):
            return filters
        case Negated(part):
            return (part,)
        case _:
            return ()


def _checked(found: Filter, path: str) -> Filter:
    match found:
        case AllOf(filters):
            return AllOf(_each(filters, f"{path}.all_of"))
        case AnyOf(filters):
            return AnyOf(_each(filters, f"{path}.any_of"))
        case Negated(part):
            return Negated(_checked(part, f"{path}.negated"))
        case Condition():
            return _condition(found, f"{path}.condition")


def _each(filters: tuple[Filter, ...], path: str) -> tuple[Filter, ...]:
    return tuple(_checked(part, f"{path}.filters[{index}]") for index, part in enumerate(filters))


def _condition(found: Condition, path: str) -> Filter:
    check_field_name(found.field, path=f"{path}.field")
    positive = OPPOSITES.get(found.operator, found.operator)
    value = _operand(found, KINDS[positive], f"{path}.value")
    made = Condition(found.field, positive, value, found.has_value)
    return made if positive is found.operator else Negated(made)


def _operand(found: Condition, kinds: frozenset[str], path: str) -> Any:
    given = kind_of(found.value) if found.has_value else "no value"
    if given not in (kinds or {"no value"}):
        raise InvalidArgument(
            "FILTER_VALUE_KIND",
            "operator {operator} takes {takes}, and was given {given}",
            field=path,
            operator=found.operator.name,
            takes=" or ".join(sorted(kinds)) or "no value",
            given=given,
        )
    return check_value(found.value, path=path) if found.has_value else None
