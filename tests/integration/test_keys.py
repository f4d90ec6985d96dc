"""Keys at rest: the same behaviour in the database and in memory."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta

import pytest

from difyrpc_services.runtime.database import Database
from difyrpc_services.runtime.errors import AlreadyExists, InvalidArgument, NotFound, Unauthenticated
from difyrpc_services.runtime.keyring import KeyRing, first_key
from difyrpc_services.runtime.keys import DatabaseKeys, KeyStore, MemoryKeys, make_token, opens, parse_token
from difyrpc_services.runtime.keys._tokens import checksum

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture(params=["memory", "database"])
def store(request: pytest.FixtureRequest) -> KeyStore:
    if request.param == "memory":
        return MemoryKeys(["files"], now=lambda: NOW)
    return DatabaseKeys(request.getfixturevalue("database"), ["files"], now=lambda: NOW)


async def test_a_key_is_found_as_it_was_made(store):
    key, token = await store.create(
        "acme", ["files:write", "*:read"], name="Büro 合同", expires_at=NOW + timedelta(days=1)
    )
    assert await store.find(key.id) == key
    assert (key.tenant, key.name, key.scopes) == ("acme", "Büro 合同", ("*:read", "files:write"))
    assert (key.created_at, key.expires_at, key.revoked_at) == (NOW, NOW + timedelta(days=1), None)
    key_id, secret = parse_token(token)
    assert key_id == key.id
    assert opens(key, secret)


async def test_an_unknown_id_is_not_found(store):
    assert await store.find("abcdefghijkl") is None
    with pytest.raises(NotFound) as caught:
        await store.revoke("abcdefghijkl")
    assert caught.value.reason == "KEY_NOT_FOUND"


async def test_keys_are_listed_by_tenant_with_the_revoked_ones(store):
    first, _ = await store.create("acme", ["files:read"])
    second, _ = await store.create("other", ["files:read"])
    revoked = await store.revoke(first.id)
    assert {key.id for key in await store.list_keys()} == {first.id, second.id}
    assert list(await store.list_keys("acme")) == [revoked]
    assert list(await store.list_keys("nobody")) == []


async def test_a_revocation_lasts_and_keeps_its_time(store):
    key, _ = await store.create("acme", ["files:read"])
    assert (await store.revoke(key.id)).revoked_at == NOW
    assert (await store.revoke(key.id)).revoked_at == NOW


async def test_the_last_day_of_use_is_kept(store):
    key, _ = await store.create("acme", ["files:read"])
    await store.touch(key.id, date(2026, 1, 2))
    assert (await store.find(key.id)).last_used_on == date(2026, 1, 2)


async def test_a_token_from_elsewhere_is_registered_once_and_stays_revoked(store):
    key_id, _, token = make_token()
    await store.register(token, tenant="acme", scopes=["*:admin"], name="b")
    await store.revoke(key_id)
    again = await store.register(token, tenant="acme", scopes=["*:admin"], name="b")
    assert again.revoked_at == NOW
    assert len(await store.list_keys()) == 1


async def test_an_id_is_not_given_to_another_secret(store):
    key, _ = await store.create("acme", ["files:read"])
    _, secret, _ = make_token()
    with pytest.raises(AlreadyExists):
        await store.register(
            f"difyrpc_{key.id}_{secret}{checksum(key.id, secret)}", tenant="acme", scopes=["*:admin"], name=""
        )


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"tenant": "A b"}, "INVALID_TENANT"),
        ({"scopes": ["pictures:read"]}, "INVALID_SCOPE"),
        ({"scopes": []}, "INVALID_SCOPE"),
        ({"name": "a\nb"}, "INVALID_KEY_NAME"),
        ({"name": "a" * 101}, "INVALID_KEY_NAME"),
        ({"expires_at": NOW}, "INVALID_EXPIRY"),
        ({"expires_at": datetime(2030, 1, 1)}, "INVALID_EXPIRY"),  # noqa: DTZ001  # no zone, on purpose
    ],
)
async def test_a_wrong_wish_is_refused_by_its_field_and_leaves_nothing(store, wrong, reason):
    with pytest.raises(InvalidArgument) as caught:
        await store.create(**{"tenant": "acme", "scopes": ["files:read"], **wrong})
    assert caught.value.reason == reason
    assert caught.value.violations[0].field == next(iter(wrong))
    assert list(await store.list_keys()) == []


async def test_only_one_of_many_processes_makes_the_first_key(store):
    tokens = await asyncio.gather(*(first_key(store) for _ in range(8)))
    assert sum(token is not None for token in tokens) == 1
    assert len(await store.list_keys()) == 1


async def test_the_database_holds_no_secret(database: Database):
    _, token = await DatabaseKeys(database).create("acme", ["files:read"])
    async with database.connection() as connection:
        cursor = await connection.execute("SELECT string_agg(k::text, '') FROM runtime_keys k")
        (content,) = await cursor.fetchone()
    assert parse_token(token)[1] not in content


async def test_a_revocation_by_another_process_reaches_the_ring_of_this_one(database: Database):
    passed = 0.0
    ring = KeyRing(DatabaseKeys(database), clock=lambda: passed)
    key, token = await DatabaseKeys(database).create("acme", ["files:read"])
    assert (await ring.verify(token)).tenant == "acme"
    await DatabaseKeys(database).revoke(key.id)
    passed = 4.5
    with pytest.raises(Unauthenticated) as caught:
        await ring.verify(token)
    assert caught.value.reason == "KEY_REVOKED"
    await ring.close()


async def test_a_look_up_inside_a_transaction_does_not_join_it(database: Database):
    ring = KeyRing(DatabaseKeys(database))
    _, token = await DatabaseKeys(database).create("acme", ["files:read"])
    async with database.transaction() as connection:
        await connection.execute("DELETE FROM runtime_keys")
        assert (await ring.verify(token)).tenant == "acme"
    await ring.close()
