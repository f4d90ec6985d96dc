"""Tenants' rates that several processes share through Redis, also while it is killed, frozen and back."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import grpc
import pytest
from prometheus_client import generate_latest
from redis_server import RedisServer, redis_server
from scripted import Scene, scene
from statuses import reason, retry_seconds

from difyrpc.files.v1 import files_pb2, files_pb2_grpc
from difyrpc_services.runtime.admission import Admission
from difyrpc_services.runtime.limits import Rate
from difyrpc_services.runtime.rates import REDIS_SECONDS, LocalRates, SharedRates
from difyrpc_services.runtime.settings import SettingsError

RATE = Rate(calls_per_second=0.01, burst_calls=5)
WAIT_SECONDS = 60.0


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@asynccontextmanager
async def shared(redis: RedisServer) -> AsyncIterator[SharedRates]:
    rates = SharedRates(redis.url, LocalRates())
    await first_connection(rates)
    yield rates
    await rates.close()


async def first_connection(rates: SharedRates) -> None:
    """Connects, however busy this machine is."""
    async with asyncio.timeout(WAIT_SECONDS):
        while await rates.ping() is not None:
            pass


async def begun(rates: SharedRates, tries: int, tenant: str = "acme") -> int:
    return sum([(await rates.take(tenant, RATE))[0] for _ in range(tries)])


async def test_processes_share_one_rate(redis: RedisServer):
    async with shared(redis) as one, shared(redis) as other:
        assert await begun(one, 3) == 3
        assert await begun(other, 3) == 2
        assert await begun(other, 3, "somebody") == 3
        may_begin, seconds = await one.take("acme", RATE)
        assert not may_begin
        assert 90 < seconds <= 100


async def test_without_redis_each_process_limits_by_itself_and_sharing_returns(
    redis: RedisServer, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO, logger="difyrpc_services.runtime.rates")
    changes: asyncio.Queue[bool] = asyncio.Queue()
    async with shared(redis) as rates, asyncio.timeout(WAIT_SECONDS):
        rates.on_change = changes.put_nowait
        assert await begun(rates, 6) == 5
        redis.kill()
        assert await begun(rates, 20) == 5
        assert not await changes.get()
        redis.start()
        assert await changes.get()
        assert await begun(rates, 6) == 5
    levels = [record.levelno for record in caplog.records]
    assert levels == [logging.WARNING, logging.INFO]


async def test_a_redis_that_hangs_costs_one_call_a_short_time_and_the_others_nothing(redis: RedisServer):
    changes: asyncio.Queue[bool] = asyncio.Queue()
    async with shared(redis) as rates, asyncio.timeout(WAIT_SECONDS):
        rates.on_change = changes.put_nowait
        await rates.take("acme", RATE)
        redis.freeze()
        start = time.monotonic()
        await rates.take("acme", RATE)
        assert REDIS_SECONDS <= time.monotonic() - start < 20 * REDIS_SECONDS
        assert not await changes.get()
        start = time.monotonic()
        for _ in range(100):
            await rates.take("acme", RATE)
        assert time.monotonic() - start < 20 * REDIS_SECONDS
        redis.thaw()
        assert await changes.get()


async def ask(channel: grpc.aio.Channel) -> grpc.aio.AioRpcError | None:
    try:
        await files_pb2_grpc.FileStorageStub(channel).GetFile(files_pb2.GetFileRequest(name="files/a"))
    except grpc.aio.AioRpcError as error:
        return error
    return None


def is_shared(at: Scene) -> bool:
    return "difyrpc_tenant_rates_shared 1.0" in generate_latest(at.registry).decode()


async def test_a_server_outlives_its_redis_and_says_in_its_metrics_who_counts(redis: RedisServer):
    env = {
        "DIFYRPC_REDIS_URL": redis.url,
        "DIFYRPC_TENANT_CALLS_PER_SECOND": "0.01",
        "DIFYRPC_TENANT_BURST_CALLS": "3",
    }
    async with (
        scene(env=env) as at,
        at.channel() as channel,
        asyncio.timeout(WAIT_SECONDS),
    ):
        redis.kill()
        refusals = [await ask(channel) for _ in range(4)]
        assert refusals[:3] == [None] * 3
        assert reason(refusals[3]) == "RATE_LIMITED"
        assert not is_shared(at)
        redis.start()
        while not is_shared(at):
            await asyncio.sleep(0.01)
        refusals = [await ask(channel) for _ in range(4)]
        assert refusals[:3] == [None] * 3
        assert 90 < retry_seconds(refusals[3]) <= 100


async def test_the_doctor_says_whether_redis_answers(redis: RedisServer):
    env = {"DIFYRPC_REDIS_URL": redis.url, "DIFYRPC_TENANT_CALLS_PER_SECOND": "5"}
    admission = Admission.from_env(env, ())
    (check,) = await admission.check()
    assert (check.level, "shared" in check.found) == ("ok", True)
    redis.kill()
    (check,) = await admission.check()
    assert (check.level, "does not answer" in check.found) == ("error", True)
    await admission.close()


async def test_a_redis_url_that_cannot_be_one_is_refused_without_its_password():
    env = {"DIFYRPC_REDIS_URL": "redis://:hidden@host:port/0", "DIFYRPC_TENANT_CALLS_PER_SECOND": "5"}
    with pytest.raises(SettingsError, match="DIFYRPC_REDIS_URL") as raised:
        Admission.from_env(env, ())
    assert "hidden" not in str(raised.value)
