"""Real servers for tests: all services in the test's own process, on free ports of loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from prometheus_client import CollectorRegistry

from difyrpc_services import assembly
from difyrpc_services.runtime.database import Database
from difyrpc_services.runtime.exposition import registry_of_process
from difyrpc_services.runtime.health import Health
from difyrpc_services.runtime.service import Service

OPEN = {"DIFYRPC_AUTH": "none"}
CALM = {
    "DIFYRPC_SHED_WAIT_SECONDS": "0",  # a machine that runs other tests too is late for its own reasons
    "DIFYRPC_DOCUMENTS_OCR": "off",  # whatever is installed here
}


@dataclass(kw_only=True)
class Running:
    """A server that answers."""

    target: str
    database: Database
    registry: CollectorRegistry
    services: Sequence[Service]
    health: Health
    tokens: dict[str, str] = field(default_factory=dict)

    def channel(self, tenant: str = "") -> grpc.aio.Channel:
        """A fresh channel; with a tenant it sends that tenant's key."""
        interceptors = [kind(self.tokens[tenant]) for kind in KINDS] if tenant else []
        return grpc.aio.insecure_channel(
            self.target, interceptors=interceptors, options=[("grpc.max_receive_message_length", -1)]
        )


@asynccontextmanager
async def running(
    database: Database,
    state: Path,
    *,
    names: Sequence[str] = (),
    env: Mapping[str, str] = OPEN,
    tenants: Sequence[str] = (),
) -> AsyncIterator[Running]:
    """Serves the named services over an open database; makes a key with every scope for each tenant."""
    settings = {"DIFYRPC_LISTEN": "127.0.0.1:0", "DIFYRPC_GRACE_SECONDS": "1", **CALM, **env}
    async with assembly.premises_over(database, settings, state, names) as premises:
        services = assembly.build_services(premises, names)
        health = Health(service.full_name for service in services)
        registry = registry_of_process(
            [each for service in services for each in (*service.collectors, *service.shared_collectors)]
        )
        server = assembly.build_server(premises, services, health=health, registry=registry)
        await server.start()
        try:
            tokens = {tenant: await _token(database, tenant) for tenant in tenants}
            yield Running(
                target=f"127.0.0.1:{server.port}",
                database=database,
                registry=registry,
                services=services,
                health=health,
                tokens=tokens,
            )
        finally:
            await server.stop()


async def _token(database: Database, tenant: str) -> str:
    _, token = await assembly.keys_of(database).create(tenant=tenant, scopes=["*:admin"], name="test")
    return token


class _Sender:
    def __init__(self, token: str) -> None:
        self._token = token

    def _with_token(self, details: grpc.aio.ClientCallDetails) -> grpc.aio.ClientCallDetails:
        metadata = grpc.aio.Metadata(*(details.metadata or ()), ("authorization", f"Bearer {self._token}"))
        return details._replace(metadata=metadata)


class _UnaryUnary(_Sender, grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(self, continuation, details, request):
        return await continuation(self._with_token(details), request)


class _UnaryStream(_Sender, grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(self, continuation, details, request):
        return await continuation(self._with_token(details), request)


class _StreamUnary(_Sender, grpc.aio.StreamUnaryClientInterceptor):
    async def intercept_stream_unary(self, continuation, details, requests):
        return await continuation(self._with_token(details), requests)


class _StreamStream(_Sender, grpc.aio.StreamStreamClientInterceptor):
    async def intercept_stream_stream(self, continuation, details, requests):
        return await continuation(self._with_token(details), requests)


KINDS = (_UnaryUnary, _UnaryStream, _StreamUnary, _StreamStream)
