"""Bytes in anonymous memory that a worker gets as a file descriptor, not as a copy."""

from __future__ import annotations

import contextlib
import os
import tempfile
from typing import Self


class Blob:
    """Grows by `write`, is handed over by its descriptor, is freed by `close`."""

    def __init__(self) -> None:
        self.size = 0
        self._fd = _anonymous_file()

    @classmethod
    def of(cls, content: bytes) -> Blob:
        """Makes a blob of `content`."""
        blob = cls()
        blob.write(content)
        return blob

    def write(self, chunk: bytes) -> None:
        """Appends `chunk`."""
        view = memoryview(chunk)
        while view:
            view = view[os.write(self._fd, view) :]
        self.size += len(chunk)

    def fileno(self) -> int:
        """Answers the descriptor; valid until `close`."""
        return self._fd

    def close(self) -> None:
        """Frees the memory as soon as no worker maps it."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        with contextlib.suppress(OSError):
            self.close()


def _anonymous_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("difyrpc-job", os.MFD_CLOEXEC)
    with tempfile.TemporaryFile() as file:  # a kernel without memfd
        return os.dup(file.fileno())
