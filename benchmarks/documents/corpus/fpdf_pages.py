"""PDFs by fpdf2: lines of justified text, each in a string of its own."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from fpdf import FPDF
from fpdf.enums import TableBordersLayout

from benchmarks.documents.corpus.fonts import CHINESE, SANS, font
from benchmarks.documents.corpus.programs import Missing
from benchmarks.documents.corpus.prose import Prose
from benchmarks.documents.corpus.story import Figure, Heading, Items, Made, Story, Table, Text, written


def make(seed: int) -> Iterator[Made]:
    """Yields the files."""
    for name, language in (("report", "en"), ("chinese", "zh")):
        story = Prose(f"{seed} fpdf {name}", language).story(name, 6)
        path = font(SANS if language == "en" else CHINESE)
        if path is None:
            raise Missing("no font with Chinese is installed")
        yield Made(name=f"{name}.pdf", data=printed(story, str(path)), truth=story.truth())


def printed(story: Story, path: str) -> bytes:
    """Answers a story as PDF."""
    pdf = FPDF()
    pdf.set_creation_date(datetime(2024, 1, 1, tzinfo=UTC))
    pdf.add_font("Own", "", path)
    pdf.add_page()
    for block in story.blocks:
        pdf.set_font("Own", size=16 if isinstance(block, Heading) and block.level == 1 else 11)
        if isinstance(block, Table):
            layout = TableBordersLayout.ALL if block.ruled else TableBordersLayout.NONE
            with pdf.table(
                [[cell or "" for cell in row] for row in block.rows], borders_layout=layout, headings_style=_plain(pdf)
            ):
                pass
        elif isinstance(block, Items):
            for place, text in enumerate(block.texts, start=1):
                pdf.multi_cell(
                    0, 6, f"{place}. {text}" if block.ordered else f"• {text}", new_x="LMARGIN", new_y="NEXT"
                )
        elif isinstance(block, Text | Heading | Figure):
            wrap = "CHAR" if story.language == "zh" else "WORD"
            for text in written(block).split("\n"):
                pdf.multi_cell(0, 6, text, align="J", new_x="LMARGIN", new_y="NEXT", wrapmode=wrap)
        pdf.ln(2)
    return bytes(pdf.output())


def _plain(pdf: FPDF) -> object:
    from fpdf.fonts import FontFace

    return FontFace(family=pdf.font_family)
