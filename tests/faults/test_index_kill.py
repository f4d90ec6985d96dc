"""kill -9 while an index is made, of the server, the database or both: searches answer all the same, and it is made."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import psycopg
from killing import Life, kill, kill_house, kill_server, looking_into, postgres_of
from points import COLLECTION, Points, everything, made, random_vector
from processes import state_folder

from difyrpc.vectors.v1 import collection_pb2, point_pb2, search_pb2
from difyrpc.vectors.v1 import vectors_pb2 as pb
from difyrpc.vectors.v1.vectors_pb2_grpc import VectorSearchStub
from difyrpc_services.runtime.database import Database, DatabaseSettings

ROWS = 4000
WIDE = 192
INDEXED = {
    "DIFYRPC_AUTH": "none",
    "DIFYRPC_VECTORS_INDEX_ROWS": str(ROWS),
    "DIFYRPC_VECTORS_INDEX_QUIET_SECONDS": "0",
}
POINT_TABLES = """
SELECT format('%%I.%%I', schemaname, tablename) FROM pg_tables
WHERE schemaname = %s AND tablename LIKE 'vectors\\_points\\_%%'
"""


async def test_an_index_whose_making_was_killed_is_made_in_the_end() -> None:
    with state_folder() as state:
        async with (
            Life("vectors", state=state, env=INDEXED) as server,
            grpc.aio.insecure_channel(server.target) as channel,
        ):
            stub = VectorSearchStub(channel)
            await made(stub, WIDE)
            stored = await filled(stub)
            until_an_index_is_made(state)
            kill(postgres_of(state))
            until_an_index_is_made(state)
            kill_house(server)
        async with (
            Life("vectors", state=state, env=INDEXED) as server,
            grpc.aio.insecure_channel(server.target) as channel,
        ):
            await k_are_found(VectorSearchStub(channel), stored)
            kill_server(server)
        async with (
            Life("vectors", state=state, env=INDEXED) as server,
            grpc.aio.insecure_channel(server.target) as channel,
        ):
            stub = VectorSearchStub(channel)
            while await index_state(stub) != collection_pb2.INDEX_STATE_INDEXED:
                await k_are_found(stub, stored)
            assert await k_are_found(stub, stored) == search_pb2.SEARCH_PLAN_INDEX
            assert await everything(stub) == stored
            assert server.stop() == 0


async def test_an_index_that_the_database_goes_on_making_for_a_killed_server_is_used_by_the_next(
    database: Database, database_settings: DatabaseSettings, tmp_path: Path
) -> None:
    env = {
        **INDEXED,
        "DIFYRPC_DATABASE_URL": database_settings.url,
        "DIFYRPC_DATABASE_SCHEMA": database_settings.schema,
    }
    with psycopg.connect(database_settings.url) as writer:
        async with (
            Life("vectors", state=tmp_path, env=env) as server,
            grpc.aio.insecure_channel(server.target) as channel,
        ):
            stub = VectorSearchStub(channel)
            await made(stub, WIDE)
            (table,) = writer.execute(POINT_TABLES, [database_settings.schema]).fetchone()
            writer.execute(f"LOCK TABLE {table} IN ROW EXCLUSIVE MODE".encode())
            stored = await filled(stub)
            with psycopg.connect(database_settings.url, autocommit=True) as looking:
                until_an_index_is_under_way(looking)
            kill_server(server)
        async with (
            Life("vectors", state=tmp_path, env=env) as server,
            grpc.aio.insecure_channel(server.target) as channel,
        ):
            stub = VectorSearchStub(channel)
            await k_are_found(stub, stored)
            assert await index_state(stub) == collection_pb2.INDEX_STATE_EXACT
            writer.rollback()
            while await index_state(stub) != collection_pb2.INDEX_STATE_INDEXED:
                await k_are_found(stub, stored)
            assert await k_are_found(stub, stored) == search_pb2.SEARCH_PLAN_INDEX


async def filled(stub: Any) -> Points:
    """Stores just as many points as make an index worth while."""
    points = [point_pb2.Point(id=f"p{row}", vector=random_vector(row, WIDE)) for row in range(ROWS)]
    for start in range(0, ROWS, 1000):
        await stub.UpsertPoints(pb.UpsertPointsRequest(collection=COLLECTION, points=points[start : start + 1000]))
    return {point.id: point for point in points}


def until_an_index_is_made(state: Path) -> None:
    """Waits until the embedded PostgreSQL makes an index, started anew if need be."""
    while True:
        with suppress(psycopg.OperationalError), looking_into(state) as database:
            return until_an_index_is_under_way(database)


def until_an_index_is_under_way(database: psycopg.Connection) -> None:
    while not database.execute("SELECT FROM pg_stat_progress_create_index").fetchall():
        pass


async def index_state(stub: Any) -> int:
    answer = await stub.GetCollection(pb.GetCollectionRequest(name=COLLECTION))
    return answer.collection.index_state


async def k_are_found(stub: Any, stored: Points) -> int:
    """Searches; answers the plan that was followed."""
    request = pb.SearchRequest(collection=COLLECTION, vector=stored["p7"].vector, k=50)
    found = await stub.Search(request)
    names = [hit.id for hit in found.hits]
    assert len(set(names)) == 50
    assert names[0] == "p7"
    return found.plan
