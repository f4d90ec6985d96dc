"""Channels are shared, counted, closed when idle, and made anew after a fork."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from difyrpc_client._grpc import GrpcTransport
from difyrpc_client._pool import IDLE_SECONDS, Lease, Pool, channel_options
from difyrpc_client._settings import Endpoint

ENDPOINT = Endpoint(target="localhost:1", channels=2)
FORKED = Path(__file__).with_name("forked_client.py")


class FakeChannel:
    def __init__(self) -> None:
        self.closed = False

    def close(self) -> None:
        self.closed = True


class World:
    def __init__(self) -> None:
        self.channels: list[FakeChannel] = []
        self.time = 0.0
        self.pool = Pool(self.open, lambda: self.time)

    def open(self, endpoint: Endpoint) -> FakeChannel:
        self.channels.append(FakeChannel())
        return self.channels[-1]


@pytest.fixture
def world() -> World:
    return World()


def test_channels_are_made_on_use_and_taken_in_turn(world) -> None:
    lease = Lease(ENDPOINT, world.pool)
    assert world.channels == []
    used = [lease.connection().channel for _ in range(4)]
    assert len(world.channels) == 2
    assert (used[0], used[1]) == (used[2], used[3])


def test_equal_endpoints_share_and_others_do_not(world) -> None:
    one, same = Lease(ENDPOINT, world.pool), Lease(replace(ENDPOINT), world.pool)
    other = Lease(replace(ENDPOINT, target="localhost:2"), world.pool)
    channels = {id(lease.connection().channel) for lease in (one, same, one, same)}
    assert len(channels) == 2
    assert id(other.connection().channel) not in channels


def test_a_channel_outlives_its_users_for_a_while(world) -> None:
    lease = Lease(ENDPOINT, world.pool)
    first = lease.connection().channel
    lease.release()
    world.time = IDLE_SECONDS - 1
    again = Lease(ENDPOINT, world.pool)
    again.connection()
    assert again.connection().channel is first
    again.release()
    world.time += IDLE_SECONDS
    Lease(replace(ENDPOINT, target="localhost:2"), world.pool)
    assert all(channel.closed for channel in world.channels)


def test_a_channel_in_use_is_never_closed(world) -> None:
    one, other = Lease(ENDPOINT, world.pool), Lease(ENDPOINT, world.pool)
    one.connection()
    one.release()
    one.release()
    world.time = 10 * IDLE_SECONDS
    Lease(replace(ENDPOINT, target="localhost:2"), world.pool)
    assert not other.connection().channel.closed


def test_a_released_lease_has_no_channel(world) -> None:
    lease = Lease(ENDPOINT, world.pool)
    lease.release()
    with pytest.raises(ValueError, match="closed"):
        lease.connection()


def test_a_client_that_is_dropped_gives_its_channels_back(world) -> None:
    transport = GrpcTransport(ENDPOINT, world.pool)
    transport._lease.connection()
    del transport
    gc.collect()
    world.time = IDLE_SECONDS
    Lease(replace(ENDPOINT, target="localhost:2"), world.pool)
    assert world.channels[0].closed


def test_after_a_fork_a_lease_has_new_channels_and_old_ones_stay_untouched(world) -> None:
    lease = Lease(ENDPOINT, world.pool)
    before = lease.connection().channel
    world.pool.forget()
    after = lease.connection().channel
    assert after is not before
    assert not before.closed
    lease.release()
    world.time = IDLE_SECONDS
    Lease(replace(ENDPOINT, target="localhost:2"), world.pool)
    assert after.closed
    assert not before.closed


def test_threads_share_channels_without_making_more(world) -> None:
    start = threading.Barrier(16)
    lease = Lease(ENDPOINT, world.pool)

    def use() -> None:
        start.wait()
        for _ in range(200):
            lease.connection()

    threads = [threading.Thread(target=use) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(world.channels) == 2


def test_the_options_are_those_that_recover_fast() -> None:
    options = dict(channel_options(ENDPOINT))
    assert options["grpc.use_local_subchannel_pool"] == 1
    assert options["grpc.max_reconnect_backoff_ms"] == 800
    assert options["grpc.keepalive_time_ms"] == 30_000
    assert options["grpc.max_receive_message_length"] == 64 * 1024 * 1024
    assert "retryPolicy" not in str(options["grpc.service_config"])
    assert "grpc.keepalive_time_ms" not in dict(channel_options(replace(ENDPOINT, keepalive_seconds=0)))


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_a_forked_process_calls_over_channels_of_its_own() -> None:
    ran = subprocess.run([sys.executable, str(FORKED)], capture_output=True, text=True, timeout=60, check=False)
    assert ran.stdout.splitlines() == ["child files/child", "parent files/parent"], ran.stderr
    assert ran.returncode == 0
