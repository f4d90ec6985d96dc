"""The pool: transactions, outages, and what is told about them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import psycopg
import pytest
from psycopg.pq import TransactionStatus

from difyrpc_services.runtime.database import Database, DatabaseSettings, open_database
from difyrpc_services.runtime.errors import Aborted, DeadlineExceeded, NotFound, Unavailable
from difyrpc_services.runtime.locks import is_held
from difyrpc_services.runtime.postgres import EmbeddedPostgres
from difyrpc_services.runtime.schema import migrate
from difyrpc_services.runtime.settings import SettingsError


@pytest.fixture
async def numbers(database: Database) -> Database:
    async with database.connection() as connection:
        await connection.execute("CREATE TABLE numbers (number integer UNIQUE DEFERRABLE INITIALLY DEFERRED)")
    return database


async def add(database: Database, number: int) -> None:
    async with database.connection() as connection:
        await connection.execute("INSERT INTO numbers VALUES (%s)", (number,))


async def stored(database: Database) -> list[int]:
    async with database.connection() as connection:
        cursor = await connection.execute("SELECT number FROM numbers ORDER BY number")
        return [number for (number,) in await cursor.fetchall()]


class Refused(Exception):
    pass


async def test_a_block_commits_at_its_end(numbers):
    await add(numbers, 1)
    assert await stored(numbers) == [1]


async def test_an_error_rolls_the_block_back_and_comes_out_as_it_is(numbers):
    async def work() -> None:
        async with numbers.connection() as connection:
            await connection.execute("INSERT INTO numbers VALUES (1)")
            raise Refused

    with pytest.raises(Refused):
        await work()
    assert await stored(numbers) == []


async def test_a_cancelled_block_is_rolled_back_and_its_connection_used_again(database_settings, numbers):
    single = Database(replace(database_settings, pool_max=1))
    await single.open()
    inside = asyncio.Event()

    async def work() -> None:
        async with single.connection() as connection:
            await connection.execute("INSERT INTO numbers VALUES (1)")
            inside.set()
            await connection.execute("SELECT pg_sleep(60)")

    task = asyncio.create_task(work())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await stored(single) == []
    await single.close()


async def test_a_failed_statement_whose_error_was_swallowed_is_not_taken_for_a_commit(numbers):
    async def work() -> None:
        async with numbers.connection() as connection:
            await connection.execute("INSERT INTO numbers VALUES (1)")
            with pytest.raises(psycopg.errors.UndefinedTable):
                await connection.execute("SELECT FROM nowhere")

    with pytest.raises(psycopg.errors.InFailedSqlTransaction):
        await work()
    assert await stored(numbers) == []


async def test_what_a_commit_refuses_is_raised(numbers):
    with pytest.raises(psycopg.errors.UniqueViolation):
        async with numbers.connection() as connection:
            await connection.execute("INSERT INTO numbers VALUES (1), (1)")
    assert await stored(numbers) == []


async def test_connections_inside_a_transaction_are_its_own(numbers):
    async with numbers.transaction() as outer:
        await add(numbers, 1)
        async with numbers.connection() as inner, numbers.transaction() as innermost:
            assert inner is innermost is outer
    assert await stored(numbers) == [1]


async def test_an_error_after_a_joined_block_undoes_it(numbers):
    async def work() -> None:
        async with numbers.transaction():
            await add(numbers, 1)
            raise Refused

    with pytest.raises(Refused):
        await work()
    assert await stored(numbers) == []


async def test_a_joined_block_that_failed_fails_the_whole_even_if_the_error_was_caught(numbers):
    async def work() -> None:
        async with numbers.transaction():
            await add(numbers, 1)
            try:
                async with numbers.connection():
                    raise NotFound("GONE", "gone")
            except NotFound:
                pass

    with pytest.raises(NotFound):
        await work()
    assert await stored(numbers) == []


async def test_tasks_of_a_transaction_join_it(numbers):
    async def work() -> None:
        async with numbers.transaction():
            await asyncio.gather(*(add(numbers, number) for number in range(5)))
            assert await stored(numbers) == [0, 1, 2, 3, 4]
            raise Refused

    with pytest.raises(Refused):
        await work()
    assert await stored(numbers) == []


async def test_a_transaction_waits_for_a_task_that_joined_and_lends_nothing_after_its_end(numbers):
    joined, go_on, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work() -> psycopg.AsyncConnection:
        async with numbers.connection() as connection:
            joined.set()
            await go_on.wait()
            await connection.execute("INSERT INTO numbers VALUES (1)")
        await ended.wait()
        await add(numbers, 2)
        return connection

    async with numbers.transaction() as outer:
        task = asyncio.create_task(work())
        await joined.wait()
        asyncio.get_running_loop().call_soon(go_on.set)
    assert await stored(numbers) == [1]
    ended.set()
    assert await task is outer
    assert await stored(numbers) == [1, 2]


async def test_other_tasks_do_not_join(numbers):
    begun, checked = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        async with numbers.transaction():
            await add(numbers, 1)
            begun.set()
            await checked.wait()

    task = asyncio.create_task(work())
    await begun.wait()
    assert await stored(numbers) == []
    checked.set()
    await task
    assert await stored(numbers) == [1]


async def test_nothing_stays_set_on_a_connection_between_transactions(database_settings, migrated_tables):
    database = Database(replace(database_settings, pool_min=1, pool_max=1))
    await database.open()
    async with database.connection() as connection:
        inside = await (await connection.execute("SELECT current_setting('search_path')")).fetchone()
    assert inside[0].startswith(database_settings.schema)
    assert connection.info.transaction_status == TransactionStatus.IDLE
    cursor = await connection.execute(
        "SELECT name FROM pg_settings WHERE source = 'session' AND name IN ('search_path', 'statement_timeout')"
    )
    assert await cursor.fetchall() == []
    await database.close()


async def test_a_new_transaction_costs_one_round_trip_before_its_first_statement(database, monkeypatch):
    sent = []
    plain = psycopg.AsyncConnection.execute

    async def watched(self, query, *arguments, **options):
        sent.append(query)
        return await plain(self, query, *arguments, **options)

    monkeypatch.setattr(psycopg.AsyncConnection, "execute", watched)
    async with database.connection():
        assert len(sent) == 1


async def test_statements_are_prepared_unless_a_pooler_forbids_it(database_settings, migrated_tables):
    for prepare in (True, False):
        database = Database(replace(database_settings, prepare=prepare))
        await database.open()
        async with database.connection() as connection:
            for number in range(10):
                await connection.execute("SELECT %s::integer", (number,))
            cursor = await connection.execute("SELECT count(*) > 0 FROM pg_prepared_statements")
            assert await cursor.fetchone() == (prepare,)
        await database.close()


async def test_a_statement_that_takes_too_long_is_ended(database_settings, migrated_tables):
    database = Database(replace(database_settings, statement_timeout_seconds=0.05))
    await database.open()
    with pytest.raises(DeadlineExceeded) as caught:
        async with database.connection() as connection:
            await connection.execute("SELECT pg_sleep(60)")
    assert caught.value.reason == "DATABASE_TIMEOUT"
    await database.close()


async def test_a_deadlock_is_told_as_a_conflict_that_may_be_repeated(numbers):
    await add(numbers, 1)
    await add(numbers, 2)
    both = asyncio.Barrier(2)

    async def swap(first: int, second: int) -> None:
        async with numbers.connection() as connection:
            await connection.execute("UPDATE numbers SET number = number + 10 WHERE number = %s", (first,))
            await both.wait()
            await connection.execute("UPDATE numbers SET number = number + 10 WHERE number = %s", (second,))

    outcomes = await asyncio.gather(swap(1, 2), swap(2, 1), return_exceptions=True)
    lost = [outcome for outcome in outcomes if outcome is not None]
    assert [type(outcome) for outcome in lost] == [Aborted]
    assert lost[0].retry_after is not None


async def test_a_full_pool_says_unavailable(database_settings, migrated_tables):
    database = Database(replace(database_settings, pool_max=1, connect_timeout_seconds=0.1))
    await database.open()
    async with database.connection():

        async def call() -> None:
            database._bound.set(None)
            async with database.connection():
                pass

        with pytest.raises(Unavailable):
            await asyncio.create_task(call())
    await call()
    await database.close()


async def test_a_closed_database_says_unavailable(database_settings, migrated_tables):
    database = Database(database_settings)
    await database.open()
    await database.close()
    await database.close()
    with pytest.raises(Unavailable):
        async with database.connection():
            pass


@pytest.fixture
def server(short_folder: Path, request: pytest.FixtureRequest) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(short_folder / f"d{abs(hash(request.node.nodeid)) % 10**8}")
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def remote(server: EmbeddedPostgres) -> AsyncIterator[Database]:
    """A database that is not ours to start."""
    database = Database(DatabaseSettings(url=server.url(), connect_timeout_seconds=1, pool_min=0))
    await database.open()
    await migrate(database)
    yield database
    await database.close()


async def ping(database: Database) -> None:
    async with database.connection() as connection:
        await connection.execute("SELECT 1")


async def test_an_outage_says_unavailable_without_a_secret_and_ends_by_itself(server, remote, caplog):
    secrets = server.conninfo()
    await asyncio.to_thread(server.stop)
    for _ in range(3):
        with pytest.raises(Unavailable) as caught:
            await ping(remote)
        assert caught.value.reason == "DATABASE_UNAVAILABLE"
        assert caught.value.retry_after == 1.0
        assert not any(value in str(caught.value) for value in (secrets["host"], secrets["password"]))
    assert secrets["password"] not in caplog.text
    await asyncio.to_thread(server.start)
    deadline = asyncio.get_running_loop().time() + 20
    while True:
        try:
            await ping(remote)
        except Unavailable:
            assert asyncio.get_running_loop().time() < deadline
        else:
            break


async def test_an_outage_is_told_quickly_once_it_is_known(server, remote):
    await asyncio.to_thread(server.stop)
    with pytest.raises(Unavailable):
        await ping(remote)
    begun = asyncio.get_running_loop().time()
    with pytest.raises(Unavailable):
        await ping(remote)
    assert asyncio.get_running_loop().time() - begun < 0.9


async def test_connections_that_died_in_the_pool_are_passed_over_unseen(server, remote):
    async with remote.connection(), asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(ping(remote))
    await asyncio.to_thread(server.stop)
    await asyncio.to_thread(server.start)
    await ping(remote)


async def test_a_server_lost_in_the_middle_of_a_block_says_unavailable(server, remote):
    async def work() -> None:
        async with remote.connection() as connection:
            await asyncio.to_thread(server.stop)
            await connection.execute("SELECT 1")

    with pytest.raises(Unavailable):
        await work()


async def test_the_embedded_server_is_opened_and_ended_with_the_database(short_folder):
    database = await open_database({}, short_folder / "opened")
    assert database.is_embedded
    assert database.describe().startswith("PostgreSQL 18")
    assert str(short_folder / "opened") in database.describe()
    await migrate(database)
    await ping(database)
    await database.close()
    assert not is_held(short_folder / "opened" / "postgres" / "server.lock")


async def test_an_embedded_server_whose_processes_were_killed_is_revived_by_the_next_call(short_folder):
    database = await open_database({}, short_folder / "revived")
    await migrate(database)
    async with database.connection() as connection:
        await connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
    lines = (short_folder / "revived" / "postgres" / "data" / "postmaster.pid").read_text().splitlines()
    postmaster = psutil.Process(int(lines[0]))
    for process in [postmaster.parent(), postmaster, *postmaster.children()]:
        process.kill()
    async with database.connection() as connection:
        cursor = await connection.execute("SELECT number FROM kept")
        assert await cursor.fetchone() == (7,)
    await database.close()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("not a url", "is not a PostgreSQL URL"),
        ("postgresql://h/d?no_such_option=1", "is not a PostgreSQL URL"),
    ],
)
async def test_a_setting_that_can_never_work_is_refused_by_name(tmp_path, url, message):
    with pytest.raises(SettingsError, match=f"DIFYRPC_DATABASE_URL.*{message}"):
        await open_database({"DIFYRPC_DATABASE_URL": url}, tmp_path)


async def test_a_wrong_password_is_named_to_the_operator_and_not_repeated(server, tmp_path):
    url = server.url().replace(server.conninfo()["password"], "hunter2")
    with pytest.raises(Unavailable, match="password authentication failed") as caught:
        await open_database({"DIFYRPC_DATABASE_URL": url}, tmp_path)
    assert "DIFYRPC_DATABASE_URL" in caught.value.message
    assert "hunter2" not in caught.value.message


async def test_a_server_that_does_not_answer_at_the_start_is_unavailable(tmp_path):
    with pytest.raises(Unavailable):
        await open_database({"DIFYRPC_DATABASE_URL": f"postgresql://u:p@/d?host={tmp_path}"}, tmp_path)


def test_the_url_is_not_shown_and_may_come_from_a_file(tmp_path):
    (tmp_path / "url").write_text("postgresql://u:hunter2@h/d\n")
    settings = DatabaseSettings.from_env({"DIFYRPC_DATABASE_URL_FILE": str(tmp_path / "url")})
    assert settings.url == "postgresql://u:hunter2@h/d"
    assert "hunter2" not in repr(settings)


def test_a_pool_that_cannot_be_is_refused():
    with pytest.raises(SettingsError, match="POOL_MIN=5"):
        DatabaseSettings.from_env({"DIFYRPC_DATABASE_POOL_MIN": "5", "DIFYRPC_DATABASE_POOL_MAX": "2"})
