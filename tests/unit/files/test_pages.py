"""Page tokens: what was encoded comes back, and only to the question that it was made for."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from difyrpc_services.runtime import pages
from difyrpc_services.runtime.errors import InvalidArgument

SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"))


@given(position=st.dictionaries(TEXTS, SCALARS | TEXTS, max_size=4), bound_to=st.lists(SCALARS | TEXTS, max_size=4))
def test_a_position_comes_back(position: dict, bound_to: list) -> None:
    assert pages.decode(pages.encode(position, bound_to), bound_to) == position


def test_no_token_is_the_first_page() -> None:
    assert pages.decode("", ["anything"]) is None


def test_a_token_of_another_question_is_told_apart() -> None:
    token = pages.encode({"id": "x"}, {"prefix": "a", "tenant": "t"})
    assert pages.decode(token, {"tenant": "t", "prefix": "a"}) == {"id": "x"}
    with pytest.raises(InvalidArgument) as caught:
        pages.decode(token, {"prefix": "b", "tenant": "t"})
    assert caught.value.reason == "PAGE_TOKEN_MISMATCH"
    assert caught.value.violations[0].field == "page_token"


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_anything_else_is_no_token(token: str) -> None:
    if token:
        with pytest.raises(InvalidArgument) as caught:
            pages.decode(token, [])
        assert caught.value.reason == "INVALID_PAGE_TOKEN"


@pytest.mark.parametrize(
    "position",
    ['{"a":"\\u0000"}', '{"a":"\\ud800"}', '{"a":[1]}', '{"a":9223372036854775808}', '{"a":NaN}', "[1]", "7"],
)
def test_a_forged_position_that_no_database_could_compare_is_no_token(position: str) -> None:
    bound = base64.urlsafe_b64decode(pages.encode({}, []) + "==")[: pages.BOUND_BYTES]
    token = base64.urlsafe_b64encode(bound + position.encode()).decode()
    with pytest.raises(InvalidArgument) as caught:
        pages.decode(token, [])
    assert caught.value.reason == "INVALID_PAGE_TOKEN"


def test_a_token_that_is_too_long_is_none() -> None:
    with pytest.raises(InvalidArgument):
        pages.decode("A" * 5000, [])
