"""A servicer that does as a test says, behind a real contract, and a server around it with the runtime's layers."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from prometheus_client import CollectorRegistry

from difyrpc.files.v1 import files_pb2, files_pb2_grpc
from difyrpc_services import assembly
from difyrpc_services.catalogue import CATALOGUE, SERVICES
from difyrpc_services.runtime.access import Doorkeeper
from difyrpc_services.runtime.admission import Admission
from difyrpc_services.runtime.exposition import CallMetrics, registry_of_process
from difyrpc_services.runtime.health import Health
from difyrpc_services.runtime.interceptors import Layers, Replay
from difyrpc_services.runtime.limits import Limits
from difyrpc_services.runtime.server import Server, ServerSettings
from difyrpc_services.runtime.service import Service

CALM = {"DIFYRPC_SHED_WAIT_SECONDS": "0"}  # a machine that runs other tests too is late for its own reasons


class Scripted(files_pb2_grpc.FileStorageServicer):
    """Answers GetFile, DownloadFile, UploadFile and CopyFile; raises or waits when told to."""

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self.release = asyncio.Event()
        self.release.set()
        self.entered = asyncio.Event()
        self.left = asyncio.Event()
        self.calls = 0
        self.answer_bytes = 0

    async def _work(self) -> None:
        self.calls += 1
        self.entered.set()
        try:
            await self.release.wait()
        finally:
            self.left.set()
        if self.error:
            raise self.error

    async def GetFile(self, request: Any, context: Any) -> files_pb2.GetFileResponse:
        await self._work()
        return files_pb2.GetFileResponse(file=files_pb2.File(name=request.name, display_name="x" * self.answer_bytes))

    async def DownloadFile(self, request: Any, context: Any) -> AsyncIterator[files_pb2.DownloadFileResponse]:
        yield files_pb2.DownloadFileResponse(file=files_pb2.File(name=request.name))
        await self._work()
        yield files_pb2.DownloadFileResponse(chunk=files_pb2.Chunk(data=b"bytes"))

    async def UploadFile(self, request_iterator: Any, context: Any) -> files_pb2.UploadFileResponse:
        size = 0
        async for part in request_iterator:
            size += len(part.chunk.data)
        await self._work()
        return files_pb2.UploadFileResponse(file=files_pb2.File(name="files/x", size_bytes=size))

    async def CopyFile(self, request: Any, context: Any) -> files_pb2.CopyFileResponse:
        await self._work()
        return files_pb2.CopyFileResponse(file=files_pb2.File(name=f"files/copy-{self.calls}"))


@dataclass(kw_only=True)
class Scene:
    """A server with the scripted servicer, and what a test wants to look at."""

    servicer: Scripted
    server: Server
    health: Health
    limits: Limits
    layers: Layers
    registry: CollectorRegistry
    target: str

    def channel(self, *options: tuple[str, int]) -> grpc.aio.Channel:
        return grpc.aio.insecure_channel(self.target, options=options)


@asynccontextmanager
async def scene(
    *,
    env: Mapping[str, str] | None = None,
    doorkeeper: Doorkeeper | None = None,
    limits: Limits | None = None,
    replay: Replay | None = None,
    servicer: Scripted | None = None,
) -> AsyncIterator[Scene]:
    """Serves the scripted FileStorage, or a given servicer of that kind, on a free port."""
    settings = ServerSettings.from_env(
        {"DIFYRPC_LISTEN": "127.0.0.1:0", "DIFYRPC_AUTH": "none", "DIFYRPC_GRACE_SECONDS": "5", **(env or {})}
    )
    servicer, limits = servicer or Scripted(), limits or Limits()
    entry = SERVICES["files"]
    service = Service(
        name="files",
        full_name=entry.full_name,
        register=lambda server: files_pb2_grpc.add_FileStorageServicer_to_server(servicer, server),
        backend="a script",
    )
    health, registry = Health([service.full_name]), registry_of_process(())
    metrics, admission = CallMetrics(registry), Admission.from_env({**CALM, **(env or {})}, SERVICES)
    layers = Layers(
        methods=assembly.methods([entry]),
        known=assembly.methods(CATALOGUE),
        runnable=SERVICES,
        doorkeeper=doorkeeper or Doorkeeper(verifier=None, tenant="default"),
        limits=limits,
        metrics=metrics,
        replay=replay,
        gate=admission.gate(limits, metrics, registry),
    )
    with tempfile.TemporaryDirectory(prefix="difyrpc-") as folder:
        server = Server(
            settings=settings,
            services=[service],
            layers=layers,
            health=health,
            registry=registry,
            peer_address=f"unix:{folder}/peers.sock",
        )
        await server.start()
        host = settings.listen.rpartition(":")[0]
        try:
            yield Scene(
                servicer=servicer,
                server=server,
                health=health,
                limits=limits,
                layers=layers,
                registry=registry,
                target=f"{host}:{server.port}",
            )
        finally:
            servicer.release.set()
            await server.stop()
            await admission.close()
