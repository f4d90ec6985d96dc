"""Documents that tests parse, made on the spot; nothing is stored."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Sequence

import docx
from docx.document import Document as Word
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls
from reportlab.lib.pagesizes import A4
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas

SENTENCE = "The supplier delivers the goods to the place that the order names, at its own cost and risk. "
WORD_NAMESPACE = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def pdf(*pages: Callable[[Canvas], None], password: str = "", owner: str = "owner") -> bytes:
    """A PDF of one drawing function a page; y counts from the bottom as PDF has it."""
    buffer = io.BytesIO()
    lock = StandardEncryption(password, ownerPassword=owner) if password else None
    canvas = Canvas(buffer, pagesize=A4, encrypt=lock, invariant=1)
    for draw in pages:
        draw(canvas)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def lines(
    *texts: str, x: float = 72, y: float = 760, leading: float = 14, font: str = "Helvetica", size: float = 10
) -> Callable[[Canvas], None]:
    """Draws lines from the top."""

    def draw(canvas: Canvas) -> None:
        canvas.setFont(font, size)
        for number, text in enumerate(texts):
            canvas.drawString(x, y - number * leading, text)

    return draw


def chinese_lines(*texts: str, x: float = 72, y: float = 760, leading: float = 18) -> Callable[[Canvas], None]:
    """Draws Chinese lines from the top."""

    def draw(canvas: Canvas) -> None:
        pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))
        canvas.setFont("STSong-Light", 11)
        for number, text in enumerate(texts):
            canvas.drawString(x, y - number * leading, text)

    return draw


def together(*draws: Callable[[Canvas], None]) -> Callable[[Canvas], None]:
    """Draws several things on one page."""

    def draw(canvas: Canvas) -> None:
        for one in draws:
            one(canvas)

    return draw


def picture(canvas: Canvas) -> None:
    """Draws a page that is a picture, as scans are."""
    from PIL import Image
    from reportlab.lib.utils import ImageReader

    canvas.drawImage(ImageReader(Image.new("RGB", (200, 280), (200, 200, 190))), 0, 0, *A4)


def grid(rows: Sequence[Sequence[str]], *, x: float = 72, y: float = 600, width: float = 110, height: float = 20):
    """Draws a ruled table from the top left."""

    def draw(canvas: Canvas) -> None:
        canvas.setFont("Helvetica", 10)
        columns = len(rows[0])
        for row in range(len(rows) + 1):
            canvas.line(x, y - row * height, x + columns * width, y - row * height)
        for column in range(columns + 1):
            canvas.line(x + column * width, y, x + column * width, y - len(rows) * height)
        for row, texts in enumerate(rows):
            for column, text in enumerate(texts):
                canvas.drawString(x + column * width + 4, y - row * height - 14, text)

    return draw


def word(build: Callable[[Word], None], numbering: str = "") -> bytes:
    """A DOCX; `numbering` replaces the children of numbering.xml's root."""
    document = docx.Document()
    if numbering:
        root = document.part.numbering_part.element
        for child in list(root):
            root.remove(child)
        for child in parse_xml(f"<w:numbering {nsdecls('w')}>{numbering}</w:numbering>"):
            root.append(child)
    build(document)
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def numbered(document: Word, text: str, list_id: int, level: int = 0) -> None:
    """Adds a paragraph of a list."""
    paragraph = document.add_paragraph(text)
    properties = paragraph._p.get_or_add_pPr()
    properties.append(
        parse_xml(f'<w:numPr {nsdecls("w")}><w:ilvl w:val="{level}"/><w:numId w:val="{list_id}"/></w:numPr>')
    )


def level(place: int, number_format: str, text: str, *, start: int = 1, extra: str = "") -> str:
    """One w:lvl."""
    return (
        f'<w:lvl w:ilvl="{place}"><w:start w:val="{start}"/><w:numFmt w:val="{number_format}"/>{extra}'
        f'<w:lvlText w:val="{text}"/></w:lvl>'
    )


def container(**parts: bytes) -> bytes:
    """A zip; `__` in a name stands for a slash and a trailing `_xml` for `.xml`."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in parts.items():
            file.writestr(name.replace("__", "/").replace("_xml", ".xml"), data)
    return buffer.getvalue()


def document_xml(body: str, head: str = "") -> bytes:
    """The main part of a DOCX."""
    return f'{head}<w:document xmlns:w="{WORD_NAMESPACE}"><w:body>{body}</w:body></w:document>'.encode()


def bare_word(body: str, head: str = "") -> bytes:
    """A DOCX of its main part alone."""
    return container(word__document_xml=document_xml(body, head))
