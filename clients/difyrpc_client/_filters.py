"""Typed filters on metadata: `(field("year") >= 2020) & field("topic").is_in(["tax", "labour"])`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from difyrpc.vectors.v1 import filter_pb2 as pb
from difyrpc_client._message import make, several, wrong
from difyrpc_client._values import write_value

Comparable = str | int | float | datetime
Equatable = str | int | float | bool | datetime | None


class Filter:
    """A condition on metadata, or several combined with `&`, `|` and `~`; either true or false for a point.

    A field that the point does not have satisfies no positive condition and every negative one.
    """

    __hash__ = object.__hash__

    def __init__(self, node: pb.Filter) -> None:
        self._node = node

    def __and__(self, other: Filter) -> Filter:
        return Filter(pb.Filter(all_of=_joined("all_of", self, other)))

    def __or__(self, other: Filter) -> Filter:
        return Filter(pb.Filter(any_of=_joined("any_of", self, other)))

    def __invert__(self) -> Filter:
        return Filter(pb.Filter(negated=self._node))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Filter) and self._node == other._node

    def __bool__(self) -> bool:
        """Refuses `and`, `or`, `not` and chained comparisons, which Python would answer by itself."""
        raise TypeError("combine filters with &, | and ~ in parentheses, not with and, or, not")

    def __repr__(self) -> str:
        return f"Filter({self._node!s})"


def write_filter(condition: Filter | None) -> pb.Filter | None:
    """Makes the contract's filter."""
    if condition is None:
        return None
    if not isinstance(condition, Filter):
        raise wrong("filter", condition, 'a filter such as field("year") >= 2021')
    return condition._node


def _joined(kind: str, one: Filter, other: Filter) -> pb.FilterGroup:
    nodes = [one._node, other._node]
    parts = [getattr(node, kind).filters if node.WhichOneof("node") == kind else [node] for node in nodes]
    return pb.FilterGroup(filters=[node for part in parts for node in part])


def field(name: str) -> Field:
    """Names a metadata field to compare: `field("year") >= 2020`. A dot is part of the name."""
    return Field(name)


class Field:
    """One metadata field; comparing it makes a Filter. Texts compare by code point, numbers by value."""

    __hash__ = object.__hash__

    def __init__(self, name: str) -> None:
        self._name = name

    def __eq__(self, value: Equatable) -> Filter:  # type: ignore[override]  # makes a filter, as ORMs do
        return self._is(pb.OPERATOR_EQUAL, value)

    def __ne__(self, value: Equatable) -> Filter:  # type: ignore[override]
        return self._is(pb.OPERATOR_NOT_EQUAL, value)

    def __lt__(self, value: Comparable) -> Filter:
        return self._is(pb.OPERATOR_LESS, value)

    def __le__(self, value: Comparable) -> Filter:
        return self._is(pb.OPERATOR_LESS_OR_EQUAL, value)

    def __gt__(self, value: Comparable) -> Filter:
        return self._is(pb.OPERATOR_GREATER, value)

    def __ge__(self, value: Comparable) -> Filter:
        return self._is(pb.OPERATOR_GREATER_OR_EQUAL, value)

    def is_in(self, values: Iterable[Equatable]) -> Filter:
        """The field equals one of the values; none of an empty list."""
        return self._is(pb.OPERATOR_IN, list(several(values, "values")))

    def not_in(self, values: Iterable[Equatable]) -> Filter:
        """The field equals none of the values; true also where it is missing."""
        return self._is(pb.OPERATOR_NOT_IN, list(several(values, "values")))

    def contains(self, value: Equatable) -> Filter:
        """A text field has this text in it, or a list field this element."""
        return self._is(pb.OPERATOR_CONTAINS, value)

    def not_contains(self, value: Equatable) -> Filter:
        """The opposite of `contains`; true also where the field is missing."""
        return self._is(pb.OPERATOR_NOT_CONTAINS, value)

    def starts_with(self, text: str) -> Filter:
        """A text field begins with this text, taken literally."""
        return self._is(pb.OPERATOR_STARTS_WITH, text)

    def ends_with(self, text: str) -> Filter:
        """A text field ends with this text, taken literally."""
        return self._is(pb.OPERATOR_ENDS_WITH, text)

    def exists(self) -> Filter:
        """The point has the field, be it null or empty."""
        return self._stands(pb.OPERATOR_EXISTS)

    def not_exists(self) -> Filter:
        """The point does not have the field."""
        return self._stands(pb.OPERATOR_NOT_EXISTS)

    def empty(self) -> Filter:
        """The field is missing, null, an empty text or an empty list."""
        return self._stands(pb.OPERATOR_EMPTY)

    def not_empty(self) -> Filter:
        """The opposite of `empty`."""
        return self._stands(pb.OPERATOR_NOT_EMPTY)

    def _is(self, operator: pb.Operator.ValueType, value: object) -> Filter:
        written = write_value(value, f"the value of field {self._name!r}")
        return Filter(pb.Filter(condition=make(pb.Condition, field=self._name, operator=operator, value=written)))

    def _stands(self, operator: pb.Operator.ValueType) -> Filter:
        return Filter(pb.Filter(condition=make(pb.Condition, field=self._name, operator=operator)))
