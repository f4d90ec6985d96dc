"""Files: resumable uploads and downloads, and what is known about each file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path

from difyrpc.files.v1 import files_pb2 as pb
from difyrpc_client import _download
from difyrpc_client._calls import Calls
from difyrpc_client._download import Progress
from difyrpc_client._file import (
    UNCHANGED,
    File,
    FileOrder,
    Quota,
    Unchanged,
    delete_request,
    file_name,
    list_request,
    name_of_source,
    read_file,
    read_quota,
    update_request,
    write_spec,
)
from difyrpc_client._message import make
from difyrpc_client._methods import rpc
from difyrpc_client._source import Uploadable
from difyrpc_client._upload import upload
from difyrpc_client._values import Metadata

GET = rpc("FileStorage.GetFile", pb.GetFileRequest, pb.GetFileResponse)
LIST = rpc("FileStorage.ListFiles", pb.ListFilesRequest, pb.ListFilesResponse)
UPDATE = rpc("FileStorage.UpdateFile", pb.UpdateFileRequest, pb.UpdateFileResponse)
COPY = rpc("FileStorage.CopyFile", pb.CopyFileRequest, pb.CopyFileResponse)
DELETE = rpc("FileStorage.DeleteFile", pb.DeleteFileRequest, pb.DeleteFileResponse)
QUOTA = rpc("FileStorage.GetQuota", pb.GetQuotaRequest, pb.GetQuotaResponse)


class Files:
    """The files of the tenant. `timeout` is in seconds everywhere and covers repetitions; None for the client's."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def upload(
        self,
        source: Uploadable,
        *,
        name: str | None = None,
        media_type: str = "",
        metadata: Metadata | None = None,
        tags: Iterable[str] = (),
        expire_time: datetime | None = None,
        replace: File | str = "",
        if_absent: bool = False,
        if_generation_match: int | None = None,
        resume: str = "",
        progress: Progress | None = None,
        started: Callable[[str], None] | None = None,
        timeout: float | None = None,
    ) -> File:
        """Stores a path, bytes, a binary file or an iterable, over as many connections as it takes.

        `name` is the display name, by default that of the file. `replace` puts the bytes in the place of a file's;
        `if_absent` and `if_generation_match` are conditions. `progress(durable, total)` is told in bytes of what the
        server has made durable, about every 16 MiB: a small file goes from nothing to all at once. An error that may
        pass names the upload in its metadata: `resume=error.metadata["upload"]` goes on with it. `started(upload)` is
        told that name before the first byte, so that another process can go on after a crash of this one. An upload
        that is cancelled or interrupted is given up, and what it has reserved is freed, unless it was itself resumed.
        """
        spec = write_spec(
            display_name=name_of_source(source, name),
            media_type=media_type,
            metadata=metadata,
            tags=tags,
            expire_time=expire_time,
            replace=replace,
            if_absent=if_absent,
            if_generation_match=if_generation_match,
        )
        return read_file(
            upload(self._calls, source, spec, resume=resume, progress=progress, started=started, timeout=timeout)
        )

    def download(
        self,
        file: File | str,
        path: str | os.PathLike[str],
        *,
        if_generation_match: int | None = None,
        progress: Progress | None = None,
        timeout: float | None = None,
    ) -> File:
        """Writes a file's content to `path`: whole and with the right hash, or not at all.

        IsADirectoryError, before anything is fetched, where `path` is a folder.
        """
        state = _download.begin(self._calls, file_name(file), if_generation_match=if_generation_match, timeout=timeout)
        return read_file(_download.to_path(self._calls, state, Path(path), progress))

    def read(
        self,
        file: File | str,
        *,
        offset: int = 0,
        limit: int = 0,
        if_generation_match: int | None = None,
        timeout: float | None = None,
    ) -> bytes:
        """Answers `limit` bytes (0: all) from `offset` on; a negative offset counts from the end."""
        generation = if_generation_match
        return b"".join(
            self.iter_bytes(file, offset=offset, limit=limit, if_generation_match=generation, timeout=timeout)
        )

    def iter_bytes(
        self,
        file: File | str,
        *,
        offset: int = 0,
        limit: int = 0,
        if_generation_match: int | None = None,
        timeout: float | None = None,
    ) -> Iterator[bytes]:
        """Yields what `read` answers, as it comes; all of one generation."""
        state = _download.begin(
            self._calls,
            file_name(file),
            offset=offset,
            limit=limit,
            if_generation_match=if_generation_match,
            timeout=timeout,
        )
        return _download.pieces(self._calls, state)

    def get(self, file: File | str, *, timeout: float | None = None) -> File:
        """Answers what is known about a file; NotFound."""
        return read_file(self._calls.unary(GET, make(pb.GetFileRequest, name=file_name(file)), timeout).file)

    def list(
        self,
        *,
        prefix: str = "",
        tags: Iterable[str] = (),
        order: FileOrder = "name",
        descending: bool = False,
        page_size: int = 0,
        timeout: float | None = None,
    ) -> Iterator[File]:
        """Yields files whose display name begins with `prefix` and that have all `tags`, page after page.

        `page_size` is 1 to 1,000, 0 for the server's; `timeout` is for each page.
        """
        request = list_request(prefix=prefix, tags=tags, order=order, descending=descending, page_size=page_size)
        while True:
            page = self._calls.unary(LIST, request, timeout)
            yield from map(read_file, page.files)
            request.page_token = page.next_page_token
            if not page.next_page_token:
                return

    def update(
        self,
        file: File | str,
        *,
        display_name: str | Unchanged = UNCHANGED,
        media_type: str | Unchanged = UNCHANGED,
        metadata: Metadata | Unchanged | None = UNCHANGED,
        tags: Iterable[str] | Unchanged = UNCHANGED,
        expire_time: datetime | Unchanged | None = UNCHANGED,
        etag: str = "",
        if_absent: bool = False,
        timeout: float | None = None,
    ) -> File:
        """Changes what is given, and answers the file; Aborted if `etag` is given and not the current one.

        `metadata` and `tags` are replaced as a whole; `expire_time=None` keeps the file for ever.
        """
        request = update_request(
            file,
            display_name=display_name,
            media_type=media_type,
            metadata=metadata,
            tags=tags,
            expire_time=expire_time,
            etag=etag,
            if_absent=if_absent,
        )
        return read_file(self._calls.unary(UPDATE, request, timeout).file)

    def copy(
        self,
        file: File | str,
        *,
        name: str = "",
        media_type: str = "",
        metadata: Metadata | None = None,
        tags: Iterable[str] = (),
        expire_time: datetime | None = None,
        if_absent: bool = False,
        if_generation_match: int | None = None,
        timeout: float | None = None,
    ) -> File:
        """Makes a new file of the same content; what is not given is as in the source."""
        spec = write_spec(
            display_name=name,
            media_type=media_type,
            metadata=metadata,
            tags=tags,
            expire_time=expire_time,
            if_absent=if_absent,
        )
        request = make(pb.CopyFileRequest, name=file_name(file), spec=spec, if_generation_match=if_generation_match)
        return read_file(self._calls.unary(COPY, request, timeout).file)

    def delete(
        self,
        file: File | str,
        *,
        etag: str = "",
        allow_missing: bool = False,
        if_generation_match: int | None = None,
        timeout: float | None = None,
    ) -> None:
        """Deletes a file; NotFound unless `allow_missing`."""
        request = delete_request(file, etag=etag, allow_missing=allow_missing, if_generation_match=if_generation_match)
        self._calls.unary(DELETE, request, timeout)

    def quota(self, *, timeout: float | None = None) -> Quota:
        """Answers what the tenant stores and may store."""
        return read_quota(self._calls.unary(QUOTA, pb.GetQuotaRequest(), timeout))
