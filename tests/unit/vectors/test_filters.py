from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from difyrpc_services.runtime.errors import InvalidArgument
from difyrpc_services.vectors.core.filters import (
    AllOf,
    AnyOf,
    Condition,
    Filter,
    Negated,
    Operator,
    checked,
    matches,
)

NOON = datetime(2024, 5, 17, 12, tzinfo=UTC)
ROW: dict[str, Any] = {
    "year": 2021,
    "share": 5.0,
    "big": 2**53 + 1,
    "court": "最高人民法院",
    "tags": ["lease", 5, None],
    "nothing": None,
    "blank": "",
    "none": [],
    "open": True,
    "filed": NOON,
}


def holds(found: Filter) -> bool:
    return matches(checked(found), ROW)


@pytest.mark.parametrize(
    ("field", "operator", "value", "expected"),
    [
        ("year", Operator.EQUAL, 2021.0, True),
        ("share", Operator.EQUAL, 5, True),
        ("big", Operator.EQUAL, float(2**53), False),
        ("big", Operator.GREATER, float(2**53), True),
        ("year", Operator.EQUAL, "2021", False),
        ("year", Operator.LESS, "9", False),
        ("open", Operator.EQUAL, 1, False),
        ("open", Operator.EQUAL, True, True),
        ("filed", Operator.GREATER_OR_EQUAL, NOON, True),
        ("filed", Operator.LESS, 10**18, False),
        ("nothing", Operator.EQUAL, None, True),
        ("missing", Operator.EQUAL, None, False),
        ("missing", Operator.NOT_EQUAL, "x", True),
        ("missing", Operator.LESS, 5, False),
        ("missing", Operator.NOT_IN, ["x"], True),
        ("missing", Operator.NOT_CONTAINS, "x", True),
        ("tags", Operator.EQUAL, "lease", False),
        ("tags", Operator.CONTAINS, "lease", True),
        ("tags", Operator.CONTAINS, 5.0, True),
        ("tags", Operator.CONTAINS, None, True),
        ("tags", Operator.CONTAINS, "leas", False),
        ("court", Operator.CONTAINS, "人民", True),
        ("court", Operator.CONTAINS, "", True),
        ("court", Operator.STARTS_WITH, "最高", True),
        ("court", Operator.ENDS_WITH, "法院", True),
        ("court", Operator.ENDS_WITH, "", True),
        ("year", Operator.CONTAINS, "20", False),
        ("year", Operator.IN, [], False),
        ("year", Operator.IN, ["2021", 2021], True),
        ("year", Operator.NOT_IN, [], True),
    ],
)
def test_a_condition_means_what_the_contract_says(field: str, operator: Operator, value: Any, expected: bool) -> None:
    assert holds(Condition(field, operator, value)) is expected


@pytest.mark.parametrize(
    ("field", "exists", "empty"),
    [
        ("year", True, False),
        ("nothing", True, True),
        ("blank", True, True),
        ("none", True, True),
        ("tags", True, False),
        ("missing", False, True),
    ],
)
def test_presence_and_emptiness_are_two_things(field: str, exists: bool, empty: bool) -> None:
    assert holds(Condition(field, Operator.EXISTS, has_value=False)) is exists
    assert holds(Condition(field, Operator.NOT_EXISTS, has_value=False)) is not exists
    assert holds(Condition(field, Operator.EMPTY, has_value=False)) is empty
    assert holds(Condition(field, Operator.NOT_EMPTY, has_value=False)) is not empty


def test_groups_without_parts_are_true_and_false() -> None:
    assert holds(AllOf(()))
    assert not holds(AnyOf(()))
    assert holds(Negated(AnyOf(())))


@pytest.mark.parametrize(
    ("operator", "value", "has_value"),
    [
        (Operator.EQUAL, [1], True),
        (Operator.EQUAL, None, False),
        (Operator.LESS, True, True),
        (Operator.LESS, None, True),
        (Operator.IN, 5, True),
        (Operator.STARTS_WITH, 5, True),
        (Operator.EXISTS, 5, True),
        (Operator.NOT_EMPTY, None, True),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused(operator: Operator, value: Any, has_value: bool) -> None:
    with pytest.raises(InvalidArgument) as caught:
        checked(Condition("year", operator, value, has_value))
    assert caught.value.reason == "FILTER_VALUE_KIND"
    assert caught.value.violations[0].field == "filter.condition.value"


@pytest.mark.parametrize("name", ["", "1a", "_a", "a b", "a'b", 'a"', "a;b", "a$", "a/b", "a\n", "x" * 129])
def test_a_field_name_outside_of_the_whitelist_is_refused(name: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        checked(AllOf((Condition("ok", Operator.EQUAL, 1), Negated(Condition(name, Operator.EQUAL, 1)))))
    assert caught.value.reason == "FIELD_NAME_INVALID"
    assert caught.value.violations[0].field == "filter.all_of.filters[1].negated.condition.field"


def test_depth_and_size_are_limited() -> None:
    leaf: Filter = Condition("a", Operator.EQUAL, 1)
    deep = leaf
    for _ in range(7):
        deep = Negated(deep)
    checked(deep)
    checked(AllOf((leaf,) * 127))
    for found, reason in ((Negated(deep), "FILTER_TOO_DEEP"), (AllOf((leaf,) * 128), "FILTER_TOO_LARGE")):
        with pytest.raises(InvalidArgument) as caught:
            checked(found)
        assert caught.value.reason == reason
