"""Builds the documents service: the only module that knows all its parts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import grpc
from prometheus_client.registry import Collector

from difyrpc.documents.v1 import documents_pb2 as pb
from difyrpc.documents.v1 import documents_pb2_grpc as rpc
from difyrpc_services.documents.backends.memory import MemoryBackend
from difyrpc_services.documents.backends.stored_files import StoredFiles
from difyrpc_services.documents.backends.urls import Urls
from difyrpc_services.documents.backends.workers import WorkersBackend
from difyrpc_services.documents.cache import AnswerCache
from difyrpc_services.documents.core import Backend, Documents
from difyrpc_services.documents.measures import CacheMeasures, WorkerMeasures
from difyrpc_services.documents.ocr import service as ocr
from difyrpc_services.documents.origins import Origins
from difyrpc_services.documents.recognition import Recognition
from difyrpc_services.documents.servicer import DocumentParser
from difyrpc_services.documents.settings import MIB, DocumentsSettings
from difyrpc_services.documents.values import ParseOptions, Source
from difyrpc_services.runtime.errors import ServiceError
from difyrpc_services.runtime.server import ServerSettings
from difyrpc_services.runtime.service import Check, House, Service
from difyrpc_services.runtime.workers import confinement


def build(house: House) -> Service:
    """Makes the parts of the documents service meet."""
    settings = DocumentsSettings.from_env(house.env)
    recognition = ocr.recognition_of(settings, house.env)
    backend = _backend(settings, recognition)
    cache = AnswerCache(settings.cache_mb * MIB)
    documents = Documents(
        backend,
        limits=settings.limits,
        files=StoredFiles(house.peers),
        urls=_urls(settings),
        recognition=recognition,
        cache=cache,
    )
    servicer = DocumentParser(
        documents,
        message_bytes=ServerSettings.from_env(house.env).max_message_bytes,
        memory_bytes=settings.worker_limits.memory_bytes,
    )

    def register(server: grpc.aio.Server) -> None:
        rpc.add_DocumentParserServicer_to_server(servicer, server)

    async def check() -> Sequence[Check]:
        return [_check_confinement(settings), *await _check_parsing(settings)]

    return Service(
        name="documents",
        full_name=pb.DESCRIPTOR.services_by_name["DocumentParser"].full_name,
        register=register,
        backend=backend.describe(),
        start=backend.start,
        stop=backend.stop,
        check=check,
        collectors=[*_collectors(backend), CacheMeasures(cache.status)],
    )


def _backend(settings: DocumentsSettings, recognition: Recognition) -> Backend:
    if settings.backend == "memory":
        return MemoryBackend()
    return WorkersBackend(
        settings.worker_limits,
        workers=settings.worker_count,
        waiting=settings.queue,
        waiting_per_tenant=settings.queue_per_tenant or settings.queue,
        slow_workers=settings.slow_workers,
        ocr=ocr.workers_of(settings, recognition.engine),
    )


def _urls(settings: DocumentsSettings) -> Urls | None:
    if not settings.url_origins:
        return None
    origins = Origins(settings.url_origins, settings.url_networks, setting="DIFYRPC_DOCUMENTS_URL_")
    return Urls(origins, seconds=settings.url_seconds, ca=settings.url_ca)


def _collectors(backend: Backend) -> Sequence[Collector]:
    if not isinstance(backend, WorkersBackend):
        return []
    measures = [WorkerMeasures(backend.status)]
    if backend.ocr is not None:
        measures.append(WorkerMeasures(backend.ocr.status, prefix="difyrpc_documents_ocr", of=" that read scans"))
    return measures


def _check_confinement(settings: DocumentsSettings) -> Check:
    unconfined = "documents are parsed in the server's own process"
    missing = unconfined if settings.backend == "memory" else confinement()
    return Check(
        name="documents: confinement",
        level="warning" if missing else "ok",
        found=missing or "seccomp filter, limits of memory, time and files",
        advice="parse untrusted documents on Linux, x86_64 or aarch64, with the backend workers" if missing else "",
    )


@asynccontextmanager
async def alone(settings: DocumentsSettings) -> AsyncIterator[Documents]:
    """Opens the service without a server, for one document at a time."""
    recognition = ocr.recognition_of(settings)
    backend = _backend(replace(settings, workers=1, ocr_workers=1), recognition)
    try:
        await backend.start()
        yield Documents(backend, limits=settings.limits, recognition=recognition)
    finally:
        await backend.stop()


async def _check_parsing(settings: DocumentsSettings) -> Sequence[Check]:
    """Parses and recognises a little with workers of its own."""
    source = Source(content=b"# Title\n\nText", name="a.md")
    try:
        async with alone(settings) as documents:
            parsed = await documents.parse("doctor", source, ParseOptions())
            recognition = await ocr.check(documents)
    except ServiceError as error:
        parsing = Check(
            name="documents: parsing",
            level="error",
            found=f"{error.reason}: {error.message}",
            advice="read the server's log; is the extra difyrpc[documents] installed?",
        )
        return [parsing]
    found = f"{_backend(settings, documents.recognition).describe()} read {parsed.info.format}"
    return [Check(name="documents: parsing", level="ok", found=found), recognition]
