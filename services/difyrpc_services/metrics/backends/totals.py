"""Reads the totals out of PostgreSQL without an event loop, for the thread that answers scrapes."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

from difyrpc_services.metrics.backends import statements
from difyrpc_services.metrics.core.backend import Everything, Exposed
from difyrpc_services.metrics.core.histogram import unpack
from difyrpc_services.metrics.core.sums import Spread, Sums
from difyrpc_services.metrics.core.values import Status
from difyrpc_services.runtime.database import Database
from difyrpc_services.runtime.outages import translated

CONNECT_SECONDS = 5


class PostgresTotals:
    """Opens a connection of its own for each scrape: a handful in a minute, and none between them."""

    def __init__(self, database: Database) -> None:
        """Takes the database that usage is kept in; it need not be used for anything else in this process."""
        self._database = database

    def __call__(self) -> Everything:
        """Answers what every process together has recorded until now; Unavailable when the database is away."""
        with translated(), psycopg.connect(self._database.settings.url, **self._arguments()) as connection:
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            connection.execute(
                sql.SQL("SET LOCAL search_path TO {}, public").format(sql.Identifier(self._database.settings.schema))
            )
            sums: dict[Exposed, Sums] = {}
            for row in connection.execute(statements.TOTALS.encode(), binary=True):
                key = Exposed(row[0], row[1], row[2], Status(row[3]), row[4])
                sums.setdefault(key, Sums()).merge(_sums(row[5:]))
            folded = dict(connection.execute(statements.FOLDED.encode()).fetchall())
        return Everything(sums=sums, folded=folded)

    def _arguments(self) -> dict[str, Any]:
        arguments: dict[str, Any] = {"application_name": "difyrpc", "connect_timeout": CONNECT_SECONDS}
        if self._database.embedded is not None:
            arguments |= self._database.embedded.conninfo()
        return arguments


def _sums(row: tuple[Any, ...]) -> Sums:
    durations, firsts = unpack(row[7]), unpack(row[8])
    return Sums(
        calls=row[0],
        input=row[1],
        output=row[2],
        cached_input=row[3],
        reasoning_output=row[4],
        duration=Spread(count=sum(durations.values()), sum=row[5], histogram=durations),
        time_to_first_token=Spread(count=sum(firsts.values()), sum=row[6], histogram=firsts),
        input_sizes=unpack(row[9]),
        output_sizes=unpack(row[10]),
    )
