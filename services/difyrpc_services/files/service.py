"""Builds the files service: the only module that knows all its parts."""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from difyrpc.files.v1 import files_pb2 as pb
from difyrpc.files.v1 import files_pb2_grpc as rpc
from difyrpc_services.files.backends import BACKENDS
from difyrpc_services.files.core.files import Files
from difyrpc_services.files.core.ports import Blobs, Records
from difyrpc_services.files.core.sweep import Sweeper
from difyrpc_services.files.core.uploads import Uploads
from difyrpc_services.files.records.memory import MemoryRecords
from difyrpc_services.files.records.postgres import PostgresRecords
from difyrpc_services.files.servicer import FileStorage
from difyrpc_services.files.settings import FilesSettings
from difyrpc_services.runtime.errors import ServiceError
from difyrpc_services.runtime.service import Check, House, Service
from difyrpc_services.runtime.settings import SettingsError

if TYPE_CHECKING:
    import grpc

log = logging.getLogger(__name__)

ADVICE = "make the folder writable for this user, or set DIFYRPC_FILES_ROOT"
ORPHANS_EVERY_SECONDS = 86_400.0  # bytes without a record come only from a machine that broke down


def build(house: House) -> Service:
    """Makes the parts of the files service meet."""
    settings = FilesSettings.from_env(house.env)
    blobs = _blobs(settings, house)
    records: Records = MemoryRecords() if settings.backend == "memory" else PostgresRecords(house.database)
    uploads = Uploads(records, blobs, limits=settings.limits, clock=_now)
    files = Files(records, blobs, limits=settings.limits, clock=_now)
    upkeep = Upkeep(blobs, Sweeper(records, blobs, uploads, _now), settings.sweep_seconds)
    servicer = FileStorage(uploads, files)

    def register(server: grpc.aio.Server) -> None:
        rpc.add_FileStorageServicer_to_server(servicer, server)

    return Service(
        name="files",
        full_name=pb.DESCRIPTOR.services_by_name["FileStorage"].full_name,
        register=register,
        backend=blobs.describe(),
        start=upkeep.start,
        stop=upkeep.stop,
        check=upkeep.check,
    )


class Upkeep:
    """Opens the store, sweeps it at start and from time to time, and closes it."""

    def __init__(self, blobs: Blobs, sweeper: Sweeper, every_seconds: float) -> None:
        """Takes what is opened and what is run every so often."""
        self._blobs = blobs
        self._sweeper = sweeper
        self._every_seconds = every_seconds
        self._ending = asyncio.Event()
        self._sweeping: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Opens the store and begins to sweep."""
        try:
            await self._blobs.open()
            await self._sweeper.adopt()
        except OSError as error:
            raise SettingsError(f"{self._blobs.describe()} cannot be used: {error}; {ADVICE}") from error
        self._sweeping = asyncio.create_task(self._sweep())

    async def stop(self) -> None:
        """Ends the sweeping and closes the store."""
        self._ending.set()
        if self._sweeping:
            await self._sweeping
        await self._blobs.close()

    async def check(self) -> Sequence[Check]:
        """Proves that the store keeps bytes."""
        try:
            return [Check(name="files: store", level="ok", found=await self._blobs.probe())]
        except (OSError, ServiceError) as error:
            found = f"{self._blobs.describe()}: {error}"
            return [Check(name="files: store", level="error", found=found, advice=ADVICE)]

    async def _sweep(self) -> None:
        since_orphans = ORPHANS_EVERY_SECONDS
        while not self._ending.is_set():
            try:
                swept = await self._sweeper.sweep()
                if since_orphans >= ORPHANS_EVERY_SECONDS:
                    swept += await self._sweeper.sweep_orphans()
                    since_orphans = 0.0
                if swept:
                    log.info("swept %d expired or unused things", swept)
            except (OSError, ServiceError) as error:
                log.warning("sweeping goes on later: %s", error)
            since_orphans += self._every_seconds
            await self._wait()

    async def _wait(self) -> None:
        try:
            await asyncio.wait_for(self._ending.wait(), self._every_seconds)
        except TimeoutError:
            return


def _blobs(settings: FilesSettings, house: House) -> Blobs:
    module, _, name = BACKENDS[settings.backend].partition(":")
    kind = getattr(importlib.import_module(module), name)
    if settings.backend == "memory":
        memory: Blobs = kind()
        return memory
    disk: Blobs = kind(settings.root or house.state / "files", threads=settings.threads)
    return disk


def _now() -> datetime:
    return datetime.now(UTC)
