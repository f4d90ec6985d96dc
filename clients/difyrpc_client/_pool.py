"""Channels of grpc, shared by the whole process: made on use, counted, closed when idle, made anew after fork."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import grpc

from difyrpc_client import _one_thread
from difyrpc_client._diagnosis import Doctor, got_no_connection, with_new_files
from difyrpc_client._errors import DifyrpcError
from difyrpc_client._methods import Method
from difyrpc_client._settings import Endpoint
from difyrpc_client._short_call import shortened
from difyrpc_client._tls import Material, renewal_of
from difyrpc_client._transport import gevent_patched

IDLE_SECONDS = 60.0  # how long a channel without users is kept for the next one

Options = list[tuple[str, str | int]]


def channel_options(endpoint: Endpoint) -> Options:
    """Answers the channel arguments of grpc for an endpoint."""
    options: Options = [
        ("grpc.use_local_subchannel_pool", 1),  # else all channels of a target share one connection
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 5000),  # really how long one attempt may take: five round trips with TLS
        ("grpc.max_reconnect_backoff_ms", 800),  # 960 with its jitter: a server that is back is in use within a second
        ("grpc.dns_min_time_between_resolutions_ms", 5000),
        ("grpc.max_receive_message_length", endpoint.max_message_bytes),
        ("grpc.max_send_message_length", -1),  # the server says what is too large
        ("grpc.service_config", SERVICE_CONFIG),
    ]
    if endpoint.keepalive_seconds:
        # The kernel waits as long for what was sent, so calls in flight to a dead host end by it, long before a ping.
        answer_ms = int(min(5.0, endpoint.keepalive_seconds / 2) * 1000)
        options += [
            ("grpc.keepalive_time_ms", int(endpoint.keepalive_seconds * 1000)),
            ("grpc.keepalive_timeout_ms", answer_ms),
            # What swallows bytes and acknowledges them to TCP is noticed by this one alone; it is 60 s else.
            ("grpc.http2.ping_timeout_ms", answer_ms),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.max_pings_without_data", 0),
        ]
    return options + list(endpoint.tls.options() if endpoint.tls else [])


# Spreads calls over all addresses of a name and gives none to a server that says that it is not serving.
SERVICE_CONFIG = '{"loadBalancingConfig":[{"round_robin":{}}],"healthCheckConfig":{"serviceName":""}}'


def open_channel(endpoint: Endpoint) -> grpc.Channel:
    """Makes one channel; it connects with its first call."""
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

    def __init__(self, channel: grpc.Channel, tls: Material | None = None) -> None:
        self.channel = channel
        self.tls = tls
        self._calls: dict[Any, Any] = {}

    def call(self, method: Method[Any, Any]) -> Any:
        """Answers the callable of grpc for a method."""
        return self._calls.get(method.path) or self._calls.setdefault(
            method.path, shortened(multicallable(self.channel, method))
        )

    def reading(self, method: Method[Any, Any]) -> Any:
        """Answers the callable of a server stream that the caller's thread reads; `_one_thread.end` must end it."""
        key = "reading", method.path
        return self._calls.get(key) or self._calls.setdefault(key, _one_thread.reading(self.channel, method))

    def raw(self, shape: str, path: str, encode: Any, decode: Any) -> Any:
        """Answers the callable of grpc for a method that a generated stub describes."""
        key = (shape, path, encode, decode)
        return self._calls.get(key) or self._calls.setdefault(
            key, shortened(getattr(self.channel, shape)(path, encode, decode, _registered_method=True))
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

    endpoint: Endpoint
    connections: list[Connection | None]
    users: int = 0
    is_replaced: bool = False
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
        self.now = now
        """The time in seconds since some point in the past."""
        self.lock = threading.RLock()  # re-entered where the garbage collector ends a lease inside of it
        self._entries: dict[Endpoint, _Entry] = {}
        self._forgotten: list[object] = []

    def acquire(self, endpoint: Endpoint) -> _Entry:
        """Counts one more user of the endpoint's channels."""
        with self.lock:
            entry = self._entries.get(endpoint)
            if entry is None:
                entry = self._entries[endpoint] = _Entry(endpoint, [None] * endpoint.channels)
            entry.users += 1
        self._close_idle()
        return entry

    def release(self, entry: _Entry) -> None:
        """Counts one user less; without users the channels are kept for a minute."""
        with self.lock:
            entry.users -= 1
            entry.idle_since = self.now()
        self._close_idle()

    def retire(self, entry: _Entry) -> None:
        """Counts one user less of channels that others have replaced; calls that run on them may end there."""
        with self.lock:
            entry.is_replaced = True
            entry.users -= 1
            if not entry.users and self._entries.get(entry.endpoint) is entry:
                del self._entries[entry.endpoint]  # not closed: gRPC keeps a channel as long as it has calls

    def connect(self, entry: _Entry, index: int | None = None) -> Connection:
        """Answers one of the entry's channels: the one asked for, else each in turn."""
        prepare_gevent()  # before each call, since a process may be patched when the channel is there already
        if index is None:
            index = next(entry.turn) % len(entry.connections)
        return entry.connections[index] or self._fill(entry, index)

    def forget(self) -> None:
        """Drops all channels without closing them: after a fork their threads and sockets are the parent's."""
        self.lock = threading.RLock()
        self._forgotten.append(self._entries)  # kept, since destroying a channel would wait for the parent's threads
        self._entries = {}
        self.generation += 1

    def size(self) -> int:
        """Answers how many channels are open."""
        with self.lock:
            return sum(1 for entry in self._entries.values() for one in entry.connections if one)

    def _fill(self, entry: _Entry, index: int) -> Connection:
        with self.lock:
            connection = entry.connections[index]
            if connection is None:
                connection = entry.connections[index] = Connection(self._open(entry.endpoint), entry.endpoint.tls)
            return connection

    def _close_idle(self) -> None:
        with self.lock:
            latest = self.now() - IDLE_SECONDS
            idle = [key for key, entry in self._entries.items() if not entry.users and entry.idle_since <= latest]
            closing = [self._entries.pop(key) for key in idle]
        for entry in closing:
            for connection in entry.connections:
                if connection and not entry.is_replaced:
                    connection.channel.close()


class Lease:
    """One user of an endpoint's channels; survives a fork, and goes to new channels when the files of TLS change."""

    def __init__(self, endpoint: Endpoint, pool: Pool) -> None:
        self._endpoint = endpoint
        self._pool = pool
        self._generation = pool.generation
        self._doctor = Doctor(endpoint.target, pool.now)
        self._renewal = renewal_of(endpoint.tls, pool.now)
        self._entry: _Entry | None = pool.acquire(endpoint)

    def connection(self) -> Connection:
        """Answers a channel to call on; ValueError after `release`."""
        entry, pool = self._entry, self._pool
        if entry is None or self._renewal is not None or self._generation != pool.generation:
            return pool.connect(self._current())
        return pool.connect(entry)

    def first(self) -> Connection:
        """Answers always the same channel; ValueError after `release`."""
        return self._pool.connect(self._current(), 0)

    def explained(self, error: DifyrpcError, connection: Connection, timeout: float) -> DifyrpcError:
        """Answers what to raise for the error of a call on a connection; looks at the files and the server if need be.

        A call that got no connection may be repeated when the files have changed since; when they have not, and TLS is
        the cause, it is a TLSError.
        """
        if not got_no_connection(error):
            return error
        if self._renewal is not None and self._renewal.look() != connection.tls:
            return with_new_files(error)
        return self._doctor.examine(error, connection.tls, timeout)

    def release(self) -> None:
        """Gives the channels back; a second time does nothing."""
        with self._pool.lock:
            entry, self._entry = self._entry, None
        if entry is not None and self._generation == self._pool.generation:
            self._pool.release(entry)

    def _current(self) -> _Entry:
        entry, renewal = self._entry, self._renewal
        if entry is None:
            raise ValueError("the client is closed")
        if self._generation != self._pool.generation:
            return self._after_fork(entry)
        if renewal is None:
            return entry
        material = renewal.look() if self._pool.now() >= renewal.look_at else renewal.material
        if material is self._endpoint.tls:
            return entry
        return self._exchanged(entry, replace(self._endpoint, tls=material))

    def _after_fork(self, entry: _Entry) -> _Entry:
        """Answers channels of this process, and makes anew what a thread that the child does not have may hold."""
        self._doctor = Doctor(self._endpoint.target, self._pool.now)
        self._renewal = renewal_of(self._endpoint.tls, self._pool.now)
        return self._exchanged(entry, self._endpoint)

    def _exchanged(self, old: _Entry, endpoint: Endpoint) -> _Entry:
        new = self._pool.acquire(endpoint)
        with self._pool.lock:
            is_first = self._entry is old  # else another thread was faster, or the client is closed
            if is_first:
                self._endpoint, self._entry, self._generation = endpoint, new, self._pool.generation
        if is_first:
            self._pool.retire(old)
        else:
            self._pool.release(new)
        return self._entry or new


PROCESS_POOL = Pool()
os.register_at_fork(after_in_child=PROCESS_POOL.forget)
