"""Builds the documents service: the only module that knows all its parts."""

from __future__ import annotations

from collections.abc import Sequence

import grpc
from prometheus_client.registry import Collector

from difyrpc.documents.v1 import documents_pb2 as pb
from difyrpc.documents.v1 import documents_pb2_grpc as rpc
from difyrpc_services.documents.backends.memory import MemoryBackend
from difyrpc_services.documents.backends.stored_files import StoredFiles
from difyrpc_services.documents.backends.workers import WorkersBackend
from difyrpc_services.documents.core import Backend, Documents
from difyrpc_services.documents.measures import WorkerMeasures
from difyrpc_services.documents.servicer import DocumentParser
from difyrpc_services.documents.settings import DocumentsSettings
from difyrpc_services.documents.values import ParseOptions, Source
from difyrpc_services.runtime.errors import ServiceError
from difyrpc_services.runtime.server import ServerSettings
from difyrpc_services.runtime.service import Check, House, Service
from difyrpc_services.runtime.workers import confinement


def build(house: House) -> Service:
    """Makes the parts of the documents service meet."""
    settings = DocumentsSettings.from_env(house.env)
    backend = _backend(settings)
    documents = Documents(backend, limits=settings.limits, files=StoredFiles(house.peers))
    servicer = DocumentParser(
        documents,
        message_bytes=ServerSettings.from_env(house.env).max_message_bytes,
        memory_bytes=settings.worker_limits.memory_bytes,
    )

    def register(server: grpc.aio.Server) -> None:
        rpc.add_DocumentParserServicer_to_server(servicer, server)

    async def check() -> Sequence[Check]:
        return [_check_confinement(settings), await _check_parsing(settings)]

    return Service(
        name="documents",
        full_name=pb.DESCRIPTOR.services_by_name["DocumentParser"].full_name,
        register=register,
        backend=backend.describe(),
        start=backend.start,
        stop=backend.stop,
        check=check,
        collectors=_collectors(backend),
    )


def _backend(settings: DocumentsSettings) -> Backend:
    if settings.backend == "memory":
        return MemoryBackend()
    return WorkersBackend(
        settings.worker_limits,
        workers=settings.worker_count,
        waiting=settings.queue,
        waiting_per_tenant=settings.queue_per_tenant or settings.queue,
    )


def _collectors(backend: Backend) -> Sequence[Collector]:
    return [WorkerMeasures(backend.status)] if isinstance(backend, WorkersBackend) else []


def _check_confinement(settings: DocumentsSettings) -> Check:
    unconfined = "documents are parsed in the server's own process"
    missing = unconfined if settings.backend == "memory" else confinement()
    return Check(
        name="documents: confinement",
        level="warning" if missing else "ok",
        found=missing or "seccomp filter, limits of memory, time and files",
        advice="parse untrusted documents on Linux, x86_64 or aarch64, with the backend workers" if missing else "",
    )


async def _check_parsing(settings: DocumentsSettings) -> Check:
    """Parses a few bytes with workers of its own."""
    backend = _backend(settings)
    documents = Documents(backend, limits=settings.limits, files=None)
    try:
        await backend.start()
        parsed = await documents.parse("doctor", Source(content=b"# Title\n\nText", name="a.md"), ParseOptions())
    except ServiceError as error:
        return Check(
            name="documents: parsing",
            level="error",
            found=f"{error.reason}: {error.message}",
            advice="read the server's log; is the extra difyrpc[documents] installed?",
        )
    finally:
        await backend.stop()
    return Check(name="documents: parsing", level="ok", found=f"{backend.describe()} read a {parsed.info.format}")
