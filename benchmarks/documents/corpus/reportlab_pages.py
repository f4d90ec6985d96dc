"""PDFs by ReportLab: columns, tables, Chinese with embedded and other fonts, and text drawn in awkward ways."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from xml.sax.saxutils import escape

from reportlab.lib import colors
from reportlab.lib.enums import TA_CENTER, TA_JUSTIFY, TA_LEFT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import (
    BaseDocTemplate,
    Flowable,
    Frame,
    FrameBreak,
    NextPageTemplate,
    PageTemplate,
    Paragraph,
    Spacer,
)
from reportlab.platypus import Table as Grid

from benchmarks.documents.corpus.fonts import CHINESE, LATIN, font
from benchmarks.documents.corpus.prose import Prose
from benchmarks.documents.corpus.story import Block, Figure, Heading, Items, Made, Story, Table, Text

MARGIN, GAP = 60.0, 18.0  # points


@dataclass(frozen=True, kw_only=True)
class Look:
    """How a story is printed."""

    columns: int = 1
    face: str = "Times-Roman"
    bold: str = "Times-Bold"
    size: float = 10.5
    justified: bool = True
    hyphens: bool = False
    spread: bool = True
    """The title and the first paragraph run over all columns."""
    turned: int = 0
    """Degrees that pages are turned."""
    bullet: str = "•"

    @property
    def is_cjk(self) -> bool:
        """Whether lines may break between any two signs."""
        return self.face not in ("Times-Roman", "Helvetica", "Latin")


def make(seed: int) -> Iterator[Made]:
    """Yields the files."""
    registered()
    for name, language, look in looks():
        story = Prose(f"{seed} {name}", language).story(
            name,
            5 if look.columns == 1 else 7,
            header=_header(language),
            footer=_footer(language),
            narrow=look.columns > 1,
        )
        yield printed(story, look)
    yield from _tables(seed)


def registered() -> None:
    """Makes fonts known: STSong-Light is named in the file and not embedded, Song and Latin are."""
    pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))
    for name, files in (("Song", CHINESE), ("Latin", LATIN)):
        path = font(files)
        pdfmetrics.registerFont(TTFont(name, str(path)) if path else pdfmetrics.getFont("Helvetica"))


def looks() -> Iterator[tuple[str, str, Look]]:
    """Yields names, languages and looks of reports."""
    cid = Look(face="STSong-Light", bold="STSong-Light")
    song = Look(face="Song", bold="Song")
    embedded = Look(face="Latin", bold="Latin")
    yield "one-column", "en", Look()
    yield "one-column-ragged", "en", Look(face="Helvetica", bold="Helvetica-Bold", justified=False)
    yield "one-column-embedded", "en", embedded
    yield "two-columns", "en", Look(columns=2, size=9)
    yield "two-columns-hyphens", "en", Look(columns=2, size=9.5, hyphens=True)
    yield "two-columns-plain", "en", Look(columns=2, size=10, spread=False, justified=False)
    yield "three-columns", "en", Look(columns=3, size=8, face="Helvetica", bold="Helvetica-Bold")
    yield "three-columns-embedded", "en", replace(embedded, columns=3, size=7.5)
    yield "small-print", "en", Look(size=5.5)
    yield "turned-90", "en", Look(turned=90)
    yield "turned-180", "en", Look(turned=180, face="Helvetica", bold="Helvetica-Bold")
    yield "turned-270-two-columns", "en", Look(turned=270, columns=2, size=9)
    yield "chinese-cid", "zh", cid
    yield "chinese-cid-two-columns", "zh", replace(cid, columns=2, size=9)
    yield "chinese-embedded", "zh", song
    yield "chinese-embedded-two-columns", "zh", replace(song, columns=2, size=9.5)
    yield "mixed-cid", "mixed", cid
    yield "mixed-embedded", "mixed", song


def _header(language: str) -> str:
    return "Harbour Works Ltd. — Internal" if language == "en" else "内部资料　注意保密"


def _footer(language: str) -> str:
    return "Confidential draft, not for release" if language == "en" else "华东水务集团有限公司"


def _tables(seed: int) -> Iterator[Made]:
    for language, look in (("en", Look()), ("zh", Look(face="Song", bold="Song"))):
        prose = Prose(f"{seed} tables {language}", language)
        kinds: dict[str, Callable[[], Table]] = {
            "bordered": partial(prose.table, 8),
            "bordered-wrapped": partial(prose.table, 6, wrapped=True),
            "bordered-spans": prose.spanning,
            "bordered-gaps": partial(prose.table, 7, gaps=True),
            "bordered-two-pages": partial(prose.table, 60),
            "borderless": partial(prose.table, 8, ruled=False),
            "borderless-wrapped": partial(prose.table, 6, ruled=False, wrapped=True),
            "borderless-gaps": partial(prose.table, 7, ruled=False, gaps=True),
        }
        for kind, table in kinds.items():
            blocks: list[Block] = [Heading(1, prose.topic())]
            for _ in range(3):
                blocks.extend([Text(prose.text()), table()])
            yield printed(Story(name=f"table-{kind}-{language}", blocks=blocks, language=language), look)


def printed(story: Story, look: Look) -> Made:
    """Prints a story."""
    buffer = io.BytesIO()
    document = BaseDocTemplate(
        buffer, pagesize=A4, leftMargin=MARGIN, rightMargin=MARGIN, topMargin=MARGIN, bottomMargin=MARGIN, invariant=1,
        title=story.title,
    )  # fmt: skip
    running = partial(_running, story, look)
    spread = look.columns > 1 and look.spread
    first = PageTemplate("first", _frames(look, 110.0 if spread else 0.0), onPage=running)
    document.addPageTemplates([first, PageTemplate("later", _frames(look, 0.0), onPage=running)])
    flow: list[Flowable] = [NextPageTemplate("later")]
    for place, block in enumerate(story.blocks):
        flow.extend(_flowables(block, look, _width(look, over=spread and place < 2)))
        if spread and place == 1:
            flow.append(FrameBreak())
    document.build(flow)
    return Made(name=f"{story.name}.pdf", data=buffer.getvalue(), truth=story.truth())


def _frames(look: Look, above: float) -> list[Frame]:
    """Answers the columns of a page, under a frame of full width where something is to stand above them."""
    width, bottom = _width(look), MARGIN
    high = A4[1] - 2 * MARGIN - (above + 50 if above else 0)
    columns = [
        Frame(MARGIN + number * (width + GAP), bottom, width, high, 0, 0, 0, 0) for number in range(look.columns)
    ]
    top = Frame(MARGIN, A4[1] - MARGIN - above - 40, A4[0] - 2 * MARGIN, above + 40, 0, 0, 0, 0)
    return [top, *columns] if above else columns


def _width(look: Look, *, over: bool = False) -> float:
    whole = A4[0] - 2 * MARGIN
    return whole if over else (whole - GAP * (look.columns - 1)) / look.columns


def _running(story: Story, look: Look, canvas: Any, document: Any) -> None:
    if look.turned:
        canvas.setPageRotation(look.turned)
    if story.header:
        canvas.setFont(look.face, 8)
        canvas.drawString(MARGIN, A4[1] - 36, story.header)
        canvas.drawString(MARGIN, 30, story.footer)
        canvas.drawRightString(A4[0] - MARGIN, 30, str(document.page))


def _style(look: Look, **more: Any) -> ParagraphStyle:
    values: dict[str, Any] = {
        "fontName": look.face,
        "fontSize": look.size,
        "leading": look.size * 1.3,
        "spaceAfter": look.size * 0.6,
        "alignment": TA_JUSTIFY if look.justified else TA_LEFT,
        "wordWrap": "CJK" if look.is_cjk else None,
        "hyphenationLang": "en_GB" if look.hyphens else "",
        "embeddedHyphenation": 1,
        "firstLineIndent": 2 * look.size if look.is_cjk else 0,
        **more,
    }
    return ParagraphStyle("style", **values)


def _flowables(block: Block, look: Look, width: float) -> Iterator[Flowable]:
    if isinstance(block, Heading):
        size = look.size * (1.6 if block.level == 1 else 1.2)
        more = {"alignment": TA_CENTER} if block.level == 1 else {"alignment": TA_LEFT}
        yield Paragraph(
            escape(block.text),
            _style(look, fontName=look.bold, fontSize=size, leading=size * 1.3, spaceBefore=size / 2, keepWithNext=1,
                   firstLineIndent=0, hyphenationLang="", **more),
        )  # fmt: skip
    elif isinstance(block, Text):
        yield Paragraph(escape(block.text), _style(look))
        if block.note:
            small = look.size * 0.8
            yield Paragraph(escape(block.note), _style(look, fontSize=small, leading=small * 1.25, leftIndent=12))
    elif isinstance(block, Items):
        for number, text in enumerate(block.texts, start=1):
            mark = f"{number}." if block.ordered else look.bullet
            style = _style(look, leftIndent=18, bulletIndent=4, firstLineIndent=0, bulletFontName="Helvetica")
            yield Paragraph(escape(text), style, bulletText=mark)
    elif isinstance(block, Figure):
        yield _Picture(width * 0.8, look)
        yield Paragraph(escape(block.caption), _style(look, alignment=TA_CENTER, firstLineIndent=0))
    else:
        yield _grid(block, look, width)
        yield Spacer(1, look.size)


def _grid(table: Table, look: Look, width: float) -> Flowable:
    size = look.size * (0.9 if look.columns == 1 else 0.7)
    style = _style(look, fontSize=size, leading=size * 1.2, spaceAfter=0, alignment=TA_LEFT, firstLineIndent=0)
    rows = [[Paragraph(escape(cell or ""), style) for cell in row] for row in table.rows]
    commands: list[Any] = [("VALIGN", (0, 0), (-1, -1), "TOP")]
    if table.ruled:
        commands.append(("GRID", (0, 0), (-1, -1), 0.5, colors.black))
    commands.extend(("SPAN", (c, r), (c + w - 1, r + h - 1)) for r, c, h, w in table.spans())
    shares = (0.5, 0.24, 0.26) if len(table.rows[0]) == 3 else (0.1, 0.36, 0.16, 0.18, 0.2)
    if any(table.spans()):
        shares = (0.2,) * 5
    return Grid(rows, colWidths=[width * share for share in shares], style=commands)


class _Picture(Flowable):
    """A drawing with a few letters in it that are part of the picture."""

    def __init__(self, width: float, look: Look) -> None:
        super().__init__()
        self.width, self.height, self.look = width, width / 3, look

    def draw(self) -> None:
        """Draws bars."""
        for place, high in enumerate((0.3, 0.8, 0.5, 0.9, 0.6)):
            self.canv.setFillColor(colors.Color(0.2 + place / 8, 0.4, 0.7))
            self.canv.rect(place * self.width / 5, 0, self.width / 6, high * self.height, stroke=0, fill=1)
        self.canv.setFillColor(colors.black)
