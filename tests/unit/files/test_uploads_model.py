"""Uploads against a model: written in any order, cut, crashed and finished, they never lose an acknowledged byte."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from difyrpc_services.files.backends.disk import DiskBlobs
from difyrpc_services.files.backends.memory import MemoryBlobs
from difyrpc_services.files.core.files import Files
from difyrpc_services.files.core.session import Cadence
from difyrpc_services.files.core.sweep import Sweeper
from difyrpc_services.files.core.uploads import Uploads
from difyrpc_services.files.core.values import File, FileSpec, Limits, Listing, Upload
from difyrpc_services.files.records.memory import MemoryRecords
from difyrpc_services.runtime.errors import ServiceError

CONTENT = hashlib.shake_128(b"model").digest(4096)
NOW = datetime(2030, 1, 1, tzinfo=UTC)


class UploadsModel(RuleBasedStateMachine):
    """The model of an upload is the number of bytes that were acknowledged."""

    uploads = Bundle("uploads")

    @initialize()
    def begin(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.records = MemoryRecords()
        self.blobs = self.make_store()
        self.run(self.blobs.open())
        self.acknowledged: dict[str, int] = {}
        self.finished: dict[str, File] = {}
        self.open_calls: list[Any] = []
        self.dead_calls: list[Any] = []
        self.build()

    def make_store(self) -> Any:
        return MemoryBlobs()

    def reopen_store(self) -> Any:
        return self.blobs

    def build(self) -> None:
        limits = Limits()
        cadence = Cadence(sync_bytes=64, pause_seconds=0.0)
        self.core = Uploads(self.records, self.blobs, limits=limits, clock=lambda: NOW, cadence=cadence)
        self.files = Files(self.records, self.blobs, limits=limits, clock=lambda: NOW)

    def teardown(self) -> None:
        if hasattr(self, "loop"):
            self.run(self.leave())
            self.run(self.blobs.close())
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            self.loop.close()

    def run(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    async def leave(self) -> None:
        for call in self.open_calls + self.dead_calls:
            await call.aclose()

    @rule(target=uploads)
    def start(self) -> str:
        upload = self.run(self.core.start("t", FileSpec(display_name="a")))
        self.acknowledged[upload.id] = 0
        return upload.id

    @rule(upload=uploads, back=st.integers(0, 200), size=st.integers(0, 400), ends=st.booleans())
    def write(self, upload: str, back: int, size: int, ends: bool) -> None:
        """Writes on from the acknowledged count or before it; the connection may stay open or be cut."""
        if upload in self.finished:
            return
        offset = max(0, self.acknowledged[upload] - back)
        self.run(self.written(upload, offset, CONTENT[offset : offset + size], ends=ends))

    async def written(self, upload: str, offset: int, data: bytes, *, ends: bool) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            for begin in range(0, len(data), 50):
                yield data[begin : begin + 50]
            if not ends:
                await asyncio.Event().wait()

        call = self.core.write("t", upload, offset, chunks())
        self.acknowledge(upload, await anext(call))
        if ends:
            async for count in call:
                self.acknowledge(upload, count)
            assert self.acknowledged[upload] >= offset + len(data)
        else:
            self.open_calls.append(call)

    def acknowledge(self, upload: str, count: int) -> None:
        assert count >= self.acknowledged[upload], "an acknowledged count fell"
        self.acknowledged[upload] = count

    @rule(upload=uploads, size=st.integers(1, 50))
    def write_something_else(self, upload: str, size: int) -> None:
        """Bytes that differ from what was acknowledged are refused and change nothing."""
        count = self.acknowledged[upload]
        if upload in self.finished or count == 0:
            return
        offset = max(0, count - size)
        wrong = bytes(byte ^ 1 for byte in CONTENT[offset:count])
        assert self.refused(self.written(upload, offset, wrong, ends=True)) == "CONTENT_DIFFERS"

    @rule(upload=uploads, gap=st.integers(1, 99))
    def write_with_a_gap(self, upload: str, gap: int) -> None:
        if upload not in self.finished:
            found = self.run(self.core.query("t", upload))
            offset = found.committed_bytes + gap
            assert self.refused(self.written(upload, offset, b"x", ends=True)) == "OFFSET_PAST_END"

    def refused(self, work: Any) -> str:
        try:
            self.run(work)
        except ServiceError as error:
            return error.reason
        return ""

    @rule(upload=uploads)
    def query(self, upload: str) -> None:
        found = self.run(self.core.query("t", upload))
        if upload in self.finished:
            assert found == self.finished[upload]
        else:
            assert isinstance(found, Upload)
            self.acknowledge(upload, found.committed_bytes)

    @rule(upload=uploads)
    def finish(self, upload: str) -> None:
        if upload in self.finished:
            assert self.run(self.core.finish("t", upload, None, "")) == self.finished[upload]
            return
        count = self.run(self.core.query("t", upload)).committed_bytes
        digest = hashlib.sha256(CONTENT[:count]).hexdigest()
        assert self.refused(self.core.finish("t", upload, count + 1, "")) == "UPLOAD_INCOMPLETE"
        assert self.refused(self.core.finish("t", upload, count, "0" * 64)) == "CHECKSUM_MISMATCH"
        self.finished[upload] = self.run(self.core.finish("t", upload, count, digest))

    @rule(upload=consumes(uploads))
    def abort(self, upload: str) -> None:
        if upload in self.finished:
            assert self.refused(self.core.abort("t", upload)) == "UPLOAD_FINISHED"
            return
        self.run(self.core.abort("t", upload))
        assert self.refused(self.core.query("t", upload)) == "UPLOAD_NOT_FOUND"
        del self.acknowledged[upload]

    @rule()
    def crash(self) -> None:
        """Drops the service with its running calls; what it had not yet noted is lost."""
        self.run(self.killed())
        self.blobs = self.reopen_store()
        self.build()

    async def killed(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.dead_calls += self.open_calls
        self.open_calls = []
        await self.blobs.close()

    @rule()
    def sweep(self) -> None:
        sweeper = Sweeper(self.records, self.blobs, self.core, lambda: NOW)
        self.run(sweeper.adopt())
        self.run(sweeper.sweep())
        self.run(sweeper.sweep_orphans())

    @invariant()
    def every_finished_file_is_whole_and_no_other_is_visible(self) -> None:
        if not hasattr(self, "loop"):
            return
        listed, _ = self.run(self.files.list("t", Listing(limit=1000)))
        assert {file.id for file in listed} == {file.id for file in self.finished.values()}
        for file in listed:
            assert self.run(self.content(file)) == CONTENT[: file.size_bytes]

    async def content(self, file: File) -> bytes:
        parts = [part async for part in self.files.read("t", file.id)]
        return b"".join(part for part in parts if isinstance(part, bytes))


class DiskModel(UploadsModel):
    """The same over a folder."""

    def make_store(self) -> DiskBlobs:
        self.folder = TemporaryDirectory()
        return self.reopen_store()

    def reopen_store(self) -> DiskBlobs:
        return DiskBlobs(Path(self.folder.name), threads=2)

    def teardown(self) -> None:
        super().teardown()
        if hasattr(self, "folder"):
            self.folder.cleanup()


DiskModel.TestCase.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)
TestUploadsOnDisk = DiskModel.TestCase
UploadsModel.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestUploads = UploadsModel.TestCase
