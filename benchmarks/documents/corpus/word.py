"""DOCX by python-docx, with what it cannot write added as XML."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from typing import Any
from xml.sax.saxutils import escape

import docx
from docx.document import Document
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls

from benchmarks.documents.corpus.prose import Prose
from benchmarks.documents.corpus.story import Block, Figure, Heading, Items, Made, Story, Table, Text


def make(seed: int) -> Iterator[Made]:
    """Yields the files."""
    for language in ("en", "zh", "mixed"):
        for name, sections, rich in (("report", 6, True), ("plain", 3, False), ("long", 60, True)):
            story = Prose(f"{seed} {name} {language}", language).story(
                f"{name}-{language}", min(sections, 9), header="Harbour Works Ltd.", footer="Draft", rich=rich
            )
            if sections > 9:
                story = _longer(story, seed, language)
            yield Made(name=f"{story.name}.docx", data=written(story), truth=story.truth(counting_on=True))
        yield from _tables(seed, language)


def _longer(story: Story, seed: int, language: str) -> Story:
    more = [Prose(f"{seed} {language} {part}", language).story("", 9).blocks for part in range(7)]
    return Story(
        name=story.name,
        blocks=[*story.blocks, *(block for blocks in more for block in blocks)],
        language=story.language,
        header=story.header,
        footer=story.footer,
    )


def _tables(seed: int, language: str) -> Iterator[Made]:
    prose = Prose(f"{seed} word tables {language}", language)
    for name, table in (
        ("grid", prose.table(9)),
        ("wrapped", prose.table(6, wrapped=True)),
        ("spans", prose.spanning()),
        ("gaps", prose.table(8, gaps=True)),
        ("plain", prose.table(8, ruled=False)),
    ):
        blocks: list[Block] = [Heading(1, prose.topic()), Text(prose.text()), table, Text(prose.text())]
        story = Story(name=f"table-{name}-{language}", blocks=blocks)
        yield Made(name=f"{story.name}.docx", data=written(story), truth=story.truth(counting_on=True))


def written(story: Story, *, columns: int = 1) -> bytes:
    """Answers a story as DOCX."""
    document = docx.Document()
    if columns > 1:
        document.sections[0]._sectPr.append(parse_xml(f'<w:cols {nsdecls("w")} w:num="{columns}" w:space="425"/>'))
    notes: list[str] = []
    if story.header:
        document.sections[0].header.paragraphs[0].text = story.header
        document.sections[0].footer.paragraphs[0].text = story.footer
    for block in story.blocks:
        _add(document, block, notes)
    buffer = io.BytesIO()
    document.save(buffer)
    return with_notes(buffer.getvalue(), notes) if notes else buffer.getvalue()


def _add(document: Document, block: Block, notes: list[str]) -> None:
    if isinstance(block, Heading):
        document.add_heading(block.text, block.level)
    elif isinstance(block, Text):
        paragraph = document.add_paragraph(block.text)
        if block.note:
            notes.append(block.note)
            run = paragraph.add_run()
            run._r.append(parse_xml(f'<w:footnoteReference {nsdecls("w")} w:id="{len(notes) + 1}"/>'))
    elif isinstance(block, Items):
        for text in block.texts:
            document.add_paragraph(text, style="List Number" if block.ordered else "List Bullet")
    elif isinstance(block, Figure):
        document.add_paragraph(block.caption, style="Caption")
    else:
        _table(document, block)


def _table(document: Document, table: Table) -> None:
    printed = document.add_table(len(table.rows), len(table.rows[0]))
    if table.ruled:
        printed.style = "Table Grid"
    for row, texts in zip(printed.rows, table.rows, strict=True):
        for cell, text in zip(row.cells, texts, strict=True):
            if text:
                cell.text = text
    for row, column, height, width in table.spans():
        printed.cell(row, column).merge(printed.cell(row + height - 1, column + width - 1))


FOOTNOTES = "application/vnd.openxmlformats-officedocument.wordprocessingml.footnotes+xml"
RELATION = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/footnotes"


def with_notes(content: bytes, notes: list[str]) -> bytes:
    """Adds the part of footnotes, as Word has it with its two separators."""
    body = "".join(
        f'<w:footnote w:id="{number}"><w:p><w:r><w:footnoteRef/></w:r><w:r><w:t xml:space="preserve"> {escape(note)}'
        "</w:t></w:r></w:p></w:footnote>"
        for number, note in enumerate(notes, start=2)
    )
    part = (
        f'<?xml version="1.0" encoding="UTF-8"?><w:footnotes {nsdecls("w")}>'
        '<w:footnote w:type="separator" w:id="0"><w:p><w:r><w:separator/></w:r></w:p></w:footnote>'
        '<w:footnote w:type="continuationSeparator" w:id="1"><w:p><w:r><w:continuationSeparator/></w:r></w:p>'
        f"</w:footnote>{body}</w:footnotes>"
    )
    return changed(
        content,
        {
            "[Content_Types].xml": lambda xml: xml.replace(
                "</Types>", f'<Override PartName="/word/footnotes.xml" ContentType="{FOOTNOTES}"/></Types>'
            ),
            "word/_rels/document.xml.rels": lambda xml: xml.replace(
                "</Relationships>",
                f'<Relationship Id="rIdNotes" Type="{RELATION}" Target="footnotes.xml"/></Relationships>',
            ),
        },
        {"word/footnotes.xml": part},
    )


def changed(content: bytes, change: dict[str, Callable[[str], str]], more: dict[str, str] | None = None) -> bytes:
    """Answers a container with some parts changed and others added."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            data: Any = old.read(entry)
            if entry.filename in change:
                data = change[entry.filename](data.decode())
            new.writestr(entry, data)
        for name, text in (more or {}).items():
            new.writestr(name, text)
    return buffer.getvalue()
