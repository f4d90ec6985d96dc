"""Sets the English sample contract as PDF."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from xml.sax.saxutils import escape

from reportlab.lib import colors
from reportlab.lib.enums import TA_CENTER, TA_JUSTIFY
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import cm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    Flowable,
    Frame,
    KeepTogether,
    NextPageTemplate,
    PageBreak,
    PageTemplate,
    Paragraph,
    Spacer,
    Table,
    TableStyle,
)
from reportlab.platypus.tableofcontents import TableOfContents
from sample_sources import source_lines

HEADER = "Master Supply and Services Agreement"

_BODY = ParagraphStyle("body", fontName="Times-Roman", fontSize=10.5, leading=14, alignment=TA_JUSTIFY, spaceAfter=6)
_STYLES = {
    "title": ParagraphStyle(
        "title", _BODY, fontName="Times-Bold", fontSize=17, leading=22, alignment=TA_CENTER, spaceAfter=16
    ),
    "centred": ParagraphStyle("centred", _BODY, alignment=TA_CENTER, spaceBefore=8, spaceAfter=8),
    "party": ParagraphStyle("party", _BODY, fontName="Times-Bold", fontSize=13, leading=18, alignment=TA_CENTER),
    "heading": ParagraphStyle(
        "heading", _BODY, fontName="Times-Bold", fontSize=12, alignment=TA_CENTER, spaceBefore=8, spaceAfter=8
    ),
    "article": ParagraphStyle(
        "article",
        _BODY,
        fontName="Times-Bold",
        fontSize=12,
        leading=16,
        alignment=TA_CENTER,
        spaceBefore=14,
        spaceAfter=8,
        keepWithNext=1,
    ),
    "section": _BODY,
    "item": ParagraphStyle("item", _BODY, leftIndent=1.4 * cm, firstLineIndent=-0.7 * cm),
    "subitem": ParagraphStyle("subitem", _BODY, leftIndent=2.4 * cm, firstLineIndent=-0.7 * cm),
    "listed": ParagraphStyle("listed", _BODY, leftIndent=0.7 * cm, firstLineIndent=-0.7 * cm),
    "cell": ParagraphStyle("cell", _BODY, fontSize=9.5, leading=12, alignment=0, spaceAfter=0),
}


class _Entry(Paragraph):  # type: ignore[misc]  # reportlab has no types
    """A paragraph that the table of contents lists, also when it is split between pages."""

    contents_entry: tuple[int, str] | None = None

    def split(self, available_width: float, available_height: float) -> list[Flowable]:
        """Answers the parts, of which the first keeps the entry."""
        parts: list[Flowable] = super().split(available_width, available_height)
        if parts and parts[0] is not self:
            parts[0].contents_entry = self.contents_entry
        return parts


class _Agreement(BaseDocTemplate):  # type: ignore[misc]  # reportlab has no types
    """A document with a cover, running header and footer, and a table of contents."""

    pages = 0

    def __init__(self, target: io.BytesIO, pages: int) -> None:
        super().__init__(
            target,
            pagesize=A4,
            leftMargin=2.5 * cm,
            rightMargin=2.5 * cm,
            topMargin=2.6 * cm,
            bottomMargin=2.4 * cm,
            invariant=1,
            title=HEADER,
            author="Harbour & Vale Medical Limited",
            creator="",
            producer="",
        )
        self.pages = pages
        frame = Frame(self.leftMargin, self.bottomMargin, self.width, self.height, id="body")
        cover = Frame(self.leftMargin, self.bottomMargin, self.width, self.height - 5 * cm, id="cover")
        self.addPageTemplates(
            [PageTemplate(id="Cover", frames=[cover]), PageTemplate(id="Text", frames=[frame], onPage=self._running)]
        )

    def _running(self, canvas: Canvas, _: BaseDocTemplate) -> None:
        canvas.saveState()
        canvas.setFont("Times-Italic", 9)
        top, right = A4[1] - 1.6 * cm, A4[0] - self.rightMargin
        canvas.drawString(self.leftMargin, top, HEADER)
        canvas.drawRightString(right, top, "HV-2025-0317")
        canvas.line(self.leftMargin, top - 4, right, top - 4)
        canvas.drawCentredString(A4[0] / 2, 1.3 * cm, f"Page {canvas.getPageNumber()} of {self.pages}")
        canvas.restoreState()

    def afterFlowable(self, flowable: Flowable) -> None:  # noqa: N802  reportlab's name
        """Tells the table of contents where a heading landed."""
        entry = getattr(flowable, "contents_entry", None)
        if entry:
            self.notify("TOCEntry", (entry[0], entry[1], self.page))


def english_pdf() -> bytes:
    """Answers the English agreement as PDF; built twice, since the footer holds the number of pages."""
    pages = 0
    for _ in range(2):
        target = io.BytesIO()
        document = _Agreement(target, pages)
        document.multiBuild(list(_story()))
        pages = document.page
    return target.getvalue()


def _story() -> Iterator[Flowable]:
    rows: list[list[str]] = []
    yield NextPageTemplate("Text")
    for line in [*source_lines("supply-agreement.txt"), ""]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip("|").split("|")])
            continue
        if rows:
            yield _pdf_table(rows)
            yield Spacer(1, 10)
            rows = []
        if line:
            yield from _flowables(line)


def _flowables(line: str) -> Iterator[Flowable]:
    if line == "----":
        yield PageBreak()
    elif line == "[contents]":
        contents = TableOfContents(dotsMinLevel=0)
        contents.levelStyles = [
            ParagraphStyle("toc0", _BODY, fontSize=10, leading=12, spaceBefore=2, spaceAfter=0, alignment=0),
            ParagraphStyle("toc1", _BODY, fontSize=10, leading=11.4, leftIndent=0.8 * cm, spaceAfter=0, alignment=0),
        ]
        yield contents
    elif line == "[signatures]":
        yield _signatures()
    else:
        yield from _text(line)


def _text(line: str) -> Iterator[Flowable]:
    for prefix, style in (("= ", "title"), (": ", "centred"), ("! ", "party"), (">> ", "heading")):
        if line.startswith(prefix):
            yield Paragraph(escape(line[len(prefix) :]), _STYLES[style])
            return
    heading, bar, title = line.partition(" | ")
    if bar:
        yield _heading(heading, title)
        return
    section = re.match(r"(Section \d+\.\d+) ([^.]+)\.", line)
    markup = escape(line).replace("\n", "<br/>")
    if section and line.count("”") <= line.count("“"):  # the closing mark alone ends a quotation of another contract
        label = escape(section[0])
        markup = f"<b>{label}</b>" + markup[len(label) :]
        paragraph = _Entry(markup, _STYLES["section"])
        paragraph.contents_entry = (1, escape(f"{section[1]} {section[2]}"))
        yield paragraph
        return
    label_match = re.match(r"(\([a-z]+\)|\([A-Z]\)|\d+\.) ", line)
    style = "section" if not label_match else "listed" if label_match[1].endswith(".") else "item"
    if label_match and re.fullmatch(r"\([ivx]+\)", label_match[1]):
        style = "subitem"
    yield Paragraph(markup, _STYLES[style])


def _heading(heading: str, title: str) -> Flowable:
    paragraph = _Entry(f"{escape(heading)}<br/>{escape(title)}", _STYLES["article"])
    paragraph.contents_entry = (0, escape(f"{heading} {title}"))
    return paragraph


def _pdf_table(rows: list[list[str]]) -> Flowable:
    cells = [[Paragraph(escape(cell), _STYLES["cell"]) for cell in row] for row in rows]
    widths = {4: [2.6 * cm, 7.2 * cm, 3.1 * cm, 3.1 * cm]}[len(rows[0])]
    return Table(
        cells,
        colWidths=widths,
        repeatRows=1,
        style=TableStyle(
            [
                ("GRID", (0, 0), (-1, -1), 0.6, colors.black),
                ("BACKGROUND", (0, 0), (-1, 0), colors.whitesmoke),
                ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
                ("TOPPADDING", (0, 0), (-1, -1), 4),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 4),
            ]
        ),
    )


def _signatures() -> Flowable:
    blocks = [
        ("NORTHWIND INSTRUMENTS, INC.", "By: ______________________", "Name: Eleanor Marsh", "Title: President"),
        ("HARBOUR & VALE MEDICAL LIMITED", "By: ______________________", "Name: Thomas Okafor", "Title: Director"),
    ]
    cells = [[Paragraph("<br/>".join(escape(text) for text in block), _STYLES["cell"]) for block in blocks]]
    return KeepTogether([Spacer(1, 24), Table(cells, colWidths=[8 * cm, 8 * cm])])
