"""Uploads: begun, written, asked about, finished or given up, each as often as a broken connection needs."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta

from difyrpc_services.files.core import faults, rules
from difyrpc_services.files.core.commit import check_conditions, discard, is_over, make_file
from difyrpc_services.files.core.desks import Desk, Desks
from difyrpc_services.files.core.ports import Blobs, Records, Rows
from difyrpc_services.files.core.session import Cadence, Session
from difyrpc_services.files.core.values import File, FileSpec, Limits, Place, Upload
from difyrpc_services.runtime.errors import FailedPrecondition, InvalidArgument, NotFound

ONE_CALL_SECONDS = 600.0  # a one-call upload is given up when nothing was heard of its server for so long

Clock = Callable[[], datetime]


class Uploads:
    """The uploads of all tenants."""

    def __init__(
        self, records: Records, blobs: Blobs, *, limits: Limits, clock: Clock, cadence: Cadence | None = None
    ) -> None:
        """Takes the stores of records and of bytes; `clock` answers the time with its zone."""
        self._records = records
        self._blobs = blobs
        self._limits = limits
        self._clock = clock
        self._cadence = cadence or Cadence()
        self._desks = Desks()

    async def start(self, tenant: str, spec: FileSpec) -> Upload:
        """Begins a resumable upload and reserves its size."""
        return await self._begin(tenant, spec, self._limits.upload_seconds, durable=True)

    async def write(self, tenant: str, upload_id: str, offset: int, chunks: AsyncIterator[bytes]) -> AsyncIterator[int]:
        """Writes `chunks` from `offset` on; answers at once, and whenever it grew, how many bytes are durable."""
        desk = self._desks.at(tenant, upload_id)
        async with desk.lock:
            upload, session = await self._take(tenant, upload_id, desk)
            desk.session = session
        try:
            yield session.committed
            if not 0 <= offset <= session.committed:
                raise faults.past_end(offset, session.committed, "committed_bytes")
            async for committed in session.follow(self._feed(session, upload.spec, offset, chunks)):
                yield committed
        finally:
            await self._leave(desk, upload, session)
        yield session.committed  # after letting go: who reads it may go on at once, at any server

    async def query(self, tenant: str, upload_id: str) -> Upload | File:
        """Answers the upload with its durable count, or the file that it became."""
        session = self._desks.at(tenant, upload_id).session
        if session:
            await asyncio.gather(session.flush(), return_exceptions=True)
        upload, file = await self._found(tenant, upload_id)
        return file or upload

    async def finish(self, tenant: str, upload_id: str, size_bytes: int | None, sha256: str) -> File:
        """Verifies an upload and makes it a file; a finished one answers its file."""
        wanted = rules.sha256(sha256, "sha256")
        if size_bytes is not None:
            rules.check_size(size_bytes, self._limits.max_file_bytes, "size_bytes")
        desk = self._desks.at(tenant, upload_id)
        async with desk.lock:
            finished, file = await self._found(tenant, upload_id)
            if file:
                _check_sums(finished.committed_bytes, finished.spec.sha256, (size_bytes, wanted))
                return file
            upload, session = await self._take(tenant, upload_id, desk)
            try:
                digest = await self._verified(upload, session, size_bytes, wanted)
                await session.seal()
            finally:
                await session.stop()
                self._desks.remember(upload, session)
            return await self._commit(upload, session.committed, digest, keep=True)

    async def abort(self, tenant: str, upload_id: str, *, allow_missing: bool = False) -> None:
        """Gives up an upload that is not finished; with `allow_missing` one that is not there is fine."""
        upload = await self._drop(tenant, upload_id)
        if upload and upload.file_id:
            raise faults.upload_finished(upload)
        if not upload and not allow_missing:
            raise faults.no_upload(upload_id)

    async def expire(self, tenant: str, upload_id: str) -> None:
        """Gives up an upload whose time is over; one that somebody still writes is left alone."""
        async with self._records.transaction() as rows:
            upload = await rows.upload(tenant, upload_id)
        if upload and upload.expire_time <= self._clock():
            await self._drop(tenant, upload_id)

    async def _drop(self, tenant: str, upload_id: str) -> Upload | None:
        """Removes an upload and its bytes unless it is finished; answers what was there."""
        desk = self._desks.at(tenant, upload_id)
        async with desk.lock:
            await desk.clear(faults.no_upload(upload_id))
            async with self._records.transaction() as rows:
                upload = await rows.upload(tenant, upload_id, lock=True)
                if upload is None or upload.file_id:
                    return upload
                await rows.delete_upload(upload)
                await rows.add_garbage(_place(upload))
            await discard(self._records, self._blobs, [_place(upload)])
            return upload

    async def store(self, tenant: str, spec: FileSpec, chunks: AsyncIterator[bytes]) -> File:
        """Stores a file in one go; whatever breaks, nothing is left."""
        upload = await self._begin(tenant, spec, ONE_CALL_SECONDS, durable=False)
        desk = self._desks.at(tenant, upload.id)
        stored = False
        try:
            upload, session = await self._take(tenant, upload.id, desk, known=upload)
            try:
                await self._feed(session, upload.spec, 0, chunks)
                digest, size = await session.digest(), session.position
                _check_sums(size, digest, (upload.spec.size_bytes, upload.spec.sha256))
                await session.seal()
            finally:
                await session.stop(keep=False)
            file = await self._commit(upload, size, digest, keep=False)
            stored = True
        except NotFound as error:
            if error.reason != faults.no_upload(upload.id).reason:
                raise
            raise faults.upload_forgotten() from error
        finally:
            if not stored:
                await self._drop(tenant, upload.id)
        return file

    async def _begin(self, tenant: str, spec: FileSpec, seconds: float, *, durable: bool) -> Upload:
        now = self._clock()
        spec = rules.checked_spec(spec, now, self._limits.max_file_bytes)
        upload = Upload(
            id=rules.new_upload_id(),
            tenant=tenant,
            key=rules.new_key(),
            spec=spec,
            expire_time=now + timedelta(seconds=seconds),
            reserved_bytes=spec.size_bytes or 0,
        )
        async with self._records.transaction(durable=durable) as rows:
            await check_conditions(rows, tenant, spec, now)
            if self._limits.quota_bytes:
                faults.check_quota(await rows.usage(tenant, lock=True), upload.reserved_bytes, self._limits)
            await rows.put_upload(upload)
        return upload

    async def _take(
        self, tenant: str, upload_id: str, desk: Desk, known: Upload | None = None
    ) -> tuple[Upload, Session]:
        """Makes this call the one that writes; `known` is an upload that nobody else can have taken."""
        if desk.session:
            await desk.clear(faults.writer_replaced(upload_id))
        upload = known or await self._claimed(tenant, upload_id)
        checkpoint = self._desks.recall(upload)
        writer = await self._blobs.write(_place(upload), upload.committed_bytes, checkpoint)
        return upload, Session(writer, self._recorder(upload), self._cadence)

    async def _claimed(self, tenant: str, upload_id: str) -> Upload:
        async with self._records.transaction() as rows:
            upload = self._living(await rows.upload(tenant, upload_id, lock=True), upload_id)
            if upload.file_id:
                raise faults.upload_finished(upload)
            upload = dataclasses.replace(upload, writer=upload.writer + 1)
            await rows.put_upload(upload)
        return upload

    async def _leave(self, desk: Desk, upload: Upload, session: Session) -> None:
        await session.stop()
        self._desks.remember(upload, session)
        if desk.session is session:
            desk.session = None

    async def _feed(self, session: Session, spec: FileSpec, offset: int, chunks: AsyncIterator[bytes]) -> None:
        async for data in chunks:
            self._check_growth(offset + len(data), spec)
            await session.append(offset, data)
            offset += len(data)

    def _check_growth(self, size: int, spec: FileSpec) -> None:
        if spec.size_bytes is not None and size > spec.size_bytes:
            raise InvalidArgument(
                "SIZE_EXCEEDED", "more bytes came than the {size_bytes} that were declared", size_bytes=spec.size_bytes
            )
        rules.check_size(size, self._limits.max_file_bytes, "chunk.data")

    def _recorder(self, upload: Upload) -> Callable[[int], Awaitable[None]]:
        """Answers what notes the durable count of one writer, and finds out whether it lost the upload."""

        async def record(committed: int) -> None:
            async with self._records.transaction() as rows:
                row = self._owned(await rows.upload(upload.tenant, upload.id, lock=True), upload)
                await rows.put_upload(await self._advanced(rows, row, committed))

        return record

    async def _advanced(self, rows: Rows, row: Upload, committed: int) -> Upload:
        more = committed - row.reserved_bytes
        if more > 0 and self._limits.quota_bytes:
            faults.check_quota(await rows.usage(row.tenant, lock=True), more, self._limits)
        soonest = self._clock() + timedelta(seconds=ONE_CALL_SECONDS)
        return dataclasses.replace(
            row,
            committed_bytes=max(committed, row.committed_bytes),
            reserved_bytes=max(committed, row.reserved_bytes),
            expire_time=max(soonest, row.expire_time),
        )

    async def _verified(self, upload: Upload, session: Session, size_bytes: int | None, sha256: str) -> str:
        """Answers the digest after comparing everything that was declared, at start and now."""
        wanted = size_bytes if size_bytes is not None else upload.spec.size_bytes
        if wanted is not None and session.committed < wanted:
            raise FailedPrecondition(
                "UPLOAD_INCOMPLETE",
                "{committed_bytes} of {size_bytes} bytes are here; go on writing",
                committed_bytes=session.committed,
                size_bytes=wanted,
            )
        digest = await session.digest()
        declared = (upload.spec.size_bytes, upload.spec.sha256)
        _check_sums(session.committed, digest, (size_bytes, sha256), declared)
        return digest

    async def _commit(self, upload: Upload, size: int, digest: str, *, keep: bool) -> File:
        now = self._clock()
        async with self._records.transaction() as rows:
            row = self._owned(await rows.upload(upload.tenant, upload.id, lock=True), upload)
            file, garbage = await make_file(rows, row, size_bytes=size, sha256=digest, now=now, limits=self._limits)
            if keep:
                await rows.put_upload(_finished(row, file))
            else:
                await rows.delete_upload(row)
        await discard(self._records, self._blobs, garbage)
        return file

    async def _found(self, tenant: str, upload_id: str) -> tuple[Upload, File | None]:
        """Answers the upload, and the file if it became one."""
        async with self._records.transaction() as rows:
            upload = self._living(await rows.upload(tenant, upload_id), upload_id)
            if not upload.file_id:
                return upload, None
            file = await rows.file(upload.tenant, upload.file_id)
        if file is None or is_over(file, self._clock()):
            raise faults.no_file(upload.file_id)
        return upload, file

    def _living(self, upload: Upload | None, upload_id: str) -> Upload:
        if upload is None or upload.expire_time <= self._clock():
            raise faults.no_upload(upload_id)
        return upload

    def _owned(self, row: Upload | None, upload: Upload) -> Upload:
        if row is None:
            raise faults.no_upload(upload.id)
        if row.writer != upload.writer:
            raise faults.writer_replaced(upload.id)
        return row


def _place(upload: Upload) -> Place:
    return Place.of(upload.tenant, upload.key)


def _finished(row: Upload, file: File) -> Upload:
    """Answers what is kept of a finished upload, so that finishing again can be answered and checked."""
    spec = dataclasses.replace(row.spec, size_bytes=file.size_bytes, sha256=file.sha256)
    return dataclasses.replace(row, spec=spec, file_id=file.id, committed_bytes=file.size_bytes, reserved_bytes=0)


def _check_sums(size: int, digest: str, *declared: tuple[int | None, str]) -> None:
    for size_wanted, sha256_wanted in declared:
        faults.check_total(size, digest, size_wanted, sha256_wanted)
