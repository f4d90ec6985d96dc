from __future__ import annotations

import pytest


@pytest.mark.parametrize("n", range(5))
async def test_x(database, n):
    async with database.connection() as connection:
        cursor = await connection.execute("show search_path")
        print(await cursor.fetchone())
        await connection.execute("insert into runtime_replays values ('a','b','c','',null,now())")
        await connection.execute("create table foo (a int)")
