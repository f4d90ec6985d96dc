"""Reads a PDF page by page, looking a few pages ahead for what repeats and what goes on."""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import pypdfium2
import pypdfium2.raw as pdfium

from difyrpc_services.documents.elements import Element
from difyrpc_services.documents.formats.pdf.page import PageContent, content_of, elements_on
from difyrpc_services.documents.formats.pdf.paragraphs import Style
from difyrpc_services.documents.formats.reading import (
    Notice,
    Opened,
    ReadPart,
    ReadRequest,
    chosen_pages,
    corrupt,
    encrypted,
)
from difyrpc_services.documents.formats.words import after, is_cjk
from difyrpc_services.runtime.errors import FailedPrecondition

AROUND: Final = 4  # pages on each side that are looked at for headers and footers
SCAN_SAMPLE: Final = 12  # pages without any text after which a document counts as a scan at once
_METADATA: Final = {
    "Title": "title",
    "Author": "author",
    "Subject": "subject",
    "Keywords": "keywords",
    "Creator": "creator",
    "Producer": "producer",
    "CreationDate": "created",
    "ModDate": "modified",
}
_UNSET: Final = frozenset({"unspecified", "anonymous", "untitled"})  # what programs write for want of a value
_DATE: Final = re.compile(r"D:(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?(?:([+-])(\d\d)'?(\d\d)?|Z)?")
_ENDED: Final = re.compile(r"[.。:：;；!?！？”\"]$")


def read(content: memoryview, request: ReadRequest) -> Iterator[Opened | ReadPart]:
    """Reads a PDF; ENCRYPTED, CORRUPT, PAGE_NOT_FOUND, TOO_LARGE, NEEDS_OCR."""
    document = open_pdf(content, request.password)
    try:
        count = len(document)
        pages = chosen_pages(request, count)
        yield Opened(
            page_count=count,
            pages_asked=len(pages),
            metadata=_metadata(document),
            encrypted=pdfium.FPDF_GetSecurityHandlerRevision(document.raw) >= 0,
        )
        yield from _joined_pages(_laid_out(_contents(document, pages, request), len(pages), request))
    finally:
        document.close()


def open_pdf(content: memoryview, password: str) -> pypdfium2.PdfDocument:
    """Opens a PDF; ENCRYPTED and CORRUPT."""
    try:
        document = pypdfium2.PdfDocument(bytes(content), password=password or None)
    except pypdfium2.PdfiumError as error:
        if getattr(error, "err_code", None) == pdfium.FPDF_ERR_PASSWORD:
            raise encrypted("pdf", given=bool(password)) from error
        raise corrupt("pdf", "its structure cannot be read") from error
    if not len(document):
        document.close()
        raise corrupt("pdf", "it has no pages")
    return document


def _contents(document: pypdfium2.PdfDocument, pages: list[int], request: ReadRequest) -> Iterator[PageContent]:
    for number in pages:
        try:
            page = document[number - 1]
        except pypdfium2.PdfiumError as error:
            raise corrupt("pdf", f"page {number} cannot be read") from error
        try:
            yield content_of(page, number, request.tables)
        finally:
            page.close()


def _laid_out(contents: Iterator[PageContent], total: int, request: ReadRequest) -> Iterator[ReadPart]:
    """Answers the pages one by one, each seen beside its neighbours."""
    behind: deque[PageContent] = deque(maxlen=AROUND)
    ahead: deque[PageContent] = deque()
    sizes: Counter[float] = Counter()
    style = Style()
    readable = without_text = 0
    while True:
        while len(ahead) <= AROUND and (page := next(contents, None)) is not None:
            sizes.update(page.sizes)
            readable += page.has_text
            without_text += not page.has_text and (page.drawn or page.garbled)
            ahead.append(page)
            if not readable and without_text >= SCAN_SAMPLE:
                raise needs_ocr(page)
        if not ahead:
            return
        if not readable and len(behind) + len(ahead) >= total and without_text:
            raise needs_ocr(ahead[0])
        style.body_size = sizes.most_common(1)[0][0] if sizes else style.body_size
        page = ahead.popleft()
        yield _part(page, [*behind, *ahead], style, request)
        behind.append(page)


def _part(page: PageContent, neighbours: list[PageContent], style: Style, request: ReadRequest) -> ReadPart:
    margins = [other.margin for other in neighbours if other.margin is not None]
    least = 0 if not margins else 1 if len(margins) == 1 else 2
    running = page.margin.running(margins, least=least) if page.margin is not None else {}
    if page.garbled:
        notice = Notice(
            reason="GARBLED_TEXT", message="the text of this page has no readable letters", page=page.number
        )
        return ReadPart(page=page.number, notices=(notice,))
    notices: tuple[Notice, ...] = ()
    if not page.has_text and page.drawn:
        notices = (Notice(reason="PAGE_WITHOUT_TEXT", message="this page is a picture", page=page.number),)
    return ReadPart(page=page.number, elements=elements_on(page, running, style, request.tables), notices=notices)


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


def _metadata(document: pypdfium2.PdfDocument) -> dict[str, str]:
    found = {}
    for key, name in _METADATA.items():
        value = document.get_metadata_value(key).strip("\x00 \t\r\n")
        if value and value.strip("()").lower() not in _UNSET:
            found[name] = _date(value) if name in ("created", "modified") else value[:1000]
    return {name: value for name, value in found.items() if value}


def _date(value: str) -> str:
    """Answers a PDF date as RFC 3339; empty if it is none."""
    match = _DATE.match(value)
    if match is None:
        return ""
    year, month, day, hour, minute, second, sign, zone_hours, zone_minutes = match.groups()
    zone = f"{sign}{zone_hours}:{zone_minutes or '00'}" if sign else "Z"
    return f"{year}-{month or '01'}-{day or '01'}T{hour or '00'}:{minute or '00'}:{second or '00'}{zone}"


def page_of(document: pypdfium2.PdfDocument, number: int) -> Any:
    """Answers a page by its number from 1; CORRUPT."""
    try:
        return document[number - 1]
    except pypdfium2.PdfiumError as error:
        raise corrupt("pdf", f"page {number} cannot be read") from error
