"""Makes the sample contracts of examples/contracts out of their text sources, the same bytes on every run."""

from __future__ import annotations

import argparse
import io
import re
import sys
import zipfile
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from xml.sax.saxutils import escape

from docx import Document
from docx.document import Document as DocxDocument
from docx.enum.text import WD_ALIGN_PARAGRAPH, WD_BREAK
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls, qn
from docx.shared import Pt
from docx.text.paragraph import Paragraph as DocxParagraph
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

FOLDER = Path(__file__).resolve().parent.parent / "examples" / "contracts"
WRITTEN = datetime(2025, 3, 14)  # noqa: DTZ001  Word keeps no zone here
ENGLISH_HEADER = "Master Supply and Services Agreement"
CHINESE_HEADER = "工业设备采购及技术服务合同　　XL-CG-2025-0426"

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


def main(arguments: list[str] | None = None) -> int:
    """Writes the samples, or with `--check` compares them with the files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare with the files instead of writing them")
    check = parser.parse_args(arguments).check
    makers: dict[str, Callable[[], bytes]] = {
        "supply-agreement.pdf": english_pdf,
        "procurement-contract-zh.docx": chinese_docx,
    }
    stale = []
    for name, make in makers.items():
        path, made = FOLDER / name, make()
        if check and (not path.exists() or path.read_bytes() != made):
            stale.append(name)
        elif not check:
            path.write_bytes(made)
            print(f"{path.name}: {len(made)} bytes")
    if stale:
        print(f"not up to date: {', '.join(stale)}; run python tools/make_samples.py", file=sys.stderr)
    return 1 if stale else 0


def source_lines(name: str) -> Iterator[str]:
    """Yields the paragraphs of a source; a line that begins with `~` is joined to the one before by a newline."""
    held: str | None = None
    for line in (FOLDER / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("~ "):
            held = f"{held}\n{line[2:]}"
            continue
        if held is not None:
            yield held
        held = line
    if held is not None:
        yield held


class _Entry(Paragraph):
    """A paragraph that the table of contents lists, also when it is split between pages."""

    contents_entry: tuple[int, str] | None = None

    def split(self, available_width: float, available_height: float) -> list[Flowable]:
        """Answers the parts, of which the first keeps the entry."""
        parts: list[Flowable] = super().split(available_width, available_height)
        if parts and parts[0] is not self:
            parts[0].contents_entry = self.contents_entry
        return parts


class _Agreement(BaseDocTemplate):
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
            title=ENGLISH_HEADER,
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
        canvas.drawString(self.leftMargin, top, ENGLISH_HEADER)
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


def chinese_docx() -> bytes:
    """Answers the Chinese contract as DOCX."""
    document = Document()
    normal = document.styles["Normal"]
    normal.font.name, normal.font.size = "Times New Roman", Pt(11)
    normal.element.rPr.rFonts.set(qn("w:eastAsia"), "宋体")
    _set_properties(document)
    number_id = _add_numbering(document)
    section = document.sections[0]
    section.header.paragraphs[0].text = CHINESE_HEADER
    _add_page_numbers(section.footer.paragraphs[0])
    rows: list[list[str]] = []
    for line in [*source_lines("procurement-contract-zh.txt"), ""]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip("|").split("|")])
            continue
        if rows:
            _add_table(document, rows)
            rows = []
        if line:
            _add_line(document, line, number_id)
    return _packed(document)


def _set_properties(document: DocxDocument) -> None:
    properties = document.core_properties
    properties.author = properties.last_modified_by = "苏州新澜精密制造有限公司"
    properties.title, properties.comments = "工业设备采购及技术服务合同", ""
    properties.created = properties.modified = WRITTEN
    properties.revision = 1


def _add_numbering(document: DocxDocument) -> int:
    """Adds a list whose first level prints 第一条 and whose second prints （一）; answers its id."""
    numbering = document.part.numbering_part.element
    levels = "".join(
        f'<w:lvl w:ilvl="{level}"><w:start w:val="1"/><w:numFmt w:val="chineseCountingThousand"/><w:suff w:val="{suffix}"/>'
        f'<w:lvlText w:val="{text}"/><w:lvlJc w:val="left"/><w:pPr><w:ind w:left="0" w:firstLine="0"/></w:pPr></w:lvl>'
        for level, text, suffix in ((0, "第%1条", "space"), (1, "（%2）", "nothing"))
    )
    abstract = parse_xml(
        f'<w:abstractNum {nsdecls("w")} w:abstractNumId="90"><w:multiLevelType w:val="multilevel"/>{levels}</w:abstractNum>'
    )
    numbering.insert(0, abstract)
    numbering.append(parse_xml(f'<w:num {nsdecls("w")} w:numId="90"><w:abstractNumId w:val="90"/></w:num>'))
    return 90


def _add_page_numbers(paragraph: DocxParagraph) -> None:
    paragraph.alignment = WD_ALIGN_PARAGRAPH.CENTER
    for text, field in (("第 ", "PAGE"), (" 页 共 ", "NUMPAGES"), (" 页", "")):
        paragraph.add_run(text)
        if field:
            paragraph._p.append(
                parse_xml(f'<w:fldSimple {nsdecls("w")} w:instr="{field}"><w:r><w:t>1</w:t></w:r></w:fldSimple>')
            )


def _add_line(document: DocxDocument, line: str, number_id: int) -> None:
    if line == "[contents]":
        _add_contents(document)
    elif line == "[signatures]":
        _add_signatures(document)
    elif line == "----":
        document.paragraphs[-1].add_run().add_break(WD_BREAK.PAGE)
    elif line.startswith(("= ", ": ")):
        paragraph = document.add_paragraph()
        paragraph.alignment = WD_ALIGN_PARAGRAPH.CENTER
        run = paragraph.add_run(line[2:])
        run.bold, run.font.size = line[0] == "=", Pt(20 if line[0] == "=" else 11)
    elif line.startswith(("@条 ", "@项 ")):
        _number(document.add_paragraph(line[3:]), number_id, 0 if line[1] == "条" else 1)
    else:
        paragraph = document.add_paragraph()
        paragraph.add_run(line).bold = bool(re.match(r"第[一二三四五六七八九十]+[章节]|附件[一二三]　", line))
        if re.match(r"第[一二三四五六七八九十]+[章节]", line):
            paragraph.alignment = WD_ALIGN_PARAGRAPH.CENTER


def _number(paragraph: DocxParagraph, number_id: int, level: int) -> None:
    properties = paragraph._p.get_or_add_pPr()
    properties.append(
        parse_xml(f'<w:numPr {nsdecls("w")}><w:ilvl w:val="{level}"/><w:numId w:val="{number_id}"/></w:numPr>')
    )


def _add_contents(document: DocxDocument) -> None:
    document.add_paragraph("目　录").alignment = WD_ALIGN_PARAGRAPH.CENTER
    for line in source_lines("procurement-contract-zh.txt"):
        if re.match(r"第[一二三四五六七八九十]+[章节]　|附件[一二三]　", line):
            document.add_paragraph(line)
    document.paragraphs[-1].add_run().add_break(WD_BREAK.PAGE)


def _add_signatures(document: DocxDocument) -> None:
    for text in (
        "甲方（盖章）：　　　　　　　　　　乙方（盖章）：",
        "代表签字：　　　　　　　　　　　　代表签字：",
        "日期：　　　年　　月　　日　　　　日期：　　　年　　月　　日",
    ):
        document.add_paragraph(text)


def _add_table(document: DocxDocument, rows: list[list[str]]) -> None:
    table = document.add_table(len(rows), len(rows[0]))
    table.style = "Table Grid"
    for row, texts in zip(table.rows, rows, strict=True):
        for cell, text in zip(row.cells, texts, strict=True):
            cell.text = text
    document.add_paragraph()


def _packed(document: DocxDocument) -> bytes:
    """Answers the file with the times of its parts fixed."""
    saved, fixed = io.BytesIO(), io.BytesIO()
    document.save(saved)
    with zipfile.ZipFile(saved) as source, zipfile.ZipFile(fixed, "w", zipfile.ZIP_DEFLATED) as target:
        for name in sorted(source.namelist(), key=lambda name: (name != "[Content_Types].xml", name)):
            entry = zipfile.ZipInfo(name, date_time=WRITTEN.timetuple()[:6])
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            target.writestr(entry, source.read(name))
    return fixed.getvalue()


if __name__ == "__main__":
    raise SystemExit(main())
