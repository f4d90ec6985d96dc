"""The transports and routes of one client, made when a service is first called."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from difyrpc_client._methods import Method
from difyrpc_client._route import PROCESS_ROUTES, Route
from difyrpc_client._settings import Endpoint, Settings
from difyrpc_client._transport import AsyncTransport, Transport, open_async_transport, open_transport


class _Routes:
    """The routes of one client, which it shares with the others of the process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._routes: dict[str, Route] = {}

    def route(self, method: Method[Any, Any]) -> Route:
        """Answers what the process knows of a method where this client calls it."""
        found = self._routes.get(method.path)
        if found is None:
            target = self._settings.target_of(method.service)
            found = self._routes[method.path] = PROCESS_ROUTES.of(target, method.path)
        return found


class ClientWires(_Routes):
    """The transports and routes of one client; may be used by several threads."""

    def __init__(self, settings: Settings, open_one: Callable[[Endpoint], Transport] = open_transport) -> None:
        super().__init__(settings)
        self._open = open_one
        self._by_service: dict[str, Transport] = {}
        self._lock = threading.Lock()
        self._closed = False

    def of(self, service: str) -> Transport:
        """Answers the transport of a service; ValueError after `close`."""
        return self._by_service.get(service) or self._made(service)

    def close(self) -> None:
        """Closes all of them."""
        with self._lock:
            self._closed = True
            closing, self._by_service = set(self._by_service.values()), {}
        for transport in closing:
            transport.close()

    def _made(self, service: str) -> Transport:
        with self._lock:
            if self._closed:
                raise ValueError("the client is closed")
            if service not in self._by_service:
                target = self._settings.target_of(service)
                self._by_service[service] = self._open(replace(self._settings.endpoint, target=target))
            return self._by_service[service]


class AsyncClientWires(_Routes):
    """The same for the event loop."""

    def __init__(
        self, settings: Settings, open_one: Callable[[Endpoint], AsyncTransport] = open_async_transport
    ) -> None:
        super().__init__(settings)
        self._open = open_one
        self._by_service: dict[str, AsyncTransport] = {}
        self._closed = False

    def of(self, service: str) -> AsyncTransport:
        """Answers the transport of a service; ValueError after `close`."""
        if self._closed:
            raise ValueError("the client is closed")
        if service not in self._by_service:
            target = self._settings.target_of(service)
            self._by_service[service] = self._open(replace(self._settings.endpoint, target=target))
        return self._by_service[service]

    async def close(self) -> None:
        """Closes all of them."""
        self._closed = True
        closing, self._by_service = set(self._by_service.values()), {}
        for transport in closing:
            await transport.close()
