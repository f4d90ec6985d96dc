"""Filters read like conditions and mean what the contract says."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from difyrpc.vectors.v1 import filter_pb2 as pb
from difyrpc_client import InvalidArgument, field
from difyrpc_client._filters import write_filter
from difyrpc_client._values import read_value


@pytest.mark.parametrize(
    ("condition", "operator", "value"),
    [
        (field("a") == 5, "EQUAL", 5),
        (field("a") == None, "EQUAL", None),  # noqa: E711  # a filter, not a test
        (field("a") != "x", "NOT_EQUAL", "x"),
        (field("a") < 1.5, "LESS", 1.5),
        (field("a") <= 1, "LESS_OR_EQUAL", 1),
        (field("a") > datetime(2024, 1, 1, tzinfo=UTC), "GREATER", datetime(2024, 1, 1, tzinfo=UTC)),
        (field("a") >= "m", "GREATER_OR_EQUAL", "m"),
        (field("a").is_in(["x", 1]), "IN", ["x", 1]),
        (field("a").not_in([]), "NOT_IN", []),
        (field("a").contains("x"), "CONTAINS", "x"),
        (field("a").not_contains(True), "NOT_CONTAINS", True),
        (field("a").starts_with("x"), "STARTS_WITH", "x"),
        (field("a").ends_with("x"), "ENDS_WITH", "x"),
    ],
)
def test_every_comparison_has_its_operator(condition, operator: str, value: object) -> None:
    written = write_filter(condition).condition
    assert (written.field, pb.Operator.Name(written.operator)) == ("a", f"OPERATOR_{operator}")
    assert read_value(written.value) == value
    assert type(read_value(written.value)) is type(value)


@pytest.mark.parametrize("name", ["exists", "not_exists", "empty", "not_empty"])
def test_conditions_on_presence_take_no_value(name: str) -> None:
    written = write_filter(getattr(field("a"), name)()).condition
    assert pb.Operator.Name(written.operator) == f"OPERATOR_{name.upper()}"
    assert not written.HasField("value")


def test_filters_combine_flat() -> None:
    a, b, c = field("a") == 1, field("b") == 2, field("c") == 3
    assert len(write_filter(a & b & c).all_of.filters) == 3
    assert len(write_filter(a | b | c).any_of.filters) == 3
    mixed = write_filter((a | b) & ~c)
    assert [node.WhichOneof("node") for node in mixed.all_of.filters] == ["any_of", "negated"]
    assert write_filter(None) is None


def test_python_words_that_would_lose_a_condition_are_refused() -> None:
    with pytest.raises(TypeError, match="&"):
        (field("a") == 1) and (field("b") == 2)
    with pytest.raises(TypeError, match="&"):
        1 < field("a") < 5  # noqa: B015


@pytest.mark.parametrize("value", [object(), float("nan"), 2**63])
def test_values_that_the_contract_cannot_hold_are_named(value: object) -> None:
    with pytest.raises(InvalidArgument, match="field 'a'"):
        field("a") == value  # noqa: B015
