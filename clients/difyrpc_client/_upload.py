"""Uploads that go on after a broken connection: start, write from the committed bytes, query, finish."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from difyrpc.files.v1 import files_pb2 as pb
from difyrpc_client._calls import AsyncCalls, Calls
from difyrpc_client._errors import Aborted, DeadlineExceeded, DifyrpcError, FieldViolation, InvalidArgument, Unavailable
from difyrpc_client._methods import rpc
from difyrpc_client._retry import NO_RETRY, Resumption, passing
from difyrpc_client._source import Source, Spool, Uploadable, open_source
from difyrpc_client._threads import in_thread

if TYPE_CHECKING:
    import asyncio

START = rpc("FileStorage.StartUpload", pb.StartUploadRequest, pb.StartUploadResponse)
WRITE = rpc("FileStorage.WriteUpload", pb.WriteUploadRequest, pb.WriteUploadResponse)
QUERY = rpc("FileStorage.QueryUpload", pb.QueryUploadRequest, pb.QueryUploadResponse)
FINISH = rpc("FileStorage.FinishUpload", pb.FinishUploadRequest, pb.FinishUploadResponse)
ABORT = rpc("FileStorage.AbortUpload", pb.AbortUploadRequest, pb.AbortUploadResponse)

ABORT_SECONDS = 2.0  # how long an upload that was broken off is kept waiting to free what it has reserved
BUSY = "UPLOAD_BUSY"  # the server has not noticed yet that the connection before is gone
Progress = Callable[[int, int], None]
Started = Callable[[str], None]


class _Upload:
    """What an upload knows of itself while it runs; shared by the twins."""

    def __init__(
        self, source: Source, resumption: Resumption, progress: Progress | None, started: Started | None
    ) -> None:
        self.source = source
        self.resumption = resumption
        self.name = ""
        self._tell_name = started
        self.committed = 0
        self._progress = progress
        self._told = -1

    def start_request(self, spec: pb.FileSpec) -> pb.StartUploadRequest:
        """Asks to begin; the size is known, since what could be read only once was kept first."""
        spec.size_bytes = self.source.size
        return pb.StartUploadRequest(spec=spec)

    def began(self, name: str) -> None:
        """Takes the name that the server gave the upload, and tells it the caller."""
        self.name = name
        if self._tell_name:
            self._tell_name(name)

    def note(self, committed: int) -> None:
        """Takes what the server has made durable, and tells the caller when it grew."""
        self.committed = max(committed, self.committed)
        if self._progress and self.committed > self._told:
            self._told = self.committed
            self._progress(self.committed, self.source.size)

    def requests(self) -> Iterator[pb.WriteUploadRequest]:
        """Yields the messages of one stream, from the committed bytes on."""
        yield self.start()
        for data in self.source.chunks(self.committed):
            yield pb.WriteUploadRequest(chunk=pb.Chunk(data=data))

    def start(self) -> pb.WriteUploadRequest:
        """Says where one stream begins."""
        return pb.WriteUploadRequest(start=pb.UploadPosition(upload=self.name, offset=self.committed))

    def check_whole(self) -> None:
        """Raises Unavailable where a stream ended well and yet before everything was durable."""
        if self.committed < self.source.size:
            raise Unavailable(f"the stream ended at byte {self.committed} of {self.source.size}")

    def finish_request(self) -> pb.FinishUploadRequest:
        """Asks to make it a file, if it is what was read here."""
        return pb.FinishUploadRequest(upload=self.name, size_bytes=self.source.size, sha256=self.source.sha256())

    def wait_after(self, error: DifyrpcError) -> float | None:
        """Answers the seconds to wait before going on, or None where this ended the upload for good."""
        error.metadata.setdefault("upload", self.name)
        return self.resumption.after(error, self.committed, also=error.reason == BUSY)

    def abort_request(self) -> pb.AbortUploadRequest:
        """Asks to free what the upload has reserved."""
        return pb.AbortUploadRequest(upload=self.name)

    def lost(self, error: BaseException, *, resumed: bool) -> bool:
        """Answers whether the server may drop what it holds: nobody could go on with it, or knows its name."""
        if not isinstance(error, Exception):
            return self.name != "" and not resumed
        return self.name != "" and not passing(error) and not isinstance(error, Aborted | DeadlineExceeded)


def upload(
    calls: Calls,
    content: Uploadable,
    spec: pb.FileSpec,
    *,
    resume: str = "",
    progress: Progress | None = None,
    started: Started | None = None,
    timeout: float | None = None,
) -> pb.File:
    """Stores the content, over as many connections as it takes; answers the file.

    What it has reserved is freed when it ends by an error that no later call could go on from, and when it is broken
    off from outside (KeyboardInterrupt, a cancelled greenlet or task): then no error names the upload. One that the
    caller named by `resume` is kept in the latter case.
    """
    _check_name(spec, resume)
    resumption = calls.resumption(WRITE, timeout)
    source = open_source(content)
    try:
        return _run(calls, _Upload(source, resumption, progress, started), spec, resume)
    finally:
        source.close()


def _check_name(spec: pb.FileSpec, resume: str) -> None:
    if not spec.display_name and not spec.replace and not resume:
        raise InvalidArgument(
            "the source has no name of its own; give name=, as in upload(b'…', name='contract.pdf')",
            field_violations=[FieldViolation(field="name", description="is missing")],
        )


def _run(calls: Calls, state: _Upload, spec: pb.FileSpec, resume: str) -> pb.File:
    state.name = resume
    try:
        if not resume:
            answer = calls.unary(START, state.start_request(spec), state.resumption.left())
            state.began(answer.upload.name)
        return _write_and_finish(calls.changed(retry=NO_RETRY), state, known=not resume)
    except BaseException as error:
        if state.lost(error, resumed=resume != ""):
            with suppress(DifyrpcError):
                calls.changed(retry=NO_RETRY).unary(ABORT, state.abort_request(), ABORT_SECONDS)
        raise


def _write_and_finish(calls: Calls, state: _Upload, *, known: bool) -> pb.File:
    while True:
        try:
            file = None if known else _query(calls, state)
            return file or _write(calls, state)
        except DifyrpcError as error:
            if (wait := state.wait_after(error)) is None:
                raise
        state.resumption.pause(wait)
        known = False


def _query(calls: Calls, state: _Upload) -> pb.File | None:
    answer = calls.unary(QUERY, pb.QueryUploadRequest(upload=state.name), state.resumption.left())
    if answer.WhichOneof("state") == "file":
        return answer.file
    state.committed = answer.upload.committed_bytes
    return None


def _write(calls: Calls, state: _Upload) -> pb.File:
    if state.committed < state.source.size:
        for answer in calls.stream(WRITE, state.requests, state.resumption.left()):
            state.note(answer.committed_bytes)
        state.check_whole()
    return calls.unary(FINISH, state.finish_request(), state.resumption.left()).file


async def upload_async(
    calls: AsyncCalls,
    content: Uploadable | AsyncIterable[bytes],
    spec: pb.FileSpec,
    *,
    resume: str = "",
    progress: Progress | None = None,
    started: Started | None = None,
    timeout: float | None = None,
) -> pb.File:
    """Does the same in the event loop; files are read and hashed in threads."""
    _check_name(spec, resume)
    resumption = calls.resumption(WRITE, timeout)
    source = await _open_async(content)
    try:
        return await _run_async(calls, _Upload(source, resumption, progress, started), spec, resume)
    finally:
        source.close()


async def _open_async(content: Uploadable | AsyncIterable[bytes]) -> Source:
    if not isinstance(content, AsyncIterable):
        return await in_thread(open_source, content)
    with Spool() as spool:
        async for chunk in content:
            spool.add(chunk)
        return spool.source()


async def _run_async(calls: AsyncCalls, state: _Upload, spec: pb.FileSpec, resume: str) -> pb.File:
    import asyncio

    state.name = resume
    try:
        if not resume:
            answer = await calls.unary(START, state.start_request(spec), state.resumption.left())
            state.began(answer.upload.name)
        return await _write_and_finish_async(calls.changed(retry=NO_RETRY), state, known=not resume)
    except (Exception, asyncio.CancelledError) as error:
        if state.lost(error, resumed=resume != ""):
            await asyncio.shield(_start_abort(calls, state))
        raise


def _start_abort(calls: AsyncCalls, state: _Upload) -> asyncio.Task[None]:
    import asyncio

    task = asyncio.create_task(_abort_async(calls, state))
    _aborting.add(task)  # a second cancellation leaves it running, and a task that nobody holds may vanish
    task.add_done_callback(_aborting.discard)
    return task


async def _abort_async(calls: AsyncCalls, state: _Upload) -> None:
    with suppress(DifyrpcError):
        await calls.changed(retry=NO_RETRY).unary(ABORT, state.abort_request(), ABORT_SECONDS)


_aborting: set[asyncio.Task[None]] = set()


async def _write_and_finish_async(calls: AsyncCalls, state: _Upload, *, known: bool) -> pb.File:
    while True:
        try:
            file = None if known else await _query_async(calls, state)
            return file or await _write_async(calls, state)
        except DifyrpcError as error:
            if (wait := state.wait_after(error)) is None:
                raise
        await state.resumption.pause_async(wait)
        known = False


async def _query_async(calls: AsyncCalls, state: _Upload) -> pb.File | None:
    answer = await calls.unary(QUERY, pb.QueryUploadRequest(upload=state.name), state.resumption.left())
    if answer.WhichOneof("state") == "file":
        return answer.file
    state.committed = answer.upload.committed_bytes
    return None


async def _write_async(calls: AsyncCalls, state: _Upload) -> pb.File:
    if state.committed < state.source.size:
        async for answer in calls.stream(WRITE, functools.partial(_requests_async, state), state.resumption.left()):
            state.note(answer.committed_bytes)
        state.check_whole()
    request = await in_thread(state.finish_request)
    return (await calls.unary(FINISH, request, state.resumption.left())).file


async def _requests_async(state: _Upload) -> AsyncIterator[pb.WriteUploadRequest]:
    requests = state.requests()
    while request := await in_thread(next, requests, None):
        yield request
