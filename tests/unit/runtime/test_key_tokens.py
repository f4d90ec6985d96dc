from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from difyrpc_services.runtime.errors import InvalidArgument, Unauthenticated
from difyrpc_services.runtime.keys import Key, allows, check_scopes, check_tenant, make_token, opens, parse_token
from difyrpc_services.runtime.keys._tokens import hash_secret

SERVICES = ("documents", "files")


def key_of(secret: str) -> Key:
    return Key(
        id="abcdefghijkl",
        tenant="t",
        name="",
        scopes=("*:admin",),
        secret_sha256=hash_secret(secret),
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def test_a_made_token_is_parsed_into_its_parts():
    key_id, secret, token = make_token()
    assert parse_token(token) == (key_id, secret)
    assert token.startswith(f"difyrpc_{key_id}_")


def test_tokens_are_never_made_twice():
    assert len({make_token()[2] for _ in range(1000)}) == 1000


def test_an_empty_token_is_a_missing_key():
    with pytest.raises(Unauthenticated) as caught:
        parse_token("")
    assert caught.value.reason == "KEY_MISSING"


@given(st.text(min_size=1))
def test_any_other_text_is_malformed_and_does_not_come_back_in_the_message(text: str):
    with pytest.raises(Unauthenticated) as caught:
        parse_token(text)
    assert caught.value.reason == "KEY_MALFORMED"
    assert not caught.value.metadata


@given(st.data())
def test_a_token_with_one_character_changed_is_malformed(data: st.DataObject):
    token = make_token()[2]
    place = data.draw(st.integers(0, len(token) - 1))
    character = data.draw(st.characters().filter(lambda character: character != token[place]))
    with pytest.raises(Unauthenticated) as caught:
        parse_token(token[:place] + character + token[place + 1 :])
    assert caught.value.reason == "KEY_MALFORMED"


@given(st.data())
def test_a_token_that_was_cut_or_lengthened_is_malformed(data: st.DataObject):
    token = make_token()[2]
    changed = data.draw(
        st.one_of(
            st.integers(1, len(token) - 1).map(lambda length: token[:length]),
            st.text(min_size=1, max_size=3).map(lambda text: token + text),
        )
    )
    with pytest.raises(Unauthenticated):
        parse_token(changed)


def test_only_its_own_secret_opens_a_key():
    assert opens(key_of("right"), "right")
    assert not opens(key_of("right"), "wrong")


def test_the_hash_is_not_shown():
    assert "secret_sha256" not in repr(key_of("right"))


@pytest.mark.parametrize(
    ("scopes", "service", "access", "allowed"),
    [
        (["files:read"], "files", "read", True),
        (["files:read"], "files", "write", False),
        (["files:write"], "files", "read", True),
        (["files:write"], "files", "admin", False),
        (["files:admin"], "files", "write", True),
        (["files:admin"], "documents", "read", False),
        (["*:read"], "documents", "read", True),
        (["*:read"], "documents", "write", False),
        (["files:*"], "files", "admin", True),
        (["*:*"], "files", "admin", True),
        (["files:read", "documents:admin"], "documents", "admin", True),
        ([], "files", "read", False),
        (["files"], "files", "read", False),
        (["files:owner"], "files", "read", False),
        (["file:read"], "files", "read", False),
    ],
)
def test_scopes_allow_their_service_up_to_their_level(scopes, service, access, allowed):
    assert allows(scopes, service, access) is allowed


def test_scopes_come_back_sorted_and_once():
    assert check_scopes(["files:read", "*:admin", "files:read"], SERVICES) == ("*:admin", "files:read")


@pytest.mark.parametrize("scope", ["", "files", "files:", ":read", "files:owner", "pictures:read", "files:read:write"])
def test_a_scope_that_allows_nothing_is_refused_with_the_choices(scope):
    with pytest.raises(InvalidArgument) as caught:
        check_scopes([scope], SERVICES)
    assert caught.value.reason == "INVALID_SCOPE"
    assert "documents, files, *" in caught.value.message


def test_a_key_without_scopes_is_refused():
    with pytest.raises(InvalidArgument):
        check_scopes([], SERVICES)


@pytest.mark.parametrize("tenant", ["", "A", "-a", "a b", "a/b", "a" * 64, "ä", "a\n"])
def test_a_tenant_that_is_no_plain_word_is_refused(tenant):
    with pytest.raises(InvalidArgument) as caught:
        check_tenant(tenant)
    assert caught.value.reason == "INVALID_TENANT"
