"""DOCX that naive readers lose text of: automatic numbers, text boxes, revisions, controls, Strict."""

from __future__ import annotations

import io
from collections.abc import Iterator
from xml.sax.saxutils import escape

import docx
from docx.document import Document
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls

from benchmarks.documents.cases import Truth
from benchmarks.documents.corpus import word
from benchmarks.documents.corpus.prose import Prose
from benchmarks.documents.corpus.story import Made
from benchmarks.documents.corpus.word import changed

BOX = (
    '<w:r {names}><mc:AlternateContent xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006">'
    '<mc:Choice Requires="wps"><w:drawing><wp:inline xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/'
    'wordprocessingDrawing"><a:graphic xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"><a:graphicData '
    'uri="http://schemas.microsoft.com/office/word/2010/wordprocessingShape"><wps:wsp xmlns:wps='
    '"http://schemas.microsoft.com/office/word/2010/wordprocessingShape"><wps:txbx><w:txbxContent>{body}</w:txbxContent>'
    "</wps:txbx></wps:wsp></a:graphicData></a:graphic></wp:inline></w:drawing></mc:Choice><mc:Fallback><w:pict>"
    '<v:shape xmlns:v="urn:schemas-microsoft-com:vml"><v:textbox><w:txbxContent>{body}</w:txbxContent></v:textbox>'
    "</v:shape>"
    "</w:pict></mc:Fallback></mc:AlternateContent></w:r>"
)
LEVELS = (("decimal", "%1."), ("decimal", "%1.%2"), ("lowerLetter", "(%3)"))
CHINESE_LEVELS = (
    ("chineseCountingThousand", "第%1章"),
    ("chineseCountingThousand", "第%2条"),
    ("chineseCounting", "（%3）"),
)


def make(seed: int) -> Iterator[Made]:
    """Yields the files."""
    for name, build in (
        ("automatic-numbers", numbered),
        ("automatic-numbers-zh", numbered_chinese),
        ("text-boxes", boxes),
        ("revisions", revisions),
        ("controls-and-fields", controls),
        ("nested-table", nested),
        ("line-breaks", breaks),
    ):
        prose = Prose(f"{seed} {name}", "zh" if name.endswith("zh") else "en")
        document = docx.Document()
        text = build(document, prose)
        buffer = io.BytesIO()
        document.save(buffer)
        yield Made(name=f"{name}.docx", data=buffer.getvalue(), truth=Truth(text=text))
    story = Prose(f"{seed} strict").story("strict", 4)
    yield Made(name="strict.docx", data=strict(word.written(story)), truth=story.truth(counting_on=True))
    story = Prose(f"{seed} macro").story("macro-enabled", 3)
    data = changed(word.written(story), {"[Content_Types].xml": _macro})
    yield Made(name="macro-enabled.docm", data=data, truth=story.truth(counting_on=True))


def _macro(xml: str) -> str:
    plain = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
    return xml.replace(plain, "application/vnd.ms-word.document.macroEnabled.main+xml")


def strict(content: bytes) -> bytes:
    """Answers a document in the namespaces of ISO 29500 Strict."""
    names = {
        "http://schemas.openxmlformats.org/wordprocessingml/2006/main": "http://purl.oclc.org/ooxml/wordprocessingml/main",
        "http://schemas.openxmlformats.org/officeDocument/2006/relationships/": "http://purl.oclc.org/ooxml/officeDocument/relationships/",
        "http://schemas.openxmlformats.org/officeDocument/2006/relationships": "http://purl.oclc.org/ooxml/officeDocument/relationships",
        "http://schemas.openxmlformats.org/drawingml/2006/main": "http://purl.oclc.org/ooxml/drawingml/main",
    }

    def translated(xml: str) -> str:
        for transitional, iso in names.items():
            xml = xml.replace(transitional, iso)
        return xml

    parts = ("document", "styles", "numbering", "settings", "fontTable", "footnotes", "webSettings")
    change = {f"word/{part}.xml": translated for part in parts}
    change |= {"_rels/.rels": translated, "word/_rels/document.xml.rels": translated}
    return changed(content, change)


def _levels(document: Document, levels: tuple[tuple[str, str], ...]) -> None:
    """Defines list 77 of several levels."""
    body = "".join(
        f'<w:lvl w:ilvl="{place}"><w:start w:val="1"/><w:numFmt w:val="{kind}"/><w:lvlText w:val="{text}"/></w:lvl>'
        for place, (kind, text) in enumerate(levels)
    )
    root = document.part.numbering_part.element
    number = f'<w:num {nsdecls("w")} w:numId="77"><w:abstractNumId w:val="77"/></w:num>'
    root.insert(0, parse_xml(f'<w:abstractNum {nsdecls("w")} w:abstractNumId="77">{body}</w:abstractNum>'))
    root.append(parse_xml(number))


def _item(document: Document, text: str, level: int) -> None:
    paragraph = document.add_paragraph(text)
    paragraph._p.get_or_add_pPr().append(
        parse_xml(f'<w:numPr {nsdecls("w")}><w:ilvl w:val="{level}"/><w:numId w:val="77"/></w:numPr>')
    )


