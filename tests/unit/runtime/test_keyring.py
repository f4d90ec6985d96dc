from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from difyrpc_services.runtime.errors import Unauthenticated, Unavailable
from difyrpc_services.runtime.keyring import KeyRing, KeySettings, bootstrap, first_key
from difyrpc_services.runtime.keys import Key, MemoryKeys, make_token
from difyrpc_services.runtime.keys._tokens import checksum
from difyrpc_services.runtime.settings import SettingsError


class Time:
    """A clock and a calendar that move only when told."""

    def __init__(self) -> None:
        self.start = datetime(2026, 1, 1, 12, tzinfo=UTC)
        self.passed = 0.0

    def clock(self) -> float:
        return self.passed

    def now(self) -> datetime:
        return self.start + timedelta(seconds=self.passed)


class WatchedKeys(MemoryKeys):
    """Memory keys that count questions, and can be away or slow."""

    def __init__(self, time: Time) -> None:
        super().__init__(["files"], now=time.now)
        self.asked: list[str] = []
        self.is_away = False
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def find(self, key_id: str) -> Key | None:
        self.asked.append(key_id)
        await self.may_answer.wait()
        if self.is_away:
            raise Unavailable("DATABASE_UNAVAILABLE", "away", retry_after=1)
        return await super().find(key_id)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def store(time: Time) -> WatchedKeys:
    return WatchedKeys(time)


@pytest.fixture
async def ring(store: WatchedKeys, time: Time):
    ring = KeyRing(store, grace_seconds=300, patience_seconds=60, clock=time.clock, now=time.now)
    yield ring
    await ring.close()


async def refusal(ring: KeyRing, token: str) -> str:
    with pytest.raises(Unauthenticated) as caught:
        await ring.verify(token)
    return caught.value.reason


async def test_a_token_answers_its_key(ring, store):
    key, token = await store.create("acme", ["files:read"])
    assert await ring.verify(token) == key


async def test_strangers_cannot_tell_an_unknown_id_from_a_wrong_secret(ring, store):
    key, _ = await store.create("acme", ["files:read"])
    other_id, secret, unknown = make_token()
    wrong = f"difyrpc_{key.id}_{secret}{checksum(key.id, secret)}"
    answers = []
    for token in (unknown, wrong):
        with pytest.raises(Unauthenticated) as caught:
            await ring.verify(token)
        answers.append((caught.value.reason, caught.value.message, caught.value.metadata))
    assert answers[0] == answers[1] == ("KEY_UNKNOWN", "the key is not known here", {})
    assert other_id in store.asked


async def test_a_verified_key_is_not_asked_for_again_while_fresh(ring, store, time):
    _, token = await store.create("acme", ["files:read"])
    for _ in range(3):
        await ring.verify(token)
        time.passed += 1.9
    assert len(store.asked) == 1
    time.passed += 4
    await ring.verify(token)
    assert len(store.asked) == 2


async def test_a_revocation_is_known_within_five_seconds(ring, store, time):
    key, token = await store.create("acme", ["files:read"])
    await ring.verify(token)
    await store.revoke(key.id)
    await ring.verify(token)
    time.passed = 4.99
    assert await refusal(ring, token) == "KEY_REVOKED"


async def test_a_key_expires_even_while_it_is_remembered(ring, store, time):
    _, token = await store.create("acme", ["files:read"], expires_at=time.now() + timedelta(seconds=2))
    await ring.verify(token)
    time.passed = 2
    assert await refusal(ring, token) == "KEY_EXPIRED"
    assert len(store.asked) == 1


async def test_an_unknown_id_is_asked_for_once_a_second(ring, store, time):
    token = make_token()[2]
    for _ in range(5):
        assert await refusal(ring, token) == "KEY_UNKNOWN"
    assert len(store.asked) == 1
    time.passed = 1
    await refusal(ring, token)
    assert len(store.asked) == 2


async def test_a_flood_of_unknown_ids_is_bounded_and_pushes_out_no_known_key(ring, store, monkeypatch):
    monkeypatch.setattr("difyrpc_services.runtime.keyring.REMEMBERED_KEYS", 10)
    _, token = await store.create("acme", ["files:read"])
    await ring.verify(token)
    for _ in range(50):
        await refusal(ring, make_token()[2])
    assert len(ring._absent) == 10
    store.asked.clear()
    await ring.verify(token)
    assert store.asked == []


async def test_concurrent_calls_of_one_key_ask_once(ring, store):
    _, token = await store.create("acme", ["files:read"])
    await asyncio.gather(*(ring.verify(token) for _ in range(20)))
    assert len(store.asked) == 1


