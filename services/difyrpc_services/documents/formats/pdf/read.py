"""Reads a PDF page by page, looking a few pages ahead for what repeats and what goes on."""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import pypdfium2
import pypdfium2.raw as pdfium

from difyrpc_services.documents.elements import Element
from difyrpc_services.documents.formats.pdf.facts import (
    Outline,
    files_inside,
    metadata,
    outline,
    page_labels,
    signature,
)
from difyrpc_services.documents.formats.pdf.hyphens import Vocabulary
from difyrpc_services.documents.formats.pdf.notes import form_of
from difyrpc_services.documents.formats.pdf.opening import open_pdf, page_of
from difyrpc_services.documents.formats.pdf.page import PageContent, content_of, elements_on
from difyrpc_services.documents.formats.pdf.paragraphs import LONGEST_TITLE, Style
from difyrpc_services.documents.formats.pdf.scanned import marked, notices_of, with_scan
from difyrpc_services.documents.formats.reading import (
    Notice,
    Opened,
    ReadPart,
    ReadRequest,
    Yielded,
    chosen_pages,
    corrupt,
)
from difyrpc_services.documents.formats.words import after, is_cjk
from difyrpc_services.runtime.errors import FailedPrecondition

AROUND: Final = 4  # pages on each side that are looked at for headers and footers
SCAN_SAMPLE: Final = 12  # pages without any text after which a document counts as a scan at once
_ENDED: Final = re.compile(r"[.。:：;；!?！？”\"]$")


def read(content: memoryview, request: ReadRequest) -> Iterator[Yielded]:
    """Reads a PDF; ENCRYPTED, CORRUPT, PAGE_NOT_FOUND, TOO_LARGE, NEEDS_OCR."""
    opened = open_pdf(content, request.password)
    document = opened.document
    try:
        count = len(document)
        pages = chosen_pages(request, count)
        yield Opened(
            page_count=count,
            pages_asked=len(pages),
            metadata=metadata(document),
            encrypted=pdfium.FPDF_GetSecurityHandlerRevision(document.raw) >= 0,
            notices=opened.notices,
            page_labels=page_labels(document, count),
        )
        parts = laid_out(_contents(document, pages, request), len(pages), request)
        yield from _not_lost(_titled(parts, outline(document)), whole=opened.whole)
        yield from files_inside(document, request.max_expanded_bytes)
    finally:
        document.close()


def laid_out(contents: Iterator[PageContent], total: int, request: ReadRequest) -> Iterator[ReadPart]:
    """Answers what stands on pages, each seen beside its neighbours; NEEDS_OCR."""
    return _joined_pages(_laid_out(contents, total, request))


def _contents(document: pypdfium2.PdfDocument, pages: list[int], request: ReadRequest) -> Iterator[PageContent]:
    form = form_of(document)
    vocabulary = Vocabulary()
    for number in pages:
        page = page_of(document, number)
        try:
            found = content_of(page, number, request.tables, vocabulary, form)
            yield with_scan(page, found, request.scans)
        finally:
            page.close()


def _not_lost(parts: Iterator[ReadPart], *, whole: bool) -> Iterator[ReadPart]:
    """Refuses a damaged file of which nothing is left; CORRUPT."""
    found = whole
    for part in parts:
        found = found or bool(part.elements)
        yield part
    if not found:
        raise corrupt("pdf", "it is damaged, and no text is left")


def _titled(parts: Iterator[ReadPart], titles: Outline) -> Iterator[ReadPart]:
    """Makes titles of what bookmarks name."""
    for part in parts:
        named = titles.get(part.page)
        if named:
            yield replace(part, elements=[_as_named(element, named) for element in part.elements])
        else:
            yield part


def _as_named(element: Element, named: dict[str, int]) -> Element:
    if element.kind not in ("title", "paragraph", "list_item") or len(element.text) > LONGEST_TITLE:
        return element
    level = named.get(signature(element.text))
    return element if level is None or element.contents_entry else replace(element, kind="title", level=level)


