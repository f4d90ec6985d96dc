"""Checks the keys of calls from memory, asking the store often enough that a revocation is soon known.

Also how the first key comes into being: out of a file, or made and shown once.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from difyrpc_services.runtime.errors import AlreadyExists, InvalidArgument, ServiceError, Unauthenticated
from difyrpc_services.runtime.keys import Key, KeyStore, Now, opens, parse_token, utc_now
from difyrpc_services.runtime.settings import SettingsError, at_least, read

log = logging.getLogger(__name__)

FRESH_SECONDS = 4.0
"""How long a key is believed without asking; a revocation is known within 5 seconds."""
ABSENT_SECONDS = 1.0
"""How long an unknown id is believed unknown; a new key works within this time even if it was tried before."""
PATIENCE_SECONDS = 1.0
"""How long a call whose key is remembered waits for a store that does not answer; those after it do not wait."""
REMEMBERED_KEYS = 10_000
ALL_SCOPES = ("*:admin",)
LOOKUPS_AT_ONCE = 4
"""Look-ups that run at a time, so that a flood of invented ids cannot take every connection."""


@dataclass(frozen=True, kw_only=True)
class KeySettings:
    """How keys begin and how long they are remembered."""

    bootstrap_key_file: Path | None = None
    """A file with a token of our format, which is registered at start with all rights."""
    bootstrap_tenant: str = "default"
    """Whose key the first one is."""
    key_grace_seconds: float = at_least(0, 300.0)
    """How long known keys are believed while the database does not answer."""

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> KeySettings:
        """Reads the settings; SettingsError for the first wrong one."""
        return read(cls, env, prefix="DIFYRPC_")


@dataclass(frozen=True)
class Remembered:
    """What the store said about one id, and when."""

    key: Key | None
    at: float


class KeyRing:
    """Verifies tokens; to be used in one event loop and closed at the end."""

    def __init__(
        self,
        store: KeyStore,
        *,
        grace_seconds: float = 300.0,
        patience_seconds: float = PATIENCE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        now: Now = utc_now,
    ) -> None:
        """Takes where keys are kept; `clock` counts seconds, `now` is the time of day."""
        self._store = store
        self._grace_seconds = grace_seconds
        self._patience_seconds = patience_seconds
        self._clock = clock
        self._now = now
        self._known: OrderedDict[str, Remembered] = OrderedDict()
        self._absent: OrderedDict[str, Remembered] = OrderedDict()
        self._lookups: dict[str, asyncio.Task[Key | None]] = {}
        self._notes: set[asyncio.Task[None]] = set()
        self._noted: dict[str, object] = {}
        self._is_away = False
        self._turn = asyncio.Semaphore(LOOKUPS_AT_ONCE)

    async def verify(self, token: str) -> Key:
        """Answers the key of a token.

        Unauthenticated: KEY_MISSING, KEY_MALFORMED, KEY_UNKNOWN (no such id or another secret: strangers
        learn nothing), KEY_REVOKED, KEY_EXPIRED. Unavailable when the store is away and the key not remembered.
        """
        key_id, secret = parse_token(token)
        key = await self._find(key_id)
        if key is None or not opens(key, secret):
            raise Unauthenticated("KEY_UNKNOWN", "the key is not known here")
        if key.revoked_at is not None:
            raise Unauthenticated("KEY_REVOKED", "key {key} was revoked", key=key.id)
        if key.expires_at is not None and key.expires_at <= self._now():
            raise Unauthenticated("KEY_EXPIRED", "key {key} expired", key=key.id)
        self._note_use(key)
        return key

    async def close(self) -> None:
        """Ends what still runs."""
        running = [*self._lookups.values(), *self._notes]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _find(self, key_id: str) -> Key | None:
        remembered = self._known.get(key_id) or self._absent.get(key_id)
        if remembered is not None and self._age(remembered) < (FRESH_SECONDS if remembered.key else ABSENT_SECONDS):
            return remembered.key
        lookup = self._lookups.get(key_id) or self._start_lookup(key_id)
        if remembered is None or remembered.key is None or self._age(remembered) > self._grace_seconds:
            return await asyncio.shield(lookup)
        await asyncio.wait({lookup}, timeout=0 if self._is_away else self._patience_seconds)
        if lookup.done() and not isinstance(lookup.exception(), ServiceError):
            return lookup.result()
        self._is_away = True
        return remembered.key

    def _age(self, remembered: Remembered) -> float:
        return self._clock() - remembered.at

    def _start_lookup(self, key_id: str) -> asyncio.Task[Key | None]:
        """Asks the store once for all who wait, outside of any caller's transaction and cancellation."""
        task = _start(self._look_up(key_id))
        self._lookups[key_id] = task
        task.add_done_callback(lambda done: self._end_lookup(key_id, done))
        return task

    async def _look_up(self, key_id: str) -> Key | None:
        async with self._turn:
            asked_at = self._clock()  # before the question: the answer is as old as that
            key = await self._store.find(key_id)
        self._is_away = False
        self._remember(key_id, Remembered(key, asked_at))
        return key

    def _end_lookup(self, key_id: str, done: asyncio.Task[Key | None]) -> None:
        del self._lookups[key_id]
        if not done.cancelled():
            done.exception()  # whoever waited has it; if nobody did, it is no news

    def _remember(self, key_id: str, remembered: Remembered) -> None:
        """Keeps known and unknown ids apart: a flood of invented ones pushes out no real key."""
        self._known.pop(key_id, None)
        self._absent.pop(key_id, None)
        ring = self._absent if remembered.key is None else self._known
        ring[key_id] = remembered
        if len(ring) > REMEMBERED_KEYS:
            ring.popitem(last=False)

    def _note_use(self, key: Key) -> None:
        """Has the store note the day of use, once a day and key; nobody waits for it."""
        today = self._now().date()
        if key.last_used_on == today or self._noted.get(key.id) == today:
            return
        if len(self._noted) > REMEMBERED_KEYS:
            self._noted.clear()
        self._noted[key.id] = today
        task = _start(self._touch(key))
        self._notes.add(task)
        task.add_done_callback(self._notes.discard)

    async def _touch(self, key: Key) -> None:
        try:
            await self._store.touch(key.id, self._now().date())
        except ServiceError as error:
            self._noted.pop(key.id, None)
            log.warning("the use of key %s was not noted: %s", key.id, error.reason)


