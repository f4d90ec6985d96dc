"""The rules of the documents service: what may be asked, within which limits, and how parts make an answer."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Protocol

from difyrpc_services.documents.checks import check_chunking, check_options, check_render, check_stated
from difyrpc_services.documents.chunking import Chunk
from difyrpc_services.documents.formats.reading import Notice, too_large
from difyrpc_services.documents.values import (
    ChunkPart,
    ClausePart,
    Finished,
    Info,
    Limits,
    PagePart,
    Parsed,
    ParseOptions,
    ParseTask,
    Part,
    PicturePart,
    Progress,
    RenderTask,
    Source,
    SplitTask,
    Summary,
    Task,
    TextPart,
    Usage,
)
from difyrpc_services.runtime.errors import FailedPrecondition, Internal, InvalidArgument, Unimplemented
from difyrpc_services.runtime.workers import Blob

if TYPE_CHECKING:
    from hashlib import _Hash

IN_PLACE: Final = 1024 * 1024  # bytes; larger pieces are copied and hashed in a thread


class Run(Protocol):
    """One task on its way."""

    @property
    def waiting_seconds(self) -> float:
        """Time that it waited for its turn."""

    @property
    def cpu_seconds(self) -> float:
        """Processor time that it took; known at the end."""

    def parts(self) -> AsyncGenerator[Part, None]:
        """Answers the parts as they are ready; closing it early stops the work."""


class Backend(Protocol):
    """Where tasks are done."""

    async def start(self) -> None:
        """Makes it ready."""

    async def stop(self) -> None:
        """Ends all work."""

    def run(self, tenant: str, task: Task, content: Blob, *, seconds: float) -> Run:
        """Prepares a task; iterating its parts does it."""

    def describe(self) -> str:
        """Answers what it is, for people."""


class FileSource(Protocol):
    """Where the files of a `file` source are read, with the current caller's rights."""

    def open(self, name: str) -> AsyncIterator[bytes]:
        """Answers the bytes of one file; FILE_NOT_FOUND."""


class Documents:
    """Parses, renders and splits for tenants."""

    def __init__(self, backend: Backend, *, limits: Limits, files: FileSource | None) -> None:
        """Takes where work is done, the server's limits, and where stored files are read, if anywhere."""
        self._backend = backend
        self._files = files
        self.limits = limits

    async def parse(self, tenant: str, source: Source, options: ParseOptions) -> Parsed:
        """Answers a whole document; the errors that documents.proto names."""
        gathered = _Gathered()
        async with aclosing(self.parse_stream(tenant, source, options)) as parts:
            async for part in parts:
                gathered.add(part)
        return gathered.parsed()

    async def parse_stream(
        self, tenant: str, source: Source, options: ParseOptions
    ) -> AsyncGenerator[Part | Summary, None]:
        """Answers the parts of a document as they are ready, an Info first, a Summary last."""
        check_options(options)
        limits = options.limits.within(self.limits)
        with Blob() as content:
            sha256 = await self._gather(source, content, limits.content_bytes)
            task = ParseTask(name=source.name, media_type=source.media_type, options=replace(options, limits=limits))
            run = self._backend.run(tenant, task, content, seconds=limits.seconds)
            counts = _Counts(content.size, sha256)
            async with aclosing(run.parts()) as parts:
                async for part in parts:
                    found = counts.seen(part)
                    if found is not None:
                        yield found
            yield counts.summary(run)

    async def render(self, tenant: str, source: Source, task: RenderTask) -> PicturePart:
        """Answers the picture of one page."""
        check_render(task)
        with Blob() as content:
            await self._gather(source, content, self.limits.content_bytes)
            run = self._backend.run(tenant, task, content, seconds=self.limits.seconds)
            async with aclosing(run.parts()) as parts:
                async for part in parts:
                    if isinstance(part, PicturePart):
                        return part
        raise Internal("NO_PICTURE", "the page was not rendered")

    async def split(self, tenant: str, text: str, task: SplitTask) -> list[Chunk]:
        """Answers the chunks of a text."""
        check_chunking(task.chunking, "chunking")
        chunks: list[Chunk] = []
        with Blob.of(text.encode("utf-8")) as content:
            if content.size > self.limits.content_bytes:
                raise too_large("content_bytes", self.limits.content_bytes)
            run = self._backend.run(tenant, task, content, seconds=self.limits.seconds)
            async with aclosing(run.parts()) as parts:
                async for part in parts:
                    if isinstance(part, ChunkPart):
                        chunks.extend(part.chunks)
        return chunks

    async def _gather(self, source: Source, content: Blob, limit: int) -> bytes:
        """Takes the document's bytes from where they are; answers their SHA-256."""
        if source.size_bytes is not None and source.size_bytes > limit:
            raise too_large("content_bytes", limit)
        digest = hashlib.sha256()
        if source.content is not None:
            await _store(source.content, content, digest, limit)
        else:
            async for chunk in self._chunks(source):
                await _store(chunk, content, digest, limit)
        if not content.size:
            raise InvalidArgument("EMPTY_CONTENT", "the document has no bytes", field="content")
        check_stated(source, content.size, digest.digest())
        return digest.digest()

    def _chunks(self, source: Source) -> AsyncIterator[bytes]:
        if source.chunks is not None:
            return source.chunks
        if source.url:
            raise Unimplemented("URL_SOURCES_OFF", "this server reads no URLs; send the bytes or name a stored file")
        if not source.file:
            raise InvalidArgument("NO_SOURCE", "set content, file or url", field="source")
        if self._files is None:
            raise FailedPrecondition(
                "FILES_NOT_AVAILABLE",
                "stored files need the service files, which does not run here; set {setting} to its address",
                setting="DIFYRPC_FILES_TARGET",
            )
        return self._files.open(source.file)