def _laid_out(contents: Iterator[PageContent], total: int, request: ReadRequest) -> Iterator[ReadPart]:
    """Answers the pages one by one, each seen beside its neighbours."""
    behind: deque[PageContent] = deque(maxlen=AROUND)
    ahead: deque[PageContent] = deque()
    sizes: Counter[float] = Counter()
    style = Style()
    readable = without_text = mono = 0
    while True:
        while len(ahead) <= AROUND and (page := next(contents, None)) is not None:
            sizes.update(page.sizes)
            mono += page.mono
            readable += page.has_text or page.recognised
            without_text += not page.has_text and (page.drawn or page.garbled)
            ahead.append(page)
            if not readable and without_text >= SCAN_SAMPLE:
                raise needs_ocr(page)
        if not ahead:
            return
        if not readable and len(behind) + len(ahead) >= total and without_text:
            raise needs_ocr(ahead[0])
        style.mono_body = mono * 2 > sizes.total()
        style.body_size = sizes.most_common(1)[0][0] if sizes else style.body_size
        page = ahead.popleft()
        yield _part(page, [*behind, *ahead], style, request)
        behind.append(page)


def _part(page: PageContent, neighbours: list[PageContent], style: Style, request: ReadRequest) -> ReadPart:
    margins = [other.margin for other in neighbours if other.margin is not None]
    least = 0 if not margins else 1 if len(margins) == 1 else 2
    running = page.margin.running(margins, least=least) if page.margin is not None else {}
    notices = notices_of(page)
    if page.garbled:
        notice = Notice(
            reason="GARBLED_TEXT", message="the text of this page has no readable letters", page=page.number
        )
        return ReadPart(page=page.number, notices=(*notices, notice))
    elements = elements_on(page, running, style, request.tables)
    return ReadPart(page=page.number, elements=marked(elements, page), notices=notices)


def needs_ocr(page: PageContent) -> FailedPrecondition:
    """Answers the error for a document whose pages are pictures, or whose letters stand for nothing."""
    return FailedPrecondition(
        "NEEDS_OCR",
        "the document has no text of its own ({cause}); it needs optical character recognition",
        cause="garbled" if page.garbled else "pictures",
    )


def _joined_pages(parts: Iterator[ReadPart]) -> Iterator[ReadPart]:
    """Joins a paragraph that goes on at the head of the next page to its beginning."""
    held: ReadPart | None = None
    for part in parts:
        if held is None:
            held = part
        else:
            done, held = _joined(held, part)
            yield done
    if held is not None:
        yield held


def _joined(first: ReadPart, second: ReadPart) -> tuple[ReadPart, ReadPart]:
    last = next((i for i in range(len(first.elements) - 1, -1, -1) if _is_body(first.elements[i])), None)
    head = next((i for i, element in enumerate(second.elements) if _is_body(element)), None)
    if last is None or head is None or not _goes_on(first.elements[last], second.elements[head]):
        return first, second
    one, two = first.elements[last], second.elements[head]
    whole = replace(one, text=after(one.text, two.text), boxes=one.boxes + two.boxes, lines=one.lines + two.lines)
    elements = [*first.elements[:last], whole, *first.elements[last + 1 :]]
    return replace(first, elements=elements), replace(
        second, elements=[*second.elements[:head], *second.elements[head + 1 :]]
    )


def _is_body(element: Element) -> bool:
    return element.kind not in ("header", "footer", "footnote", "figure")


def _goes_on(one: Element, two: Element) -> bool:
    """Answers whether a paragraph at the end of a page goes on in the first one of the next."""
    if one.kind not in ("paragraph", "list_item") or two.kind != "paragraph" or one.contents_entry:
        return False
    if not one.text or not two.text or _ENDED.search(one.text) or one.page == two.page:
        return False
    if two.text[0].islower():
        return True
    return (
        is_cjk(two.text[0]) and is_cjk(one.text[-1]) and two.indent < 8 and not two.text.startswith(("第", "（", "附"))
    )
