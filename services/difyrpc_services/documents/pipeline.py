"""What is done with a document where it is parsed: in a worker, or in a thread of the memory backend."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from difyrpc_services.documents.chunking import chunks_of
from difyrpc_services.documents.clauses import find_clauses
from difyrpc_services.documents.detection import detect, not_renderable
from difyrpc_services.documents.elements import Clause, Element
from difyrpc_services.documents.formats import FORMATS, reader
from difyrpc_services.documents.formats.markdown import elements_of as markdown_elements
from difyrpc_services.documents.formats.reading import Opened, ReadPart, ReadRequest
from difyrpc_services.documents.formats.text import elements_of as text_elements
from difyrpc_services.documents.language import Sample
from difyrpc_services.documents.values import (
    ChunkPart,
    ClausePart,
    Finished,
    Info,
    PagePart,
    ParseTask,
    Part,
    PicturePart,
    Progress,
    RenderTask,
    SplitTask,
    Task,
    TextPart,
)
from difyrpc_services.documents.writing import markdown, plain
from difyrpc_services.runtime.errors import InvalidArgument

BATCH: Final = 200  # clauses or chunks of one part


def perform(content: memoryview, task: Task) -> Iterator[Part]:
    """Does a task; the ServiceErrors of formats, detection and rendering."""
    if isinstance(task, ParseTask):
        yield from parse(content, task)
    elif isinstance(task, RenderTask):
        yield render(content, task)
    else:
        yield from split(content, task)


def parse(content: memoryview, task: ParseTask) -> Iterator[Part]:
    """Answers the parts of a document as they are ready."""
    options = task.options
    detected = detect(content, name=task.name, media_type=task.media_type)
    parts = reader(detected.format)(content, _request(task))
    outline = _Outline()
    sample = Sample()
    kept: list[Element] = []
    done = total = 0
    first = True
    for part in parts:
        if isinstance(part, Opened):
            total = part.pages_asked
            yield Info(
                format=detected.format,
                page_count=part.page_count,
                metadata=part.metadata,
                encrypted=part.encrypted,
            )
            yield from (*detected.notices, *part.notices)
            continue
        elements = outline.placed(part.elements)
        if "clauses" in options.outputs or "chunks" in options.outputs:
            kept.extend(elements)
        yield from part.notices
        yield from _written(part, elements, task, sample, first=first)
        first = False
        if total:
            done += 1
            yield Progress(done=done, total=total)
    yield from _derived(kept, task)
    yield Finished(language=sample.language(), elements=outline.count)


def _request(task: ParseTask) -> ReadRequest:
    options = task.options
    return ReadRequest(
        pages=options.pages,
        password=options.password,
        tables=options.tables,
        max_pages=options.limits.pages,
        max_expanded_bytes=options.limits.expanded_bytes,
    )


def _written(
    part: ReadPart, elements: list[Element], task: ParseTask, sample: Sample, *, first: bool
) -> Iterator[Part]:
    """Answers the elements, the text and the Markdown of one part, as far as they are asked for."""
    outputs = task.options.outputs
    running = task.options.running
    if "elements" in outputs and elements:
        yield PagePart(page=part.page, elements=elements)
    text = plain(elements, running=running)
    sample.add(text)
    between = "" if first else "\f" if part.page else "\n\n"
    if "text" in outputs and (text or part.page):
        yield TextPart(page=part.page, text=between + text)
    if "markdown" in outputs:
        body = markdown(elements, running=running)
        if body:
            yield TextPart(page=part.page, text=body + "\n\n", markdown=True)


def _derived(elements: list[Element], task: ParseTask) -> Iterator[Part]:
    """Answers what needs the whole document: clauses, chunks."""
    options = task.options
    clauses: list[Clause] = []
    if "clauses" in options.outputs or ("chunks" in options.outputs and options.chunking.boundary == "clauses"):
        clauses = find_clauses(elements, options.clauses)
    if "clauses" in options.outputs:
        yield from (ClausePart(clauses=clauses[begin : begin + BATCH]) for begin in range(0, len(clauses), BATCH))
    if "chunks" in options.outputs:
        chunks = chunks_of(elements, clauses, options.chunking, running=options.running)
        yield from (ChunkPart(chunks=chunks[begin : begin + BATCH]) for begin in range(0, len(chunks), BATCH))


class _Outline:
    """Gives elements their ids and heading paths."""

    def __init__(self) -> None:
        self.count = 0
        self._path: list[tuple[int, str]] = []

    def placed(self, elements: Iterable[Element]) -> list[Element]:
        """Answers the elements with ids and heading paths."""
        found = []
        for element in elements:
            self.count += 1
            if element.kind == "title":
                while self._path and self._path[-1][0] >= element.level:
                    self._path.pop()
            path = tuple(text for _, text in self._path)
            found.append(replace(element, id=f"e{self.count}", heading_path=path))
            if element.kind == "title":
                self._path.append((element.level, element.written))
        return found


def render(content: memoryview, task: RenderTask) -> PicturePart:
    """Renders one page; UNSUPPORTED_TYPE for formats without pages."""
    from difyrpc_services.documents.formats.pdf.render import Mark
    from difyrpc_services.documents.formats.pdf.render import render as render_pdf

    detected = detect(content, name=task.name)
    if not FORMATS[detected.format].renderable:
        raise not_renderable(detected.format)
    marks = tuple(
        Mark(left=one.left, top=one.top, right=one.right, bottom=one.bottom, color=one.color) for one in task.highlights
    )
    picture = render_pdf(
        content, password=task.password, page=task.page, dpi=task.dpi, max_width=task.max_width, marks=marks
    )
    return PicturePart(
        image=picture.png,
        width=picture.width,
        height=picture.height,
        scale=picture.scale,
        page_count=picture.page_count,
    )


def split(content: memoryview, task: SplitTask) -> Iterator[Part]:
    """Cuts a text in UTF-8 into chunks."""
    text = bytes(content).decode("utf-8")
    if not text.strip():
        raise InvalidArgument("EMPTY_CONTENT", "the text has nothing but white space", field="text")
    found = markdown_elements(text) if task.markdown else text_elements(text)
    elements = _Outline().placed(found)
    clauses = find_clauses(elements, task.clauses) if task.chunking.boundary == "clauses" else []
    chunks = chunks_of(elements, clauses, task.chunking, running=True)
    chunks = [replace(chunk, element_ids=()) for chunk in chunks]
    yield from (ChunkPart(chunks=chunks[begin : begin + BATCH]) for begin in range(0, len(chunks), BATCH))