def numbered(document: Document, prose: Prose) -> str:
    """Headings, sections and items whose numbers Word computes."""
    _levels(document, LEVELS)
    said = []
    for first in range(1, 6):
        _item(document, topic := prose.topic(), 0)
        said.append(f"{first}. {topic}")
        for second in range(1, 5):
            _item(document, text := prose.text(), 1)
            said.append(f"{first}.{second} {text}")
            for third in "abc":
                _item(document, short := prose.short(), 2)
                said.append(f"({third}) {short}")
    return "\n".join(said)


def numbered_chinese(document: Document, prose: Prose) -> str:
    """Chapters and articles in Chinese whose numbers Word computes."""
    _levels(document, CHINESE_LEVELS)
    signs, said = "一二三四五六七八九十", []
    for first in range(4):
        _item(document, topic := prose.topic(), 0)
        said.append(f"第{signs[first]}章 {topic}")
        for second in range(5):
            _item(document, text := prose.text(), 1)
            said.append(f"第{signs[second]}条 {text}")
            for third in range(3):
                _item(document, short := prose.short(), 2)
                said.append(f"（{signs[third]}）{short}")
    return "\n".join(said)


def boxes(document: Document, prose: Prose) -> str:
    """Text boxes with the fallback that repeats them."""
    said = []
    for _ in range(4):
        paragraph = document.add_paragraph(text := prose.text())
        inner = prose.text(2, 2)
        body = f"<w:p><w:r><w:t>{escape(inner)}</w:t></w:r></w:p>"
        paragraph._p.append(parse_xml(BOX.format(names=nsdecls("w"), body=body)))
        said.extend([text, inner])
    return "\n".join(said)


def revisions(document: Document, prose: Prose) -> str:
    """Inserted text that is read, and deleted text that is not."""
    said = []
    for _ in range(6):
        kept, new, old = prose.sentence(), prose.sentence(), prose.sentence()
        paragraph = document.add_paragraph(f"{kept} ")
        mark = 'w:author="A" w:date="2024-01-01T00:00:00Z"'
        for xml in (
            f'<w:del {nsdecls("w")} w:id="1" {mark}><w:r><w:delText>{escape(old)}</w:delText></w:r></w:del>',
            f'<w:ins {nsdecls("w")} w:id="2" {mark}><w:r><w:t>{escape(new)}</w:t></w:r></w:ins>',
        ):
            paragraph._p.append(parse_xml(xml))
        said.append(f"{kept} {new}")
    return "\n".join(said)


def controls(document: Document, prose: Prose) -> str:
    """Content controls, hyperlinks, and fields with their results."""
    said = []
    for number in range(5):
        before, inside, link = prose.sentence(), prose.sentence(), prose.topic()
        paragraph = document.add_paragraph(f"{before} ")
        for xml in (
            (
                f'<w:sdt {nsdecls("w")}><w:sdtContent><w:r><w:t xml:space="preserve">{escape(inside)} </w:t></w:r>'
                "</w:sdtContent></w:sdt>"
            ),
            f'<w:hyperlink {nsdecls("w")} w:anchor="a"><w:r><w:t>{escape(link)}</w:t></w:r></w:hyperlink>',
            f'<w:r {nsdecls("w")}><w:fldChar w:fldCharType="begin"/></w:r>',
            f"<w:r {nsdecls('w')}><w:instrText> REF _Ref{number} \\h </w:instrText></w:r>",
            f'<w:r {nsdecls("w")}><w:fldChar w:fldCharType="separate"/></w:r>',
            f'<w:r {nsdecls("w")}><w:t xml:space="preserve"> see {number + 3}</w:t></w:r>',
            f'<w:r {nsdecls("w")}><w:fldChar w:fldCharType="end"/></w:r>',
        ):
            paragraph._p.append(parse_xml(xml))
        whole = prose.text(2, 2)
        block = f"<w:sdtContent><w:p><w:r><w:t>{escape(whole)}</w:t></w:r></w:p></w:sdtContent>"
        paragraph._p.addnext(parse_xml(f"<w:sdt {nsdecls('w')}>{block}</w:sdt>"))
        said.extend([f"{before} {inside} {link} see {number + 3}", whole])
    return "\n".join(said)


def nested(document: Document, prose: Prose) -> str:
    """A table in a cell of a table."""
    outer = document.add_table(2, 2)
    texts = [prose.short() for _ in range(4)]
    for place, text in enumerate(texts):
        outer.cell(place // 2, place % 2).text = text
    inner = outer.cell(1, 1).add_table(2, 2)
    small = [f"{prose.topic()} {number}" for number in range(4)]
    for place, text in enumerate(small):
        inner.cell(place // 2, place % 2).text = text
    return "\n".join([*texts, *small])


def breaks(document: Document, prose: Prose) -> str:
    """Line breaks, tabs, soft hyphens and hyphens that do not break."""
    said = []
    for _ in range(5):
        first, second = prose.sentence(), prose.short()
        run = document.add_paragraph().add_run(first)
        run.add_break()
        run.add_text(second)
        run.add_tab()
        run.add_text("twenty")
        run._r.append(parse_xml(f"<w:noBreakHyphen {nsdecls('w')}/>"))
        run.add_text("five")
        said.append(f"{first}\n{second}\ttwenty-five")
    return "\n".join(said)
