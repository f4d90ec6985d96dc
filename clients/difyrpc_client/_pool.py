"""Channels of grpc, shared by the whole process: made on use, counted, closed when idle, made anew after fork."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import grpc

from difyrpc_client._methods import Method
from difyrpc_client._settings import Endpoint
from difyrpc_client._transport import gevent_patched

IDLE_SECONDS = 60.0  # how long a channel without users is kept for the next one

Options = list[tuple[str, str | int]]


def channel_options(endpoint: Endpoint) -> Options:
    """Answers the channel arguments of grpc for an endpoint."""
    options: Options = [
        ("grpc.use_local_subchannel_pool", 1),  # else all channels of a target share one connection
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 1000),
        ("grpc.dns_min_time_between_resolutions_ms", 5000),
        ("grpc.max_receive_message_length", endpoint.max_message_bytes),
        ("grpc.max_send_message_length", -1),  # the server says what is too large
        ("grpc.service_config", SERVICE_CONFIG),
    ]
    if endpoint.keepalive_seconds:
        options += [
            ("grpc.keepalive_time_ms", int(endpoint.keepalive_seconds * 1000)),
            ("grpc.keepalive_timeout_ms", int(min(10.0, endpoint.keepalive_seconds / 2) * 1000)),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.max_pings_without_data", 0),
        ]
    return options + list(endpoint.tls.options() if endpoint.tls else [])


# Spreads calls over all addresses of a name and gives none to a server that says that it is not serving.
SERVICE_CONFIG = '{"loadBalancingConfig":[{"round_robin":{}}],"healthCheckConfig":{"serviceName":""}}'


def open_channel(endpoint: Endpoint) -> grpc.Channel:
    """Makes one channel; it connects with its first call."""
    prepare_gevent()
    options = channel_options(endpoint)
    if endpoint.tls is None:
        return grpc.insecure_channel(endpoint.target, options)
    return grpc.secure_channel(endpoint.target, endpoint.tls.credentials(), options)


_gevent_ready = False


def prepare_gevent() -> None:
    """Makes grpc wait by gevent's means in a patched process, where streams would hang otherwise."""
    global _gevent_ready  # noqa: PLW0603  # the state is grpc's, one a process
    if not _gevent_ready and gevent_patched():
        import grpc.experimental.gevent

        grpc.experimental.gevent.init_gevent()
        _gevent_ready = True


class Connection:
    """One channel with the callables that were made for it."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.channel = channel
        self._calls: dict[Any, Any] = {}

    def call(self, method: Method[Any, Any]) -> Any:
        """Answers the callable of grpc for a method."""
        return self._calls.get(method.path) or self._calls.setdefault(method.path, multicallable(self.channel, method))

    def raw(self, shape: str, path: str, encode: Any, decode: Any) -> Any:
        """Answers the callable of grpc for a method that a generated stub describes."""
        key = (shape, path, encode, decode)
        return self._calls.get(key) or self._calls.setdefault(
            key, getattr(self.channel, shape)(path, encode, decode, _registered_method=True)
        )


def multicallable(channel: Any, method: Method[Any, Any]) -> Any:
    """Makes the callable of grpc for a method, on a channel of either kind."""
    shape = f"{_SIDE[method.request_streaming]}_{_SIDE[method.response_streaming]}"
    return getattr(channel, shape)(
        method.path,
        request_serializer=method.request.SerializeToString,
        response_deserializer=method.response.FromString,
        _registered_method=True,
    )


_SIDE = {False: "unary", True: "stream"}


@dataclass(eq=False)
class _Entry:
    """The channels of one endpoint."""

    connections: list[Connection | None]
    users: int = 0
    idle_since: float = 0.0
    turn: itertools.count[int] = field(default_factory=itertools.count)


class Pool:
    """All channels of the process."""

    def __init__(
        self, open_channel: Callable[[Endpoint], grpc.Channel] = open_channel, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.generation = 0
        """Rises with each fork; what an older generation holds is not touched any more."""
        self._open = open_channel
        self._now = now
        self._lock = threading.RLock()  # re-entered where the garbage collector ends a lease inside of it
        self._entries: dict[Endpoint, _Entry] = {}
        self._forgotten: list[object] = []

    def acquire(self, endpoint: Endpoint) -> _Entry:
        """Counts one more user of the endpoint's channels."""
        with self._lock:
            entry = self._entries.get(endpoint)
            if entry is None:
                entry = self._entries[endpoint] = _Entry([None] * endpoint.channels)
            entry.users += 1
        self._close_idle()
        return entry

    def release(self, entry: _Entry) -> None:
        """Counts one user less; without users the channels are kept for a minute."""
        with self._lock:
            entry.users -= 1
            entry.idle_since = self._now()
        self._close_idle()

    def connect(self, endpoint: Endpoint, entry: _Entry, index: int | None = None) -> Connection:
        """Answers one of the entry's channels: the one asked for, else each in turn."""
        if index is None:
            index = next(entry.turn) % len(entry.connections)
        return entry.connections[index] or self._fill(endpoint, entry, index)

    def forget(self) -> None:
        """Drops all channels without closing them: after a fork their threads and sockets are the parent's."""
        self._lock = threading.RLock()
        self._forgotten.append(self._entries)  # kept, since destroying a channel would wait for the parent's threads
        self._entries = {}
        self.generation += 1

    def size(self) -> int:
        """Answers how many channels are open."""
        with self._lock:
            return sum(1 for entry in self._entries.values() for one in entry.connections if one)

    def _fill(self, endpoint: Endpoint, entry: _Entry, index: int) -> Connection:
        with self._lock:
            connection = entry.connections[index]
            if connection is None:
                connection = entry.connections[index] = Connection(self._open(endpoint))
            return connection

    def _close_idle(self) -> None:
        with self._lock:
            latest = self._now() - IDLE_SECONDS
            idle = [key for key, entry in self._entries.items() if not entry.users and entry.idle_since <= latest]
            closing = [self._entries.pop(key) for key in idle]
        for entry in closing:
            for connection in entry.connections:
                if connection:
                    connection.channel.close()


class Lease:
    """One user of an endpoint's channels; survives a fork."""

    def __init__(self, endpoint: Endpoint, pool: Pool) -> None:
        self._endpoint = endpoint
        self._pool = pool
        self._lock = threading.Lock()
        self._generation = pool.generation
        self._entry: _Entry | None = pool.acquire(endpoint)

    def connection(self) -> Connection:
        """Answers a channel to call on; ValueError after `release`."""
        entry = self._entry
        if entry is None:
            raise ValueError("the client is closed")
        if self._generation != self._pool.generation:
            entry = self._renew()
        return self._pool.connect(self._endpoint, entry)

    def first(self) -> Connection:
        """Answers always the same channel; ValueError after `release`."""
        self.connection()
        return self._pool.connect(self._endpoint, cast("_Entry", self._entry), 0)

    def release(self) -> None:
        """Gives the channels back; a second time does nothing."""
        entry, self._entry = self._entry, None
        if entry is not None and self._generation == self._pool.generation:
            self._pool.release(entry)

    def _renew(self) -> _Entry:
        self._lock = threading.Lock() if self._lock.locked() else self._lock
        with self._lock:
            if self._generation != self._pool.generation or self._entry is None:
                self._generation, self._entry = self._pool.generation, self._pool.acquire(self._endpoint)
            return self._entry


PROCESS_POOL = Pool()
os.register_at_fork(after_in_child=PROCESS_POOL.forget)
