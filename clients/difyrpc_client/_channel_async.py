"""A grpc.aio channel for generated stubs, with the token, request id and deadline of the client."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import grpc
import grpc.aio

from difyrpc_client._channel import merged
from difyrpc_client._channel_renewed import RenewedChannel
from difyrpc_client._grpc_async import open_async_channel
from difyrpc_client._plan import AsyncPlan
from difyrpc_client._settings import CallOptions, Endpoint
from difyrpc_client._tls import renewal_of

Details = grpc.aio.ClientCallDetails


def open_for_stubs(endpoint: Endpoint, options: CallOptions) -> grpc.aio.Channel:
    """Makes a channel of the running loop; the caller closes it."""
    interceptors = [kind(AsyncPlan(options)) for kind in _KINDS]
    renewal = renewal_of(endpoint.tls)
    if renewal is None:
        return open_async_channel(endpoint, interceptors)
    return RenewedChannel(renewal, lambda tls: open_async_channel(replace(endpoint, tls=tls), interceptors))


class _Adding:
    """Adds to a call what the caller has not set."""

    def __init__(self, plan: AsyncPlan) -> None:
        self._plan = plan

    async def _completed(self, details: Details, timeout: float) -> Details:
        metadata = merged(await self._plan.metadata(), details.metadata)
        return Details(
            details.method,
            timeout if details.timeout is None else details.timeout,
            grpc.aio.Metadata(*metadata),
            details.credentials,
            details.wait_for_ready,
        )


class _UnaryUnary(_Adding, grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(self, continuation: Callable[..., Any], details: Details, request: Any) -> Any:
        return await continuation(await self._completed(details, self._plan.options.timeout), request)


class _UnaryStream(_Adding, grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(self, continuation: Callable[..., Any], details: Details, request: Any) -> Any:
        return await continuation(await self._completed(details, self._plan.options.stream_timeout), request)


class _StreamUnary(_Adding, grpc.aio.StreamUnaryClientInterceptor):
    async def intercept_stream_unary(self, continuation: Callable[..., Any], details: Details, requests: Any) -> Any:
        return await continuation(await self._completed(details, self._plan.options.stream_timeout), requests)


class _StreamStream(_Adding, grpc.aio.StreamStreamClientInterceptor):
    async def intercept_stream_stream(self, continuation: Callable[..., Any], details: Details, requests: Any) -> Any:
        return await continuation(await self._completed(details, self._plan.options.stream_timeout), requests)


_KINDS = (_UnaryUnary, _UnaryStream, _StreamUnary, _StreamStream)  # grpc.aio looks at one shape a class
