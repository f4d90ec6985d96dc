"""Sets the Chinese sample contract as DOCX, with articles that Word numbers."""

from __future__ import annotations

import io
import re
import zipfile
from datetime import datetime

from docx import Document
from docx.document import Document as DocxDocument
from docx.enum.text import WD_ALIGN_PARAGRAPH, WD_BREAK
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls, qn
from docx.shared import Pt
from docx.text.paragraph import Paragraph as DocxParagraph
from sample_sources import source_lines

WRITTEN = datetime(2025, 3, 14)  # noqa: DTZ001  Word keeps no zone here
HEADER = "工业设备采购及技术服务合同　　XL-CG-2025-0426"


def chinese_docx() -> bytes:
    """Answers the Chinese contract as DOCX."""
    document = Document()
    normal = document.styles["Normal"]
    normal.font.name, normal.font.size = "Times New Roman", Pt(11)
    normal.element.rPr.rFonts.set(qn("w:eastAsia"), "宋体")
    _set_properties(document)
    number_id = _add_numbering(document)
    section = document.sections[0]
    section.header.paragraphs[0].text = HEADER
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
        f'<w:lvl w:ilvl="{level}"><w:start w:val="1"/><w:numFmt w:val="chineseCountingThousand"/>'
        f'<w:suff w:val="{suffix}"/>'
        f'<w:lvlText w:val="{text}"/><w:lvlJc w:val="left"/><w:pPr><w:ind w:left="0" w:firstLine="0"/></w:pPr></w:lvl>'
        for level, text, suffix in ((0, "第%1条", "space"), (1, "（%2）", "nothing"))
    )
    abstract = parse_xml(
        f'<w:abstractNum {nsdecls("w")} w:abstractNumId="90"><w:multiLevelType w:val="multilevel"/>'
        f"{levels}</w:abstractNum>"
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
