"""Takes the bytes of a document from where they are: the call itself, FileStorage, a URL."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from difyrpc_services.documents.checks import check_stated
from difyrpc_services.documents.formats.reading import too_large
from difyrpc_services.runtime.errors import FailedPrecondition, InvalidArgument, Unimplemented

if TYPE_CHECKING:
    from hashlib import _Hash

    from difyrpc_services.documents.values import Source
    from difyrpc_services.runtime.workers import Blob

IN_PLACE: Final = 1024 * 1024  # bytes; larger pieces are copied and hashed in a thread


@dataclass(frozen=True, kw_only=True)
class Found:
    """A document where it is kept."""

    chunks: AsyncIterator[bytes]
    """Its bytes."""
    name: str = ""
    """File name as it is kept, a hint of its type; empty = none."""
    media_type: str = ""
    """Media type as it is kept, the same kind of hint; empty = none."""
    size_bytes: int | None = None
    """Length as it is kept; None = not known."""


class Place(Protocol):
    """Where documents are kept."""

    def open(self, name: str) -> AbstractAsyncContextManager[Found]:
        """Opens one with the current caller's rights; ServiceErrors say why that is not possible."""


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """What is known of a document whose bytes are here."""

    sha256: bytes
    name: str
    """File name that the caller or the place states."""
    media_type: str
    """Media type that the caller or the place states."""


class Gatherer:
    """Fills a blob with the bytes of a source."""

    def __init__(self, *, files: Place | None, urls: Place | None) -> None:
        """Takes where stored files and URLs are read, if anywhere."""
        self._files = files
        self._urls = urls

    async def gather(self, source: Source, content: Blob, limit: int) -> Gathered:
        """Takes the document's bytes, `limit` at most; TOO_LARGE, EMPTY_CONTENT and why a place does not give them."""
        _check_length(source.size_bytes, limit)
        digest = hashlib.sha256()
        async with self._opened(source) as found:
            _check_length(found.size_bytes, limit)
            async for chunk in found.chunks:
                await _store(chunk, content, digest, limit)
        if not content.size:
            raise InvalidArgument("EMPTY_CONTENT", "the document has no bytes", field="content")
        check_stated(source, content.size, digest.digest())
        return Gathered(
            sha256=digest.digest(),
            name=source.name or found.name,
            media_type=source.media_type or found.media_type,
        )

    def _opened(self, source: Source) -> AbstractAsyncContextManager[Found]:
        if source.content is not None:
            return nullcontext(Found(chunks=_alone(source.content)))
        if source.chunks is not None:
            return nullcontext(Found(chunks=source.chunks))
        if source.url:
            return self._place_of_urls().open(source.url)
        if source.file:
            return self._place_of_files().open(source.file)
        raise InvalidArgument("NO_SOURCE", "set content, file or url", field="source")

    def _place_of_urls(self) -> Place:
        if self._urls is None:
            raise Unimplemented(
                "URL_SOURCES_OFF",
                "this server reads no URLs; send the bytes, name a stored file, or list origins in {setting}",
                setting="DIFYRPC_DOCUMENTS_URL_ORIGINS",
            )
        return self._urls

    def _place_of_files(self) -> Place:
        if self._files is None:
            raise FailedPrecondition(
                "FILES_NOT_AVAILABLE",
                "stored files need the service files, which does not run here; set {setting} to its address",
                setting="DIFYRPC_FILES_TARGET",
            )
        return self._files


def _check_length(length: int | None, limit: int) -> None:
    if length is not None and length > limit:
        raise too_large("content_bytes", limit)


async def _alone(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def _store(chunk: bytes, content: Blob, digest: _Hash, limit: int) -> None:
    if content.size + len(chunk) > limit:
        raise too_large("content_bytes", limit)
    if len(chunk) > IN_PLACE:
        await asyncio.to_thread(content.write, chunk)
        await asyncio.to_thread(digest.update, chunk)
    else:
        content.write(chunk)
        digest.update(chunk)
