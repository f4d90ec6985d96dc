"""Downloads that go on after a broken connection, from the byte where they stood and of the same generation."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import AsyncGenerator, Callable, Generator
from pathlib import Path
from typing import IO

from difyrpc.files.v1 import files_pb2 as pb
from difyrpc_client._calls import AsyncCalls, Calls
from difyrpc_client._errors import DataLoss, DifyrpcError, Unavailable
from difyrpc_client._message import make
from difyrpc_client._methods import rpc
from difyrpc_client._retry import NO_RETRY, Resumption
from difyrpc_client._threads import in_thread

DOWNLOAD = rpc("FileStorage.DownloadFile", pb.DownloadFileRequest, pb.DownloadFileResponse)
Progress = Callable[[int, int], None]


class Download:
    """What a download knows of itself while it runs; shared by the twins."""

    def __init__(self, request: pb.DownloadFileRequest, resumption: Resumption) -> None:
        self.resumption = resumption
        self.file: pb.File | None = None
        """The file, once the first message has come."""
        self.position = 0
        """Bytes of the range that have come."""
        self.length = 0
        """Bytes of the whole range, once the first message has come."""
        self._asked = request
        self._offset = 0

    def request(self) -> pb.DownloadFileRequest:
        """Asks for what is missing: at first the range as it was asked for, later the rest of the same bytes."""
        if self.file is None:
            return self._asked
        return pb.DownloadFileRequest(
            name=self._asked.name,
            offset=self._offset + self.position,
            limit=self.length - self.position,
            if_generation_match=self.file.generation,
        )

    def take(self, answer: pb.DownloadFileResponse) -> bytes:
        """Takes one message; answers the bytes in it."""
        if answer.WhichOneof("part") == "chunk":
            self.position += len(answer.chunk.data)
            return answer.chunk.data
        if self.file is None:
            self._begin(answer.file)
        return b""

    def whole(self) -> bool:
        """Answers whether the whole range has come."""
        return self.file is not None and self.position >= self.length

    def wait_after(self, error: DifyrpcError) -> float | None:
        """Answers the seconds to wait before going on, or None where this ended the download for good."""
        return self.resumption.after(error, self.position)

    def ended(self) -> Unavailable:
        """Answers the error of a stream that ended well and yet too early."""
        return Unavailable(f"the stream ended at byte {self.position} of {self.length}")

    def _begin(self, file: pb.File) -> None:
        asked = self._asked
        self.file = file
        self._offset = asked.offset if asked.offset >= 0 else max(0, file.size_bytes + asked.offset)
        rest = file.size_bytes - self._offset
        self.length = min(rest, asked.limit) if asked.limit else rest


def begin(
    calls: Calls | AsyncCalls,
    name: str,
    *,
    offset: int = 0,
    limit: int = 0,
    if_generation_match: int | None = None,
    timeout: float | None = None,
) -> Download:
    """Answers a download that has not asked for anything yet; its time begins to run."""
    request = make(
        pb.DownloadFileRequest, name=name, offset=offset, limit=limit, if_generation_match=if_generation_match
    )
    return Download(request, calls.resumption(DOWNLOAD, timeout))


def pieces(calls: Calls, state: Download) -> Generator[bytes, None, None]:
    """Yields the bytes of a download as they come."""
    once = calls.changed(retry=NO_RETRY)
    while not state.whole():
        try:
            for answer in once.stream(DOWNLOAD, lambda: [state.request()], state.resumption.left()):
                if data := state.take(answer):
                    yield data
            if state.whole():
                return
            raise state.ended()
        except DifyrpcError as error:
            if (wait := state.wait_after(error)) is None:
                raise
        state.resumption.pause(wait)


async def pieces_async(calls: AsyncCalls, state: Download) -> AsyncGenerator[bytes, None]:
    """Does the same in the event loop."""
    once = calls.changed(retry=NO_RETRY)
    while not state.whole():
        try:
            async for answer in once.stream(DOWNLOAD, lambda: [state.request()], state.resumption.left()):
                if data := state.take(answer):
                    yield data
            if state.whole():
                return
            raise state.ended()
        except DifyrpcError as error:
            if (wait := state.wait_after(error)) is None:
                raise
        await state.resumption.pause_async(wait)


class _Target:
    """A file beside the one to be written; takes its place when all bytes have come and their hash is right."""

    def __init__(self, path: Path, state: Download, progress: Progress | None) -> None:
        import tempfile

        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "a file cannot take the place of a folder; name the file", str(path))
        self._path = path
        self._state = state
        self._progress = progress
        self._hash = hashlib.sha256()
        self._part: IO[bytes] = tempfile.NamedTemporaryFile(  # noqa: SIM115  # finish and discard close it
            dir=path.parent, prefix=f".{path.name}.", suffix=".part", delete=False
        )

    def write(self, data: bytes) -> None:
        """Writes the next bytes."""
        self._part.write(data)
        self._hash.update(data)
        if self._progress:
            self._progress(self._state.position, self._state.length)

    def finish(self) -> pb.File:
        """Puts the file in its place; DataLoss if the bytes are not those of the file."""
        file = self._state.file
        if file is None or self._hash.hexdigest() != file.sha256:
            raise DataLoss("the downloaded bytes do not have the file's SHA-256", reason="CHECKSUM_MISMATCH")
        self._part.close()
        os.replace(self._part.name, self._path)
        return file

    def discard(self) -> None:
        """Removes what was written; does nothing after `finish`."""
        self._part.close()
        Path(self._part.name).unlink(missing_ok=True)


def to_path(calls: Calls, state: Download, path: Path, progress: Progress | None) -> pb.File:
    """Writes a whole file to a path: complete and verified, or not at all."""
    target = _Target(path, state, progress)
    try:
        for data in pieces(calls, state):
            target.write(data)
        return target.finish()
    finally:
        target.discard()


async def to_path_async(calls: AsyncCalls, state: Download, path: Path, progress: Progress | None) -> pb.File:
    """Does the same in the event loop; the file is written in threads."""
    target = await in_thread(_Target, path, state, progress)
    try:
        async for data in pieces_async(calls, state):
            await in_thread(target.write, data)
        return await in_thread(target.finish)
    finally:
        target.discard()
