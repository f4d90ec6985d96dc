"""Requests that are sent twice: the first answer, once the effect, nothing after a failure."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from difyrpc_services.runtime.database import Database
from difyrpc_services.runtime.errors import InvalidArgument, NotFound
from difyrpc_services.runtime.replay import KEPT, PRUNE_EVERY_CALLS, Replay, check_request_id

METHOD = "/difyrpc.files.v1.FileStorage/CopyFile"


class Effects:
    """Writes a row each time it runs, and answers how often it ran."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.runs = 0
        self.started = asyncio.Event()
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.failure: Exception | None = None

    async def __call__(self) -> bytes:
        self.runs += 1
        async with self.database.connection() as connection:
            await connection.execute("INSERT INTO effects VALUES (%s)", (self.runs,))
        self.started.set()
        await self.may_end.wait()
        if self.failure:
            raise self.failure
        return b"\x00answer %d" % self.runs

    async def stored(self) -> list[int]:
        async with self.database.connection() as connection:
            cursor = await connection.execute("SELECT run FROM effects ORDER BY run")
            return [run for (run,) in await cursor.fetchall()]


class Today:
    def __init__(self) -> None:
        self.time = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time


@pytest.fixture
def today() -> Today:
    return Today()


@pytest.fixture
def replay(database: Database, today: Today) -> Replay:
    return Replay(database, now=today)


@pytest.fixture
async def effects(database: Database) -> Effects:
    async with database.connection() as connection:
        await connection.execute("CREATE TABLE effects (run integer)")
    return Effects(database)


async def claims(database: Database) -> int:
    async with database.connection() as connection:
        cursor = await connection.execute("SELECT count(*) FROM runtime_replays")
        return (await cursor.fetchone())[0]


async def test_a_repeated_request_gets_the_first_answer_and_runs_once(replay, effects):
    first = await replay.once("acme", METHOD, "id-1", b"body", effects)
    assert await replay.once("acme", METHOD, "id-1", b"body", effects) == first == b"\x00answer 1"
    assert await effects.stored() == [1]


@pytest.mark.parametrize(
    ("tenant", "method", "request_id"), [("other", METHOD, "id-1"), ("acme", "/x/Y", "id-1"), ("acme", METHOD, "id-2")]
)
async def test_an_id_is_one_tenants_and_one_methods(replay, effects, tenant, method, request_id):
    await replay.once("acme", METHOD, "id-1", b"body", effects)
    assert await replay.once(tenant, method, request_id, b"body", effects) == b"\x00answer 2"
    assert await effects.stored() == [1, 2]


async def test_another_request_under_the_same_id_is_refused(replay, effects):
    await replay.once("acme", METHOD, "id-1", b"body", effects)
    with pytest.raises(InvalidArgument) as caught:
        await replay.once("acme", METHOD, "id-1", b"other body", effects)
    assert caught.value.reason == "REQUEST_ID_REUSED"
    assert caught.value.violations[0].field == "request_id"
    assert await effects.stored() == [1]


async def test_an_effect_that_fails_leaves_no_claim_and_may_be_tried_again(database, replay, effects):
    effects.failure = NotFound("GONE", "gone")
    with pytest.raises(NotFound):
        await replay.once("acme", METHOD, "id-1", b"body", effects)
    assert await claims(database) == 0
    assert await effects.stored() == []
    effects.failure = None
    assert await replay.once("acme", METHOD, "id-1", b"body", effects) == b"\x00answer 2"


async def test_calls_at_the_same_time_run_once_and_answer_the_same(replay, effects):
    effects.may_end.clear()
    first = asyncio.create_task(replay.once("acme", METHOD, "id-1", b"body", effects))
    await effects.started.wait()
    others = [asyncio.create_task(replay.once("acme", METHOD, "id-1", b"body", effects)) for _ in range(4)]
    await waiting_for_a_lock(effects.database, 4)
    assert not any(task.done() for task in others)
    effects.may_end.set()
    assert set(await asyncio.gather(first, *others)) == {b"\x00answer 1"}
    assert await effects.stored() == [1]


async def waiting_for_a_lock(database: Database, sessions: int) -> None:
    """Asks the server until so many sessions wait for another's transaction."""
    waiting = 0
    while waiting < sessions:
        async with database.connection() as connection:
            cursor = await connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND wait_event = 'transactionid'"
            )
            (waiting,) = await cursor.fetchone()


async def test_a_waiting_call_takes_over_when_the_first_fails(replay, effects):
    effects.may_end.clear()
    effects.failure = NotFound("GONE", "gone")
    first = asyncio.create_task(replay.once("acme", METHOD, "id-1", b"body", effects))
    await effects.started.wait()
    successor = Effects(effects.database)
    second = asyncio.create_task(replay.once("acme", METHOD, "id-1", b"body", successor))
    await waiting_for_a_lock(effects.database, 1)
    effects.may_end.set()
    with pytest.raises(NotFound):
        await first
    assert await second == b"\x00answer 1"
    assert successor.runs == 1


async def test_a_cancelled_call_leaves_no_claim(database, replay, effects):
    effects.may_end.clear()
    call = asyncio.create_task(replay.once("acme", METHOD, "id-1", b"body", effects))
    await effects.started.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await claims(database) == 0
    assert await effects.stored() == []


async def test_an_id_is_free_again_after_a_day(replay, effects, today):
    await replay.once("acme", METHOD, "id-1", b"body", effects)
    today.time += KEPT - timedelta(seconds=1)
    assert await replay.once("acme", METHOD, "id-1", b"body", effects) == b"\x00answer 1"
    today.time += timedelta(seconds=1)
    assert await replay.once("acme", METHOD, "id-1", b"new body", effects) == b"\x00answer 2"
    assert await replay.once("acme", METHOD, "id-1", b"new body", effects) == b"\x00answer 2"


async def test_expired_rows_are_pruned_now_and_then(database, replay, effects, today):
    for number in range(PRUNE_EVERY_CALLS):
        await replay.once("acme", METHOD, f"old-{number}", b"body", effects)
    assert await claims(database) == PRUNE_EVERY_CALLS
    today.time += KEPT
    await replay.once("acme", METHOD, "new", b"body", effects)
    assert await claims(database) == 1


async def test_the_answer_may_be_empty(replay, effects):
    async def empty() -> bytes:
        return b""

    assert await replay.once("acme", METHOD, "id-1", b"", empty) == b""
    assert await replay.once("acme", METHOD, "id-1", b"", effects) == b""


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=128))
def test_ids_of_printable_ascii_are_taken(request_id: str):
    check_request_id(request_id)


@pytest.mark.parametrize("request_id", ["", "a" * 129, "é", "a\n", "\x00", "a\x7f", "\ud800"])
async def test_any_other_id_is_refused_before_anything_happens(replay, effects, request_id):
    with pytest.raises(InvalidArgument) as caught:
        await replay.once("acme", METHOD, request_id, b"body", effects)
    assert caught.value.reason == "INVALID_REQUEST_ID"
    assert caught.value.violations[0].field == "request_id"
    assert effects.runs == 0
