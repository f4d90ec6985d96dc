"""Counts tenants' calls over time: in this process, or in a Redis for all processes and replicas.

The algorithm is throttled-py's GCRA: it keeps a bucket as the one moment at which it will be full again, exact to the
microsecond. Its `token_bucket` and `leaking_bucket` count in whole seconds: 200 calls passed within .1 s where 100 a
second with a burst of 100 were allowed, and 1.5 a second became 1.3 (measured with 3.5.0).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import throttled
import throttled.asyncio
from throttled.exceptions import StoreUnavailableError
from throttled.rate_limiter import Quota, RateLimitResult
from throttled.rate_limiter import Rate as Fill

from difyrpc_services.runtime.limits import Rate
from difyrpc_services.runtime.settings import SettingsError

log = logging.getLogger(__name__)

ALGORITHM = "gcra"
PREFIX = "difyrpc:rates"
PERIOD_SECONDS = 1_000_000  # quotas count whole calls, so that fractions a second need a long period
MOST_TENANTS = 65_536  # remembered by one process, some 200 bytes each; the one that was quiet longest is forgotten
REDIS_SECONDS = 0.1  # the most that Redis may cost one call
PROBE_SECONDS = 1.0  # between two looks whether it is back
CONNECTIONS = 16  # to Redis, of one process


class LocalRates:
    """Counts in the memory of this process."""

    def __init__(self, shares: int = 1) -> None:
        """Takes between how many processes each rate is divided."""
        self._shares = shares
        self._store = throttled.MemoryStore(options={"MAX_SIZE": MOST_TENANTS})
        self._limiters: dict[Rate, throttled.Throttled] = {}

    async def take(self, key: str, rate: Rate) -> tuple[bool, float]:
        """Counts one call against this process's share."""
        limiter = self._limiters.get(rate)
        if limiter is None:
            quota = quota_of(rate, self._shares)
            limiter = throttled.Throttled(using=ALGORITHM, quota=quota, store=self._store, key_prefix=PREFIX)
            self._limiters[rate] = limiter
        return verdict(limiter.limit(key), limiter.limiter.quota)


class SharedRates:
    """Counts in Redis; while that is away or slow, in this process."""

    def __init__(self, url: str, local: LocalRates) -> None:
        """Connects on the first call; SettingsError when the URL or the driver is not as it must be."""
        self._local = local
        self._store = _redis_store(url)
        self._client = _client_of(self._store)
        self._limiters: dict[Rate, throttled.asyncio.Throttled] = {}
        self._probing: asyncio.Task[None] | None = None
        self.on_change: Callable[[bool], None] = lambda is_shared: None
        """Hears whether rates are shared now."""

    async def take(self, key: str, rate: Rate) -> tuple[bool, float]:
        """Counts one call against the whole rate."""
        if self._probing is not None:
            return await self._local.take(key, rate)
        limiter = self._limiters.get(rate)
        if limiter is None:
            quota = quota_of(rate)
            limiter = throttled.asyncio.Throttled(using=ALGORITHM, quota=quota, store=self._store, key_prefix=PREFIX)
            self._limiters[rate] = limiter
        try:
            async with asyncio.timeout(REDIS_SECONDS):
                result = await limiter.limit(key)
        except _failures() as error:
            self._lose(error)
            return await self._local.take(key, rate)
        return verdict(result, limiter.limiter.quota)

    async def ping(self) -> str | None:
        """Asks Redis for a sign of life; answers what is wrong."""
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                await self._client.ping()
        except _failures() as error:
            return said(error)
        return None

    async def close(self) -> None:
        """Closes the connections."""
        if self._probing is not None:
            self._probing.cancel()
            with suppress(asyncio.CancelledError):
                await self._probing
        await self._client.connection_pool.disconnect()

    def _lose(self, error: BaseException) -> None:
        if self._probing is not None:  # another call was first
            return
        self._probing = asyncio.create_task(self._probe())
        log.warning("Redis does not answer (%s); each process limits by itself", said(error))
        self.on_change(False)

    async def _probe(self) -> None:
        while True:
            await asyncio.sleep(PROBE_SECONDS)
            if await self.ping() is None:
                break
        self._probing = None
        log.info("Redis answers again; the tenants' rates are shared")
        self.on_change(True)


def quota_of(rate: Rate, shares: int = 1) -> Quota:
    """Answers one process's share of a rate; a burst has at least one call."""
    limit = max(1, round(rate.calls_per_second * PERIOD_SECONDS / shares))
    return Quota(Fill(period=timedelta(seconds=PERIOD_SECONDS), limit=limit), burst=max(1, rate.burst_calls // shares))


def verdict(result: RateLimitResult, quota: Quota) -> tuple[bool, float]:
    """Answers whether a call may begin, and the seconds until its turn or until one may begin."""
    state = result.state
    if result.limited:
        return False, state.retry_after
    # The bucket is full again when the calls before this one have had their turns, and this one its own time.
    return True, max(0.0, state.reset_after - quota.emission_interval)


def _redis_store(url: str) -> throttled.asyncio.RedisStore:
    try:
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
    except ImportError as error:
        raise SettingsError(
            "DIFYRPC_REDIS_URL needs redis, which is not installed: pip install 'difyrpc[redis]'"
        ) from error
    options = {
        "CONNECTION_POOL_CLASS": "redis.asyncio.BlockingConnectionPool",
        "CONNECTION_POOL_KWARGS": {
            "max_connections": CONNECTIONS,
            "timeout": None,
            "socket_connect_timeout": PROBE_SECONDS,
            "retry": Retry(NoBackoff(), 0),
        },
    }
    return throttled.asyncio.RedisStore(server=url, options=options)


def _client_of(store: throttled.asyncio.RedisStore) -> Any:
    try:
        return store._backend.get_client()  # the library has no other way to close what it opens
    except ValueError:
        # Without the cause, which may show a part of the password as what should be the port.
        raise SettingsError("DIFYRPC_REDIS_URL is not of the form redis://:password@host:6379/0") from None


def said(error: BaseException) -> str:
    """Answers what the driver met, in one line; the library wraps some of it."""
    met = error.__cause__ if isinstance(error, StoreUnavailableError) and error.__cause__ else error
    return f"{type(met).__name__}: {met}".rstrip(": ")


def _failures() -> tuple[type[BaseException], ...]:
    from redis.exceptions import RedisError

    return TimeoutError, OSError, RedisError, StoreUnavailableError