def _start(work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    return asyncio.get_running_loop().create_task(work, context=contextvars.Context())


async def bootstrap(store: KeyStore, settings: KeySettings) -> Key | None:
    """Registers the token of DIFYRPC_BOOTSTRAP_KEY_FILE, as often as wished; None when the setting is empty.

    A key that was revoked stays revoked: the file cannot bring it back. SettingsError when the file has no token.
    """
    file = settings.bootstrap_key_file
    if file is None:
        return None
    token = read_token(file)
    try:
        key = await store.register(token, tenant=settings.bootstrap_tenant, scopes=ALL_SCOPES, name="bootstrap")
    except (AlreadyExists, InvalidArgument) as error:
        raise SettingsError(f"DIFYRPC_BOOTSTRAP_KEY_FILE={file}: {error.message}") from error
    if key.revoked_at is not None:
        log.warning("key %s of DIFYRPC_BOOTSTRAP_KEY_FILE was revoked and stays so", key.id)
    return key


async def first_key(store: KeyStore, tenant: str = "default") -> str | None:
    """Makes a key with all rights when there is no key at all, not even a revoked one, and answers its token.

    Only one of several processes gets it; the token is to be shown once and cannot be had again.
    """
    made = await store.create_first(tenant=tenant, scopes=ALL_SCOPES, name="first")
    return made[1] if made else None


def read_token(file: Path) -> str:
    """Answers the token that DIFYRPC_BOOTSTRAP_KEY_FILE holds; SettingsError when it holds none."""
    try:
        token = file.read_text().strip()
        parse_token(token)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"DIFYRPC_BOOTSTRAP_KEY_FILE={file}: cannot be read; it shall hold one token") from error
    except Unauthenticated as error:
        raise SettingsError(f"DIFYRPC_BOOTSTRAP_KEY_FILE={file}: {error.message}") from error
    return token
