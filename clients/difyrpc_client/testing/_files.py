"""FileStorage in memory."""

from __future__ import annotations

import hashlib
import itertools
import mimetypes
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from difyrpc.files.v1 import files_pb2 as pb
from difyrpc_client.testing import _faults as faults

CHUNK_BYTES = 1024 * 1024


class _Upload:
    def __init__(self, spec: pb.FileSpec) -> None:
        self.spec = spec
        self.data = bytearray()
        self.file = ""


class FilesInMemory:
    """Keeps files and uploads; each method is the rpc of its name."""

    def __init__(self) -> None:
        self._files: dict[str, pb.File] = {}
        self._contents: dict[str, bytes] = {}
        self._uploads: dict[str, _Upload] = {}
        self._ids = itertools.count(1)

    def content(self, name: str) -> bytes:
        """Answers the bytes of a file."""
        self._file(name)
        return self._contents[name]

    def file(self, name: str) -> pb.File:
        """Answers a file."""
        return self._file(name)

    def StartUpload(self, request: pb.StartUploadRequest) -> pb.StartUploadResponse:  # noqa: N802
        """Begins an upload."""
        self._check_spec(request.spec)
        name = f"uploads/u{next(self._ids)}"
        self._uploads[name] = _Upload(request.spec)
        return pb.StartUploadResponse(upload=pb.Upload(name=name))

    def WriteUpload(self, requests: Iterable[pb.WriteUploadRequest]) -> Iterator[pb.WriteUploadResponse]:  # noqa: N802
        """Writes bytes and acknowledges each chunk."""
        messages = iter(requests)
        start = next(messages).start
        upload = self._upload(start.upload)
        if start.offset > len(upload.data):
            raise faults.past_end(start.offset, len(upload.data), "committed_bytes")
        del upload.data[start.offset :]
        yield pb.WriteUploadResponse(committed_bytes=len(upload.data))
        for message in messages:
            upload.data += message.chunk.data
            yield pb.WriteUploadResponse(committed_bytes=len(upload.data))

    def QueryUpload(self, request: pb.QueryUploadRequest) -> pb.QueryUploadResponse:  # noqa: N802
        """Tells how far an upload is."""
        upload = self._upload(request.upload)
        if upload.file:
            return pb.QueryUploadResponse(file=self._file(upload.file))
        return pb.QueryUploadResponse(upload=pb.Upload(name=request.upload, committed_bytes=len(upload.data)))

    def FinishUpload(self, request: pb.FinishUploadRequest) -> pb.FinishUploadResponse:  # noqa: N802
        """Makes an upload a file."""
        upload = self._upload(request.upload)
        if not upload.file:
            upload.file = self._store(upload.spec, bytes(upload.data), request).name
        return pb.FinishUploadResponse(file=self._file(upload.file))

    def AbortUpload(self, request: pb.AbortUploadRequest) -> pb.AbortUploadResponse:  # noqa: N802
        """Drops an upload."""
        self._uploads.pop(request.upload, None)
        return pb.AbortUploadResponse()

    def DownloadFile(self, request: pb.DownloadFileRequest) -> Iterator[pb.DownloadFileResponse]:  # noqa: N802
        """Sends the file, then its bytes."""
        file, data = self._file(request.name), self.content(request.name)
        if request.HasField("if_generation_match"):
            self._check_generation(file, request.if_generation_match)
        if request.offset > len(data):
            raise faults.past_end(request.offset, len(data), "size_bytes")
        begin = request.offset if request.offset >= 0 else max(0, len(data) + request.offset)
        wanted = data[begin : begin + request.limit] if request.limit else data[begin:]
        yield pb.DownloadFileResponse(file=file)
        for at in range(0, len(wanted), CHUNK_BYTES):
            yield pb.DownloadFileResponse(chunk=pb.Chunk(data=wanted[at : at + CHUNK_BYTES]))

    def GetFile(self, request: pb.GetFileRequest) -> pb.GetFileResponse:  # noqa: N802
        """Gets a file."""
        return pb.GetFileResponse(file=self._file(request.name))

    def ListFiles(self, request: pb.ListFilesRequest) -> pb.ListFilesResponse:  # noqa: N802
        """Lists files; the page token is a position."""
        found = [
            file
            for file in self._files.values()
            if file.display_name.startswith(request.prefix) and set(request.tags) <= set(file.tags)
        ]
        found.sort(key=_ORDERS[request.order], reverse=request.descending)
        begin, size = int(request.page_token or 0), request.page_size or 100
        more = str(begin + size) if begin + size < len(found) else ""
        return pb.ListFilesResponse(files=found[begin : begin + size], next_page_token=more)

    def UpdateFile(self, request: pb.UpdateFileRequest) -> pb.UpdateFileResponse:  # noqa: N802
        """Changes what the mask names."""
        file = self._file(request.file.name)
        if request.file.etag and request.file.etag != file.etag:
            raise faults.file_changed(file.name, file.etag)
        for path in request.update_mask.paths:
            file.ClearField(path)  # type: ignore[arg-type]  # a path out of the mask
        request.update_mask.MergeMessage(request.file, file)
        self._touch(file)
        return pb.UpdateFileResponse(file=file)

    def CopyFile(self, request: pb.CopyFileRequest) -> pb.CopyFileResponse:  # noqa: N802
        """Copies a file."""
        source, spec = self._file(request.name), request.spec
        spec.display_name = spec.display_name or source.display_name
        spec.media_type = spec.media_type or source.media_type
        spec.tags.extend([] if spec.tags else source.tags)
        if not spec.metadata:
            spec.MergeFrom(pb.FileSpec(metadata=source.metadata))
        self._check_spec(spec)
        copy = self._store(spec, self.content(request.name), pb.FinishUploadRequest())
        return pb.CopyFileResponse(file=copy)

    def DeleteFile(self, request: pb.DeleteFileRequest) -> pb.DeleteFileResponse:  # noqa: N802
        """Deletes a file."""
        if request.name in self._files or not request.allow_missing:
            self._file(request.name)
            del self._files[request.name], self._contents[request.name]
        return pb.DeleteFileResponse()

    def GetQuota(self, request: pb.GetQuotaRequest) -> pb.GetQuotaResponse:  # noqa: N802
        """Tells what is stored."""
        return pb.GetQuotaResponse(used_bytes=sum(map(len, self._contents.values())))

    def _file(self, name: str) -> pb.File:
        if name not in self._files:
            raise faults.no_file(name)
        return self._files[name]

    def _upload(self, name: str) -> _Upload:
        if name not in self._uploads:
            raise faults.no_upload(name)
        return self._uploads[name]

    def _check_spec(self, spec: pb.FileSpec) -> None:
        if spec.replace:
            file = self._file(spec.replace)
            if spec.HasField("if_generation_match"):
                self._check_generation(file, spec.if_generation_match)
        elif not spec.display_name:
            raise faults.nameless("spec.display_name")
        if spec.if_absent and any(file.display_name == spec.display_name for file in self._files.values()):
            raise faults.file_exists(spec.display_name)

    def _check_generation(self, file: pb.File, generation: int) -> None:
        if file.generation != generation:
            raise faults.other_generation(file.name, file.generation, generation)

    def _store(self, spec: pb.FileSpec, data: bytes, claimed: pb.FinishUploadRequest) -> pb.File:
        digest = hashlib.sha256(data).hexdigest()
        if claimed.sha256 not in ("", digest):
            raise faults.other_checksum(digest, claimed.sha256)
        if spec.HasField("size_bytes") and spec.size_bytes != len(data):
            raise faults.upload_incomplete(len(data), spec.size_bytes)
        file = self._files.get(spec.replace) or self._new_file(spec)
        if spec.display_name:
            file.display_name = spec.display_name
        file.size_bytes, file.sha256 = len(data), digest
        file.generation += 1
        self._touch(file)
        self._files[file.name], self._contents[file.name] = file, data
        return file

    def _new_file(self, spec: pb.FileSpec) -> pb.File:
        guess = mimetypes.guess_type(spec.display_name)[0] or "application/octet-stream"
        file = pb.File(
            name=f"files/f{next(self._ids)}", media_type=spec.media_type or guess, tags=sorted(set(spec.tags))
        )
        file.MergeFrom(pb.File(metadata=spec.metadata))
        if spec.HasField("expire_time"):
            file.expire_time.CopyFrom(spec.expire_time)
        file.create_time.FromDatetime(datetime.now(UTC))
        return file

    def _touch(self, file: pb.File) -> None:
        file.update_time.FromDatetime(datetime.now(UTC))
        file.etag = f"e{next(self._ids)}"


_ORDERS = {
    pb.FILE_ORDER_UNSPECIFIED: lambda file: (file.display_name, file.name),
    pb.FILE_ORDER_DISPLAY_NAME: lambda file: (file.display_name, file.name),
    pb.FILE_ORDER_CREATE_TIME: lambda file: (file.create_time.ToNanoseconds(), file.name),
    pb.FILE_ORDER_UPDATE_TIME: lambda file: (file.update_time.ToNanoseconds(), file.name),
    pb.FILE_ORDER_SIZE: lambda file: (file.size_bytes, file.name),
}
