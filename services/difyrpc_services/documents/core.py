"""The rules of the documents service: what may be asked, within which limits, and how parts make an answer."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Protocol

from difyrpc_services.documents.cache import AnswerCache
from difyrpc_services.documents.checks import check_chunking, check_options, check_render
from difyrpc_services.documents.chunking import Chunk
from difyrpc_services.documents.formats.reading import Notice, too_large
from difyrpc_services.documents.gathering import Gatherer, Place
from difyrpc_services.documents.recognition import ParseRun, Recognition
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
from difyrpc_services.runtime.errors import Internal
from difyrpc_services.runtime.workers import Blob


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


class Documents:
    """Parses, renders and splits for tenants."""

    def __init__(
        self,
        backend: Backend,
        *,
        limits: Limits,
        files: Place | None = None,
        urls: Place | None = None,
        recognition: Recognition | None = None,
        cache: AnswerCache | None = None,
    ) -> None:
        """Takes where work is done, the server's limits, where stored files and URLs are read, and what reads scans.

        Without a cache every document is parsed anew.
        """
        self._backend = backend
        self._gatherer = Gatherer(files=files, urls=urls)
        self.reads_urls = urls is not None
        self._cache = cache or AnswerCache(0)
        self.limits = limits
        self.recognition = recognition or Recognition()

    async def parse(self, tenant: str, source: Source, options: ParseOptions) -> Parsed:
        """Answers a whole document; the errors that documents.proto names."""
        whole = Assembled()
        async with aclosing(self._parts(tenant, source, options, patient=True)) as parts:
            async for part in parts:
                whole.add(part)
        return whole.parsed()

    def parse_stream(self, tenant: str, source: Source, options: ParseOptions) -> AsyncGenerator[Part | Summary, None]:
        """Answers the parts of a document as they are ready, an Info first, a Summary last."""
        # A stream waits for no other call: its own first parts may come sooner.
        return self._parts(tenant, source, options, patient=False)

    async def _parts(
        self, tenant: str, source: Source, options: ParseOptions, *, patient: bool
    ) -> AsyncGenerator[Part | Summary, None]:
        check_options(options)
        plan, notices = self.recognition.plan(options)
        limits = options.limits.within(self.limits)
        with Blob() as content:
            gathered = await self._gatherer.gather(source, content, limits.content_bytes)
            task = ParseTask(
                name=gathered.name, media_type=gathered.media_type, options=replace(options, limits=limits), ocr=plan
            )
            ocr_seconds = min(options.limits.seconds or self.recognition.seconds, self.recognition.seconds)
            counts = _Counts(content.size, gathered.sha256)
            key = self._cache.key(tenant, gathered.sha256, task)
            async with self._cache.use(key, options.cache, patient=patient) as cached:
                run = cached.earlier or ParseRun(
                    self._backend,
                    tenant,
                    task,
                    content,
                    seconds=limits.seconds,
                    ocr_seconds=ocr_seconds,
                    notices=notices,
                )
                async with aclosing(run.parts()) as parts:
                    async for part in parts:
                        cached.add(part)
                        found = counts.seen(part)
                        if found is not None:
                            yield found
                cached.keep()
            yield counts.summary(run, cached=cached.earlier is not None)

    async def render(self, tenant: str, source: Source, task: RenderTask) -> PicturePart:
        """Answers the picture of one page."""
        check_render(task)
        with Blob() as content:
            await self._gatherer.gather(source, content, self.limits.content_bytes)
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
            self._info = replace(self._info, language=part.language, attachments=part.attachments)
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

    def summary(self, run: Run, *, cached: bool) -> Summary:
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
                cached=cached,
            ),
            elements=self._elements,
            clauses=self._clauses,
            chunks=self._chunks,
            notices=self._notices,
        )


class Assembled:
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
