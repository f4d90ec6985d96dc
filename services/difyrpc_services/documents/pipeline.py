"""What is done with a document where it is parsed: in a worker, or in a thread of the memory backend."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby
from typing import Final

from difyrpc_services.documents.attachments import STYLE as ATTACHMENT
from difyrpc_services.documents.attachments import Attachments
from difyrpc_services.documents.chunking import Chunking, chunks_of, pairs_of
from difyrpc_services.documents.clauses import find_clauses
from difyrpc_services.documents.detection import detect, not_renderable
from difyrpc_services.documents.elements import Clause, Element
from difyrpc_services.documents.formats import FORMATS, reader
from difyrpc_services.documents.formats.charset import decoded
from difyrpc_services.documents.formats.markdown import elements_of as markdown_elements
from difyrpc_services.documents.formats.reading import Notice, Opened, ReadPart, ReadRequest
from difyrpc_services.documents.formats.text import elements_of as text_elements
from difyrpc_services.documents.formats.unlocked import unlocked
from difyrpc_services.documents.language import Sample
from difyrpc_services.documents.ocr.engines import scans_of
from difyrpc_services.documents.ocr.values import PassedOn
from difyrpc_services.documents.values import (
    ChunkPart,
    ClausePart,
    ClauseProfile,
    Finished,
    Info,
    PagePart,
    ParseTask,
    Part,
    PassedOnPart,
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
        try:
            yield from parse(content, task)
        except PassedOn:
            yield PassedOnPart()
    elif isinstance(task, RenderTask):
        yield render(content, task)
    else:
        yield from split(content, task)


def parse(content: memoryview, task: ParseTask) -> Iterator[Part]:
    """Answers the parts of a document as they are ready."""
    options = task.options
    locked, content = content, unlocked(content, options.password)
    detected = detect(content, name=task.name, media_type=task.media_type)
    request = _request(task)
    attachments = Attachments(request)
    parts = attachments.unfolded(reader(detected.format)(content, request))
    outline = _Outline()
    sample = Sample()
    kept: list[Element] = []
    done = total = 0
    place: int | None = None
    for part in parts:
        if isinstance(part, Opened):
            total = part.pages_asked
            yield Info(
                format=detected.format,
                page_count=part.page_count,
                metadata=part.metadata,
                encrypted=part.encrypted or content is not locked,
                page_labels=part.page_labels,
            )
            yield from (*detected.notices, *part.notices)
            continue
        elements = outline.placed(part.elements)
        if "clauses" in options.outputs or "chunks" in options.outputs:
            kept.extend(elements)
        yield from part.notices
        between = "" if place is None else "\f" if part.page and part.page != place else "\n\n"
        yield from _written(part, elements, task, sample, between=between)
        place = part.page
        if done < total and not part.goes_on:
            done += 1
            yield Progress(done=done, total=total)
    yield from _derived(kept, task, _raw(content, detected.format, task))
    yield Finished(language=sample.language(), elements=outline.count, attachments=tuple(attachments.found))


def _request(task: ParseTask) -> ReadRequest:
    options = task.options
    return ReadRequest(
        pages=options.pages,
        password=options.password,
        tables=options.tables,
        name=task.name,
        max_pages=options.limits.pages,
        max_expanded_bytes=options.limits.expanded_bytes,
        scans=scans_of(task.ocr),
    )


def _written(
    part: ReadPart, elements: list[Element], task: ParseTask, sample: Sample, *, between: str
) -> Iterator[Part]:
    """Answers the elements, the text and the Markdown of one part, as far as they are asked for."""
    outputs = task.options.outputs
    running = task.options.running
    if "elements" in outputs and elements:
        yield PagePart(page=part.page, elements=elements)
    text = plain(elements, running=running)
    sample.add(text)
    if "text" in outputs and (text or between == "\f"):
        yield TextPart(page=part.page, text=between + text)
    if "markdown" in outputs:
        body = markdown(elements, running=running)
        if body:
            yield TextPart(page=part.page, text=body + "\n\n", markdown=True)


def _raw(content: memoryview, format_name: str, task: ParseTask) -> str | None:
    """Answers a plain text as it stands, if it is to be cut at a separator, which the reader may have taken out."""
    options = task.options
    wanted = "chunks" in options.outputs and options.chunking.boundary == "separator"
    return decoded(bytes(content))[0] if wanted and format_name == "text" else None


def _derived(elements: list[Element], task: ParseTask, raw: str | None) -> Iterator[Part]:
    """Answers what needs the whole document: clauses, chunks."""
    options = task.options
    clauses: list[Clause] = []
    if "clauses" in options.outputs or ("chunks" in options.outputs and options.chunking.boundary == "clauses"):
        clauses = _clauses(elements, options.clauses)
    if "clauses" in options.outputs:
        yield from (ClausePart(clauses=clauses[begin : begin + BATCH]) for begin in range(0, len(clauses), BATCH))
    if "chunks" in options.outputs:
        yield from _chunks(elements, clauses, options.chunking, running=options.running, raw=raw)


def _chunks(
    elements: list[Element], clauses: list[Clause], chunking: Chunking, *, running: bool, raw: str | None
) -> Iterator[Part]:
    outside = 0
    if chunking.mode == "qa":
        chunks, outside = pairs_of(elements, chunking, running=running)
    else:
        chunks = chunks_of(elements, clauses, chunking, running=running, raw=raw)
    yield from (ChunkPart(chunks=chunks[begin : begin + BATCH]) for begin in range(0, len(chunks), BATCH))
    if outside or (chunking.mode == "qa" and not chunks):
        message = f"{len(chunks)} pairs of question and answer were found; {outside} elements stand in none of them"
        yield Notice(reason="TEXT_OUTSIDE_PAIRS", message=message)


def _clauses(elements: list[Element], profile: ClauseProfile) -> list[Clause]:
    """Finds the clauses of the document and of each file in it; ids go on from one to the next."""
    found: list[Clause] = []
    for _, group in groupby(elements, key=lambda element: element.attachment_id):
        before = len(found)
        found += [_after(clause, before) for clause in find_clauses(list(group), profile)]
    return found


def _after(clause: Clause, before: int) -> Clause:
    if not before:
        return clause
    parent = f"c{int(clause.parent_id[1:]) + before}" if clause.parent_id else ""
    return replace(clause, id=f"c{int(clause.id[1:]) + before}", parent_id=parent)


class _Outline:
    """Gives elements their ids and heading paths."""

    def __init__(self) -> None:
        self.count = 0
        self._path: list[tuple[int, str]] = []
        self._holder = ""

    def placed(self, elements: Iterable[Element]) -> list[Element]:
        """Answers the elements with ids and heading paths."""
        found = []
        for element in elements:
            self.count += 1
            if element.attachment_id != self._holder:
                self._path, self._holder = [], element.attachment_id
            level = 0 if element.style == ATTACHMENT else element.level
            if element.kind == "title":
                while self._path and self._path[-1][0] >= level:
                    self._path.pop()
            path = tuple(text for _, text in self._path)
            found.append(replace(element, id=f"e{self.count}", heading_path=path))
            if element.kind == "title":
                self._path.append((level, element.written))
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
    chunks = chunks_of(elements, clauses, task.chunking, running=True, raw=text)
    if not chunks and task.chunking.mode == "qa":
        raise InvalidArgument("NO_PAIRS", "the text holds no pairs of question and answer", field="text")
    chunks = [replace(chunk, element_ids=()) for chunk in chunks]
    yield from (ChunkPart(chunks=chunks[begin : begin + BATCH]) for begin in range(0, len(chunks), BATCH))
