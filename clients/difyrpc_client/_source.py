"""What is uploaded: read again from any offset, hashed once while it is read."""

from __future__ import annotations

import hashlib
import io
import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Self, cast

from difyrpc_client._errors import InvalidArgument

CHUNK_BYTES = 1024 * 1024  # the best size for streams, measured
SPOOL_BYTES = 8 * 1024 * 1024  # what cannot be read twice is kept in memory up to this, then in a temporary file

Uploadable = str | os.PathLike[str] | bytes | IO[bytes] | Iterable[bytes]


class Source:
    """Bytes to upload. One reader at a time: a new one ends the reader before it."""

    def __init__(self, file: IO[bytes], *, owned: bool) -> None:
        self._file = file
        self._owned = owned
        self._begin = file.tell()
        self.size = file.seek(0, os.SEEK_END) - self._begin
        """Bytes from where the file stood when it was handed over to its end."""
        self._hash = hashlib.sha256()
        self._hashed = 0
        self._reader = 0
        self._lock = threading.Lock()

    def chunks(self, offset: int) -> Iterator[bytes]:
        """Yields the bytes from `offset` on, in pieces of 1 MiB."""
        self._hash_up_to(offset)
        with self._lock:
            self._reader += 1
            reader = self._reader
        while data := self.piece(reader, offset):
            yield data
            offset += len(data)

    def piece(self, reader: int, offset: int) -> bytes:
        """Reads the piece at `offset` for a reader; nothing at the end, or if another reader has begun."""
        with self._lock:
            if reader != self._reader or offset >= self.size:
                return b""
            return self._read(offset, min(CHUNK_BYTES, self.size - offset))

    def sha256(self) -> str:
        """Answers the hash of all bytes; reads what no reader has read."""
        self._hash_up_to(self.size)
        return self._hash.hexdigest()

    def close(self) -> None:
        """Closes what was opened here, never the caller's file."""
        if self._owned:
            self._file.close()

    def _hash_up_to(self, offset: int) -> None:
        with self._lock:
            while self._hashed < offset and self._read(self._hashed, min(CHUNK_BYTES, offset - self._hashed)):
                pass

    def _read(self, offset: int, length: int) -> bytes:
        self._file.seek(self._begin + offset)
        data = self._file.read(length)
        if not data:
            raise OSError(f"the file became shorter than {self.size} bytes while it was uploaded")
        if offset <= self._hashed < offset + len(data):
            self._hash.update(data[self._hashed - offset :])
            self._hashed = offset + len(data)
        return data


def open_source(source: Uploadable) -> Source:
    """Opens a path, bytes, a binary file or an iterable of bytes; InvalidArgument for anything else."""
    if isinstance(source, bytes | bytearray | memoryview):
        return Source(io.BytesIO(source), owned=True)
    if isinstance(source, str | os.PathLike):
        return Source(Path(source).open("rb"), owned=True)
    if hasattr(source, "read"):
        return _file_source(cast("IO[bytes]", source))
    if isinstance(source, Iterable):
        return spooled(source)
    raise InvalidArgument(f"a {type(source).__name__} cannot be uploaded; give a path, bytes, a binary file or chunks")


def _file_source(file: IO[bytes]) -> Source:
    if isinstance(file, io.TextIOBase):
        raise InvalidArgument("the file to upload is open as text; open it with mode 'rb'")
    if hasattr(file, "seekable") and file.seekable():
        return Source(file, owned=False)
    return spooled(iter(lambda: file.read(CHUNK_BYTES), b""))


def spooled(chunks: Iterable[bytes]) -> Source:
    """Keeps what can be read only once, so that a broken upload can go on."""
    with Spool() as spool:
        for chunk in chunks:
            spool.add(chunk)
        return spool.source()


class Spool:
    """A file in memory that moves to the disk when it grows; closed at the end of its block unless it is a source."""

    def __init__(self) -> None:
        import tempfile

        self._file = cast("IO[bytes]", tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES))  # noqa: SIM115  # closed by whoever keeps it
        self._kept = False

    def add(self, chunk: bytes) -> None:
        """Writes the next bytes; InvalidArgument for anything else."""
        if not isinstance(chunk, bytes | bytearray | memoryview):
            raise InvalidArgument(f"the source yields {type(chunk).__name__}; give chunks of bytes")
        self._file.write(chunk)

    def source(self) -> Source:
        """Answers what was written as a source that closes the file."""
        self._file.seek(0)
        self._kept = True
        return Source(self._file, owned=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._kept:
            self._file.close()
