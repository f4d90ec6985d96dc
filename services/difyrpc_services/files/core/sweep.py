"""Removes what nobody will use again: expired uploads and files, noted garbage, bytes without a record."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime

from difyrpc_services.files.core.commit import discard, is_over, remove_file
from difyrpc_services.files.core.ports import Blobs, Records
from difyrpc_services.files.core.uploads import Uploads
from difyrpc_services.files.core.values import File

log = logging.getLogger(__name__)

BATCH = 500  # rows looked at in one transaction


class Sweeper:
    """Sweeps all tenants; any number of servers may sweep at the same time."""

    def __init__(self, records: Records, blobs: Blobs, uploads: Uploads, clock: Callable[[], datetime]) -> None:
        """Takes the stores and the uploads, which know how to give one up."""
        self._records = records
        self._blobs = blobs
        self._uploads = uploads
        self._clock = clock

    async def sweep(self) -> int:
        """Removes what expired and what is noted as garbage; answers how many things went."""
        return await self._sweep_uploads() + await self._sweep_files() + await self._sweep_garbage()

    async def adopt(self) -> None:
        """Notes that an empty store belongs to these records. Runs once, before anything is stored."""
        identity = await self._blobs.identity()
        async for _ in self._blobs.places():
            return
        async with self._records.transaction() as rows:
            await rows.add_store(identity)

    async def sweep_orphans(self) -> int:
        """Removes bytes that no record mentions; answers how many, 0 too if these records are not of this store."""
        identity = await self._blobs.identity()
        async with self._records.transaction() as rows:
            belongs = await rows.knows_store(identity)
        if not belongs:
            log.warning("%s belongs to other records: bytes without a record stay", self._blobs.describe())
            return 0
        count = 0
        async for places in self._blobs.places():
            async with self._records.transaction() as rows:
                unknown = await rows.unknown(places)  # after the listing: every place has its record before its bytes
            for place in unknown:
                await self._blobs.remove(place)
            count += len(unknown)
        return count

    async def _sweep_uploads(self) -> int:
        count = 0
        while True:
            async with self._records.transaction() as rows:
                due = await rows.due_uploads(self._clock(), BATCH)
                for upload in due:
                    if upload.file_id:
                        await rows.delete_upload(upload)
            for upload in due:
                if not upload.file_id:
                    await self._uploads.expire(upload.tenant, upload.id)
            count += len(due)
            if len(due) < BATCH:
                return count

    async def _sweep_files(self) -> int:
        count = 0
        while True:
            async with self._records.transaction() as rows:
                due = await rows.due_files(self._clock(), BATCH)
            for file in due:
                await self._remove(file)
            count += len(due)
            if len(due) < BATCH:
                return count

    async def _remove(self, due: File) -> None:
        async with self._records.transaction() as rows:
            file = await rows.file(due.tenant, due.id, lock=True)
            if file is None or not is_over(file, self._clock()):
                return
            garbage = await remove_file(rows, file)
        await discard(self._records, self._blobs, garbage)

    async def _sweep_garbage(self) -> int:
        count = 0
        while True:
            async with self._records.transaction() as rows:
                places = await rows.garbage(BATCH)
            await discard(self._records, self._blobs, places)
            count += len(places)
            if len(places) < BATCH:
                return count
