"""Answers a repeated request with its first answer: the effect and its answer are one transaction."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from psycopg import errors as pg

from difyrpc_services.runtime.errors import InvalidArgument, Unavailable

if TYPE_CHECKING:
    from difyrpc_services.runtime.database import Connection, Database

REQUEST_ID = re.compile(r"[ -~]{1,128}")
"""1 to 128 printable ASCII characters."""
KEPT = timedelta(hours=24)
PRUNE_EVERY_CALLS = 100
PRUNE_ROWS = 1000
"""At most so many expired rows go with one call: ten times what came since the last pruning."""

CLAIM = """
INSERT INTO runtime_replays AS claimed (tenant, method, request_id, body_sha256, claimed_at)
VALUES (%(tenant)s, %(method)s, %(request_id)s, %(body)s, %(now)s)
ON CONFLICT (tenant, method, request_id) DO UPDATE
    SET body_sha256 = excluded.body_sha256, answer = NULL, claimed_at = excluded.claimed_at
    WHERE claimed.claimed_at <= %(expired)s
RETURNING true
"""
"""Waits while another transaction holds the claim; answers a row when the claim is ours."""

PRUNE = """
DELETE FROM runtime_replays WHERE ctid = ANY (ARRAY (
    SELECT ctid FROM runtime_replays WHERE claimed_at <= %s ORDER BY claimed_at LIMIT %s FOR UPDATE SKIP LOCKED
))
"""

Effect = Callable[[], Awaitable[bytes]]


def utc_now() -> datetime:
    """Answers the time of day."""
    return datetime.now(UTC)


class Replay:
    """Remembers for a day what each (tenant, method, request id) was answered."""

    def __init__(self, database: Database, *, now: Callable[[], datetime] = utc_now) -> None:
        """Takes the database that the effects write to as well."""
        self._database = database
        self._now = now
        self._calls = 0

    async def once(self, tenant: str, method: str, request_id: str, body: bytes, effect: Effect) -> bytes:
        """Answers what `effect` answers, running it only for the first request of this id.

        The effect runs inside `database.transaction()`: what it writes there is committed together with its answer,
        and an effect that raises leaves nothing, not even the claim. A second call meanwhile waits for the first.
        InvalidArgument: INVALID_REQUEST_ID; REQUEST_ID_REUSED when the id came with another body.
        """
        check_request_id(request_id)
        digest = hashlib.sha256(body).digest()
        key = {"tenant": tenant, "method": method, "request_id": request_id}
        async with self._database.transaction() as connection:
            if not await self._claim(connection, key, digest):
                return await _stored(connection, key, digest)
            answer = await effect()
            await connection.execute(
                "UPDATE runtime_replays SET answer = %(answer)s"
                " WHERE tenant = %(tenant)s AND method = %(method)s AND request_id = %(request_id)s",
                {**key, "answer": answer},
            )
            await self._prune(connection)
            return answer

    async def _claim(self, connection: Connection, key: dict[str, str], digest: bytes) -> bool:
        now = self._now()
        try:
            cursor = await connection.execute(CLAIM, {**key, "body": digest, "now": now, "expired": now - KEPT})
        except pg.QueryCanceled as error:
            raise Unavailable(
                "REQUEST_IN_PROGRESS", "the first call of this request_id has not ended yet", retry_after=1.0
            ) from error
        return await cursor.fetchone() is not None

    async def _prune(self, connection: Connection) -> None:
        """Deletes expired rows now and then; last in the transaction and past locked rows, so nobody waits for it."""
        if self._calls % PRUNE_EVERY_CALLS == 0:
            await connection.execute(PRUNE, (self._now() - KEPT, PRUNE_ROWS))
        self._calls += 1


def check_request_id(request_id: str) -> None:
    """Refuses an id that is empty, too long, or holds anything but printable ASCII."""
    if not REQUEST_ID.fullmatch(request_id):
        raise InvalidArgument(
            "INVALID_REQUEST_ID",
            "request_id must have 1 to 128 printable ASCII characters; a random UUID is a good one",
            field="request_id",
        )


async def _stored(connection: Connection, key: dict[str, str], digest: bytes) -> bytes:
    cursor = await connection.execute(
        "SELECT body_sha256, answer FROM runtime_replays"
        " WHERE tenant = %(tenant)s AND method = %(method)s AND request_id = %(request_id)s",
        key,
    )
    row = await cursor.fetchone()
    if row is None:
        raise Unavailable("REQUEST_IN_PROGRESS", "the first call of this request_id was just undone", retry_after=0.1)
    body_sha256, answer = row
    if bytes(body_sha256) != digest:
        raise InvalidArgument(
            "REQUEST_ID_REUSED",
            "request_id {request_id} was used within a day for another request; use a new one",
            field="request_id",
            request_id=key["request_id"],
        )
    return bytes(answer)
