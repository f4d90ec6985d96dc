"""A grpc.aio channel whose later calls go over a new one when the files of TLS change."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Self

import grpc
import grpc.aio

from difyrpc_client._tls import Material, Renewal

Coder = Callable[[Any], Any] | None


class RenewedChannel(grpc.aio.Channel):
    """Opens a channel for what the files hold; calls that run on an older one end there."""

    def __init__(self, renewal: Renewal, open_one: Callable[[Material], grpc.aio.Channel]) -> None:
        self._renewal = renewal
        self._open = open_one
        self._used = renewal.material
        self._channel = open_one(self._used)

    def current(self) -> grpc.aio.Channel:
        """Answers the channel to call on now."""
        renewal = self._renewal
        material = renewal.look() if time.monotonic() >= renewal.look_at else renewal.material
        if material is not self._used:
            self._used, self._channel = material, self._open(material)
        return self._channel

    def unary_unary(
        self,
        method: str,
        request_serializer: Coder = None,
        response_deserializer: Coder = None,
        _registered_method: bool | None = False,
    ) -> Any:
        """Answers the callable of a method that sends one message and gets one."""
        return _Following(self, "unary_unary", method, request_serializer, response_deserializer)

    def unary_stream(
        self,
        method: str,
        request_serializer: Coder = None,
        response_deserializer: Coder = None,
        _registered_method: bool | None = False,
    ) -> Any:
        """Answers the callable of a method that sends one message and gets several."""
        return _Following(self, "unary_stream", method, request_serializer, response_deserializer)

    def stream_unary(
        self,
        method: str,
        request_serializer: Coder = None,
        response_deserializer: Coder = None,
        _registered_method: bool | None = False,
    ) -> Any:
        """Answers the callable of a method that sends several messages and gets one."""
        return _Following(self, "stream_unary", method, request_serializer, response_deserializer)

    def stream_stream(
        self,
        method: str,
        request_serializer: Coder = None,
        response_deserializer: Coder = None,
        _registered_method: bool | None = False,
    ) -> Any:
        """Answers the callable of a method that sends several messages and gets several."""
        return _Following(self, "stream_stream", method, request_serializer, response_deserializer)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """Answers how the channel stands that calls go over now."""
        return self.current().get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Waits until that channel stands otherwise."""
        await self.current().wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """Waits until that channel has a connection."""
        await self.current().channel_ready()

    async def close(self, grace: float | None = None) -> None:
        """Closes that channel; an older one closes with the last of its calls."""
        await self._channel.close(grace)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class _Following:
    """The callable of one method."""

    def __init__(self, channel: RenewedChannel, shape: str, *described: Any) -> None:
        self._channel = channel
        self._shape = shape
        self._described = described
        self._made: tuple[grpc.aio.Channel | None, Any] = (None, None)

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Begins a call, as the callable of a plain channel does."""
        channel = self._channel.current()
        if self._made[0] is not channel:
            self._made = channel, getattr(channel, self._shape)(*self._described, _registered_method=True)
        call = self._made[1](*arguments, **options)
        call.add_done_callback(lambda _: channel)  # keeps it: an interceptor may begin the call later
        return call