async def _store(chunk: bytes, content: Blob, digest: _Hash, limit: int) -> None:
    if content.size + len(chunk) > limit:
        raise too_large("content_bytes", limit)
    if len(chunk) > IN_PLACE:
        await asyncio.to_thread(content.write, chunk)
        await asyncio.to_thread(digest.update, chunk)
    else:
        content.write(chunk)
        digest.update(chunk)


class _Counts:
    """Completes the Info and counts what passes."""

    def __init__(self, content_bytes: int, sha256: bytes) -> None:
        self._began = time.monotonic()
        self._content = (content_bytes, sha256)
        self._info = Info(format="")
        self._pages = 0
        self._elements = self._clauses = self._chunks = self._notices = 0
        self._whole = False

    def seen(self, part: Part) -> Part | None:
        """Answers the part to pass on; None for one that ends here."""
        if isinstance(part, Info):
            size, sha256 = self._content
            self._info = replace(part, content_bytes=size, sha256=sha256)
            return self._info
        if isinstance(part, Finished):
            self._info = replace(self._info, language=part.language)
            self._elements = part.elements
            self._whole = True
            return None
        self._count(part)
        return part

    def _count(self, part: Part) -> None:
        if isinstance(part, ClausePart):
            self._clauses += len(part.clauses)
        elif isinstance(part, ChunkPart):
            self._chunks += len(part.chunks)
        elif isinstance(part, Progress):
            self._pages = part.done
        elif isinstance(part, Notice):
            self._notices += 1

    def summary(self, run: Run) -> Summary:
        """Answers the end of a stream."""
        if not self._whole:
            raise Internal("PARSER_CRASHED", "the worker ended without the end of its answer ({cause})", cause="no end")
        return Summary(
            info=self._info,
            usage=Usage(
                seconds=time.monotonic() - self._began,
                waiting_seconds=run.waiting_seconds,
                cpu_seconds=run.cpu_seconds,
                pages=self._pages,
            ),
            elements=self._elements,
            clauses=self._clauses,
            chunks=self._chunks,
            notices=self._notices,
        )


class _Gathered:
    """Puts the parts of a stream together."""

    def __init__(self) -> None:
        self._texts: tuple[list[str], list[str]] = ([], [])
        self._parsed: Summary | None = None
        self._pages: list[PagePart] = []
        self._clauses: list[ClausePart] = []
        self._chunks: list[ChunkPart] = []
        self._notices: list[Notice] = []

    def add(self, part: Part | Summary) -> None:
        """Takes the next part."""
        if isinstance(part, TextPart):
            self._texts[part.markdown].append(part.text)
        elif isinstance(part, PagePart):
            self._pages.append(part)
        elif isinstance(part, ClausePart):
            self._clauses.append(part)
        elif isinstance(part, ChunkPart):
            self._chunks.append(part)
        elif isinstance(part, Notice):
            self._notices.append(part)
        elif isinstance(part, Summary):
            self._parsed = part

    def parsed(self) -> Parsed:
        """Answers the whole."""
        assert self._parsed is not None  # a stream ends with a Summary or an error
        return Parsed(
            info=self._parsed.info,
            usage=self._parsed.usage,
            text="".join(self._texts[0]),
            markdown="".join(self._texts[1]),
            elements=[element for part in self._pages for element in part.elements],
            clauses=[clause for part in self._clauses for clause in part.clauses],
            chunks=[chunk for part in self._chunks for chunk in part.chunks],
            notices=self._notices,
        )
