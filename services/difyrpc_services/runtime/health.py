"""The standard health service, v1; one state behind the main port and the plain probe port.

The library's own asyncio servicer forgets all watchers of a service when one of them leaves, so a client that
watches would not hear of a graceful stop.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
SERVICE_NAME = "grpc.health.v1.Health"


class Health(health_pb2_grpc.HealthServicer):
    """Answers Check and Watch for the whole server (the empty name) and for each service."""

    def __init__(self, services: Iterable[str]) -> None:
        """Takes the full names of the services; all are NOT_SERVING until `serve`."""
        self._status: dict[str, Any] = dict.fromkeys(["", *services], NOT_SERVING)
        self._changed = asyncio.Event()
        self._has_ended = False

    def serve(self) -> None:
        """Makes every service SERVING."""
        self._set_all(SERVING)

    def drain(self) -> None:
        """Makes every service NOT_SERVING, so that clients and Kubernetes look elsewhere."""
        self._set_all(NOT_SERVING)

    def end(self) -> None:
        """Ends what watches, once it has been told the status: a stopping server would wait for it."""
        self._has_ended = True
        self._tell()

    def is_serving(self) -> bool:
        """Answers whether the server as a whole serves."""
        return bool(self._status[""] == SERVING)

    async def Check(self, request: health_pb2.HealthCheckRequest, context: Any) -> health_pb2.HealthCheckResponse:
        """Answers the status of one service; NOT_FOUND for an unknown name."""
        status = self._status.get(request.service)
        if status is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"no service {request.service} here")
        return health_pb2.HealthCheckResponse(status=status)

    async def Watch(
        self, request: health_pb2.HealthCheckRequest, context: Any
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        """Answers the status now and each time it changes, until `end`; SERVICE_UNKNOWN for an unknown name."""
        last = None
        while True:
            changed = self._changed
            status = self._status.get(request.service, SERVICE_UNKNOWN)
            if status != last:
                last = status
                yield health_pb2.HealthCheckResponse(status=status)
                continue  # while this was sent, the status may have changed and the end have come
            if self._has_ended:
                return
            await changed.wait()

    def _set_all(self, status: Any) -> None:
        self._status = dict.fromkeys(self._status, status)
        self._tell()

    def _tell(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