async def test_a_caller_that_leaves_does_not_end_the_look_up_of_the_others(ring, store):
    key, token = await store.create("acme", ["files:read"])
    store.may_answer.clear()
    first, second = (asyncio.create_task(ring.verify(token)) for _ in range(2))
    while not store.asked:
        await asyncio.sleep(0)
    first.cancel()
    store.may_answer.set()
    assert await second == key
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_a_flood_asks_only_a_few_ids_at_a_time(ring, store):
    store.may_answer.clear()
    calls = [asyncio.create_task(ring.verify(make_token()[2])) for _ in range(50)]
    while len(store.asked) < 4:
        await asyncio.sleep(0)
    for _ in range(10):
        await asyncio.sleep(0)
    assert len(store.asked) == 4
    store.may_answer.set()
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert {answer.reason for answer in answers} == {"KEY_UNKNOWN"}


async def test_while_the_store_is_away_known_keys_are_believed_for_the_grace(ring, store, time):
    _, token = await store.create("acme", ["files:read"])
    await ring.verify(token)
    store.is_away = True
    time.passed = 299
    await ring.verify(token)
    time.passed = 301
    with pytest.raises(Unavailable):
        await ring.verify(token)


async def test_while_the_store_is_away_an_unknown_key_is_not_called_wrong(ring, store):
    _, token = await store.create("acme", ["files:read"])
    store.is_away = True
    with pytest.raises(Unavailable):
        await ring.verify(token)


async def test_a_revocation_is_known_again_after_the_store_came_back(ring, store, time):
    key, token = await store.create("acme", ["files:read"])
    await ring.verify(token)
    store.is_away = True
    time.passed = 10
    await ring.verify(token)
    await store.revoke(key.id)
    store.is_away = False
    await asyncio.gather(ring.verify(token), return_exceptions=True)
    assert await refusal(ring, token) == "KEY_REVOKED"


async def test_a_store_that_hangs_holds_up_nobody_whose_key_is_known(store, time):
    ring = KeyRing(store, patience_seconds=0, clock=time.clock, now=time.now)
    key, token = await store.create("acme", ["files:read"])
    await ring.verify(token)
    store.may_answer.clear()
    time.passed = 10
    assert await ring.verify(token) == key
    await ring.close()


async def test_the_day_of_use_is_noted_once_a_day(ring, store, time):
    key, token = await store.create("acme", ["files:read"])
    for _ in range(3):
        await ring.verify(token)
    await asyncio.gather(*ring._notes)
    assert (await store.list_keys())[0].last_used_on == time.now().date()
    assert key.last_used_on is None


async def test_the_file_of_the_first_key_is_registered_as_often_as_wished(ring, store, tmp_path):
    token = make_token()[2]
    (tmp_path / "key").write_text(token + "\n")
    settings = KeySettings.from_env(
        {"DIFYRPC_BOOTSTRAP_KEY_FILE": str(tmp_path / "key"), "DIFYRPC_BOOTSTRAP_TENANT": "acme"}
    )
    await bootstrap(store, settings)
    await bootstrap(store, settings)
    assert (await ring.verify(token)).scopes == ("*:admin",)
    assert [key.tenant for key in await store.list_keys()] == ["acme"]


async def test_the_file_does_not_bring_back_a_revoked_key(ring, store, tmp_path):
    key_id, _, token = make_token()
    (tmp_path / "key").write_text(token)
    settings = KeySettings(bootstrap_key_file=tmp_path / "key")
    await bootstrap(store, settings)
    await store.revoke(key_id)
    await bootstrap(store, settings)
    assert await refusal(ring, token) == "KEY_REVOKED"


@pytest.mark.parametrize("content", ["", "password", "difyrpc_abc_def", b"\xff\xfe"])
async def test_a_file_without_a_token_is_refused_by_its_setting(store, tmp_path, content):
    file = tmp_path / "key"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(SettingsError, match="DIFYRPC_BOOTSTRAP_KEY_FILE"):
        await bootstrap(store, KeySettings(bootstrap_key_file=file))


async def test_a_missing_file_is_refused_by_its_setting(store, tmp_path):
    with pytest.raises(SettingsError, match="DIFYRPC_BOOTSTRAP_KEY_FILE"):
        await bootstrap(store, KeySettings(bootstrap_key_file=tmp_path / "none"))


async def test_without_a_file_nothing_is_registered(store):
    assert await bootstrap(store, KeySettings()) is None
    assert await store.list_keys() == []


async def test_the_first_key_is_made_once_and_works(ring, store):
    token = await first_key(store)
    assert (await ring.verify(token)).tenant == "default"
    assert await first_key(store) is None


async def test_no_first_key_is_made_where_all_keys_were_revoked(store):
    key, _ = await store.create("acme", ["files:read"])
    await store.revoke(key.id)
    assert await first_key(store) is None
