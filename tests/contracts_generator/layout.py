"""Prints a generated contract as elements, as hard-wrapped plain text, as PDF and as DOCX."""

from __future__ import annotations

import io
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Literal
from xml.sax.saxutils import escape

from difyrpc_services.documents.elements import Clause, Element

Role = Literal["heading", "body", "contents", "table"]


@dataclass(frozen=True, kw_only=True)
class Paragraph:
    """One paragraph of a contract."""

    text: str
    """A table has tabs between columns and newlines between rows."""
    role: Role = "body"
    depth: int = 0
    """How far its list is nested; for the indent."""
    number: str = ""
    """The part of the text that Word numbers by itself, in `elements(automatic=True)`."""


@dataclass(frozen=True)
class ExpectedClause:
    """What the reader of the contract sees: one clause."""

    kind: str
    number: str
    """Normal form."""
    parent: str
    """Kind and normal number of the clause around it, `section 2.1`; empty at the top."""
    title: str


@dataclass(frozen=True, kw_only=True)
class GeneratedContract:
    """One contract and the clauses that it holds."""

    seed: int
    language: str
    paragraphs: Sequence[Paragraph]
    expected: Sequence[ExpectedClause]
    header: str
    """The running header; empty without."""

    def elements(self, *, automatic: bool = False) -> list[Element]:
        """Answers an element a paragraph, as a format without lines has them."""
        return [_element(index, paragraph, automatic=automatic) for index, paragraph in enumerate(self.paragraphs)]

    def lines(self, *, blank: bool | None = None, indented: bool | None = None) -> list[str]:
        """Answers hard-wrapped lines with a running header and page numbers now and then."""
        random = Random(self.seed)
        width = random.choice((66, 72, 78)) if self.language == "en" else random.choice((60, 72, 76))
        blank = random.random() < 0.5 if blank is None else blank
        indented = random.random() < 0.5 if indented is None else indented
        lines: list[str] = [self.header, ""] if self.header else []
        printed = page = 0
        for paragraph in self.paragraphs:
            wrapped = self._wrapped(paragraph, width, indented=indented)
            for line in wrapped:
                lines.append(line)
                printed += 1
                if self.header and printed % 46 == 0:
                    page += 1
                    lines.extend([f"{page:>{width // 2}}", "", self.header])
            if blank:
                lines.append("")
        return lines

    def text(self) -> str:
        """Answers the contract as one plain text."""
        return "\n".join(self.lines())

    def _wrapped(self, paragraph: Paragraph, width: int, *, indented: bool) -> list[str]:
        if paragraph.role == "table":
            return paragraph.text.expandtabs(16).split("\n")
        if self.language == "zh":
            lead = "　　" if indented and paragraph.role == "body" else ""
            return wrap_chinese(lead + paragraph.text, width)
        lead = "    " * paragraph.depth if indented else ""
        return [lead + line for line in wrap_english(paragraph.text, width - len(lead))]

    def pdf(self) -> bytes:
        """Answers the contract as PDF with running header and footer; English only, since the standard fonts are."""
        from reportlab.lib.pagesizes import letter
        from reportlab.lib.styles import ParagraphStyle
        from reportlab.platypus import Paragraph as Printed
        from reportlab.platypus import SimpleDocTemplate, Spacer

        body = ParagraphStyle("body", fontName="Times-Roman", fontSize=10.5, leading=13, spaceAfter=5)
        heading = ParagraphStyle("heading", body, fontName="Times-Bold", spaceBefore=6)
        story = []
        for paragraph in self.paragraphs:
            style = (
                heading
                if paragraph.role == "heading"
                else ParagraphStyle("item", body, leftIndent=18 * paragraph.depth)
            )
            if paragraph.role == "table":
                story.append(_printed_table(paragraph.text))
                continue
            story.append(Printed(escape(paragraph.text).replace("\n", "<br/>"), style))
        target = io.BytesIO()
        document = SimpleDocTemplate(target, pagesize=letter, invariant=1, leftMargin=80, rightMargin=80)

        def running(canvas: object, _: object) -> None:
            canvas.setFont("Times-Italic", 9)  # type: ignore[attr-defined]
            canvas.drawString(80, 745, self.header or "Draft")  # type: ignore[attr-defined]
            canvas.drawCentredString(306, 40, str(canvas.getPageNumber()))  # type: ignore[attr-defined]

        document.build([*story, Spacer(1, 1)], onFirstPage=running, onLaterPages=running)
        return target.getvalue()

    def docx(self) -> bytes:
        """Answers the contract as DOCX, all numbers typed."""
        from docx import Document

        document = Document()
        document.sections[0].header.paragraphs[0].text = self.header or "Draft"
        for paragraph in self.paragraphs:
            if paragraph.role != "table":
                document.add_paragraph(paragraph.text)
                continue
            rows = [row.split("\t") for row in paragraph.text.split("\n")]
            table = document.add_table(len(rows), len(rows[0]))
            for printed, row in zip(table.rows, rows, strict=True):
                for cell, text in zip(printed.cells, row, strict=True):
                    cell.text = text
        target = io.BytesIO()
        document.save(target)
        return target.getvalue()


def found(clauses: Sequence[Clause], kinds: frozenset[str] | None = None) -> list[ExpectedClause]:
    """Answers clauses in the form that expectations have."""
    by_id = {clause.id: clause for clause in clauses}
    seen = []
    for clause in clauses:
        parent = by_id.get(clause.parent_id)
        inside = f"{parent.kind} {parent.normal_number}" if parent else ""
        if kinds is None or clause.kind in kinds:
            seen.append(ExpectedClause(clause.kind, clause.normal_number, inside, clause.title))
    return seen


def with_ids(elements: Sequence[Element]) -> list[Element]:
    """Answers the elements numbered, as the service hands them on."""
    return [replace(element, id=f"e{index}") for index, element in enumerate(elements)]


def _element(index: int, paragraph: Paragraph, *, automatic: bool) -> Element:
    if paragraph.role == "table":
        return Element(id=f"e{index}", kind="table", text=paragraph.text)
    text, number = paragraph.text, ""
    if automatic and paragraph.number and text.startswith(paragraph.number):
        number, text = paragraph.number, text[len(paragraph.number) :].lstrip()
    return Element(id=f"e{index}", kind="paragraph", text=text, number=number)


def _printed_table(text: str) -> object:
    from reportlab.lib import colors
    from reportlab.platypus import Table, TableStyle

    return Table(
        [row.split("\t") for row in text.split("\n")], style=TableStyle([("GRID", (0, 0), (-1, -1), 0.5, colors.black)])
    )


def columns(text: str) -> int:
    """Answers how many columns of a terminal the text takes."""
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text)


def wrap_english(text: str, width: int) -> list[str]:
    """Answers lines filled greedily, as a word processor does."""
    lines: list[str] = []
    for part in text.split("\n"):
        line = ""
        for word in re.split(r" +", part):
            if line and len(line) + 1 + len(word) > width:
                lines.append(line)
                line = word
            else:
                line = f"{line} {word}" if line else word
        lines.append(line)
    return lines


def wrap_chinese(text: str, width: int) -> list[str]:
    """Answers lines filled sign by sign; closing punctuation never begins a line."""
    lines: list[str] = []
    line, used = "", 0
    for sign in text:
        size = columns(sign)
        if used + size > width and sign not in "，。；：、）》”！？":
            lines.append(line)
            line, used = "", 0
        line, used = line + sign, used + size
    return [*lines, line]
