"""The seam between what is called and how it travels; gRPC and HTTP are imported when a client first needs them."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, AsyncIterable, Generator, Iterable, Sequence
from typing import Protocol

from difyrpc_client._errors import ConfigurationError
from difyrpc_client._methods import Method, Req, Res
from difyrpc_client._settings import Endpoint
from difyrpc_client._target import grpc_only, is_url

Metadata = Sequence[tuple[str, str]]


class Transport(Protocol):
    """Sends calls and blocks until they are answered; may be used by several threads."""

    def unary(
        self, method: Method[Req, Res], request: Req, timeout: float, metadata: Metadata, wait_for_ready: bool = False
    ) -> Res:
        """Sends one message and answers the one that comes back; raises DifyrpcError."""

    def stream(
        self, method: Method[Req, Res], requests: Iterable[Req], timeout: float, metadata: Metadata
    ) -> Generator[Res, None, None]:
        """Sends the messages and yields what comes back as it comes; closing the generator cancels the call."""

    def close(self) -> None:
        """Gives back what the transport holds; a second time does nothing."""


class AsyncTransport(Protocol):
    """Sends calls in the running event loop."""

    async def unary(
        self, method: Method[Req, Res], request: Req, timeout: float, metadata: Metadata, wait_for_ready: bool = False
    ) -> Res:
        """Sends one message and answers the one that comes back; raises DifyrpcError."""

    def stream(
        self,
        method: Method[Req, Res],
        requests: Iterable[Req] | AsyncIterable[Req],
        timeout: float,
        metadata: Metadata,
    ) -> AsyncGenerator[Res, None]:
        """Sends the messages and yields what comes back as it comes; closing the generator cancels the call."""

    async def close(self) -> None:
        """Gives back what the transport holds; a second time does nothing."""


def open_transport(endpoint: Endpoint) -> Transport:
    """Answers a transport for the endpoint: HTTP for a URL, else gRPC. Connects nothing yet."""
    if is_url(endpoint.target):
        from difyrpc_client._http import HttpTransport

        return HttpTransport(endpoint)
    from difyrpc_client._grpc import GrpcTransport

    return GrpcTransport(endpoint)


def open_async_transport(endpoint: Endpoint) -> AsyncTransport:
    """Answers a transport for the endpoint; connects nothing yet. ConfigurationError for a URL."""
    grpc_only(endpoint.target, "connect_async()")
    from difyrpc_client._grpc_async import AsyncGrpcTransport

    return AsyncGrpcTransport(endpoint)


def gevent_patched() -> bool:
    """Answers whether gevent has replaced this process's sockets; does not import gevent."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("socket"))


def gevent_refusal() -> None:
    """Raises ConfigurationError where gevent has patched the process: grpc's asyncio would hang."""
    if gevent_patched():
        raise ConfigurationError(
            "the asynchronous client cannot run in a process that gevent has patched, as every Dify plugin is; "
            "use connect() there"
        )


def request_id_of(metadata: Metadata) -> str:
    """Answers the call's `x-request-id`, empty if there is none."""
    return next((value for key, value in metadata if key == "x-request-id"), "")
