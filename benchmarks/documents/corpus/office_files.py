"""PPTX, XLSX, XLS and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import date
from typing import Any

from benchmarks.documents.cases import Truth
from benchmarks.documents.corpus.prose import Prose
from benchmarks.documents.corpus.story import Made, Table
from benchmarks.documents.corpus.vocabulary import GOODS, PLACES, WU


def make(seed: int) -> Iterator[Made]:
    """Yields the files."""
    for language in ("en", "zh"):
        yield slides(Prose(f"{seed} slides {language}", language))
        yield charted(Prose(f"{seed} charts {language}", language))
        yield grouped(Prose(f"{seed} groups {language}", language))
        yield from books(Prose(f"{seed} books {language}", language))
        yield from lists(Prose(f"{seed} lists {language}", language))


def slides(prose: Prose) -> Made:
    """A presentation of titles, nested bullets, tables and notes."""
    from pptx import Presentation
    from pptx.util import Inches

    deck, said, tables = Presentation(), [], []
    for number in range(8):
        slide = deck.slides.add_slide(deck.slide_layouts[5 if number % 3 == 2 else 1])
        slide.shapes.title.text = prose.topic()
        said.append(slide.shapes.title.text)
        if number % 3 == 2:
            table = prose.table(4)
            frame = slide.shapes.add_table(len(table.rows), 5, Inches(0.5), Inches(1.6), Inches(9), Inches(3))
            for row, texts in enumerate(table.rows):
                for column, text in enumerate(texts):
                    frame.table.cell(row, column).text = text or ""
            tables.append(table.rows)
            said.extend("\t".join(cell or "" for cell in row) for row in table.rows)
        else:
            body = slide.placeholders[1].text_frame
            body.text = prose.sentence()
            said.append(body.text)
            for level in (1, 1, 2):
                paragraph = body.add_paragraph()
                paragraph.text, paragraph.level = prose.short(), level
                said.append(paragraph.text)
        if number % 2:
            slide.notes_slide.notes_text_frame.text = prose.text(2, 2)
            said.append(slide.notes_slide.notes_text_frame.text)
    return Made(
        name=f"slides-{prose.language}.pptx", data=_saved(deck), truth=Truth(text="\n".join(said), tables=tables)
    )


def grouped(prose: Prose) -> Made:
    """Text boxes laid out in two columns but stored bottom first, and groups in groups."""
    from pptx import Presentation
    from pptx.util import Inches

    deck, said = Presentation(), []
    for _ in range(4):
        slide = deck.slides.add_slide(deck.slide_layouts[6])
        places = [(column, row) for column in range(2) for row in range(3)]
        texts = {place: prose.text(1, 2) for place in places}
        for column, row in reversed(places):
            box = slide.shapes.add_textbox(
                Inches(0.5 + 4.7 * column), Inches(0.5 + 1.6 * row), Inches(4.2), Inches(1.4)
            )
            box.text_frame.word_wrap = True
            box.text_frame.text = texts[column, row]
        said.extend(texts[column, row] for row in range(3) for column in range(2))
        group = slide.shapes.add_group_shape()
        inner = group.shapes.add_group_shape()
        for shapes, top in ((group.shapes, 5.4), (inner.shapes, 6.2)):
            box = shapes.add_textbox(Inches(0.5), Inches(top), Inches(8), Inches(0.6))
            box.text_frame.text = prose.sentence()
            said.append(box.text_frame.text)
    return Made(name=f"boxes-{prose.language}.pptx", data=_saved(deck), truth=Truth(text="\n".join(said)))


def charted(prose: Prose) -> Made:
    """A chart, whose names and numbers are text of the slide."""
    from pptx import Presentation
    from pptx.chart.data import CategoryChartData
    from pptx.enum.chart import XL_CHART_TYPE
    from pptx.util import Inches

    deck, said = Presentation(), []
    for _ in range(3):
        values = [prose.random.randint(100, 999) for _ in PLACES]
        data = CategoryChartData()
        data.categories = list(PLACES)
        data.add_series("Turnover", values)
        slide = deck.slides.add_slide(deck.slide_layouts[5])
        slide.shapes.title.text = prose.topic()
        slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, Inches(1), Inches(2), Inches(6), Inches(4), data)
        said.extend(
            [
                slide.shapes.title.text,
                "Turnover",
                *(f"{name}\t{value}" for name, value in zip(PLACES, values, strict=True)),
            ]
        )
    return Made(name=f"charts-{prose.language}.pptx", data=_saved(deck), truth=Truth(text="\n".join(said)))


def _saved(document: Any) -> bytes:
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def books(prose: Prose) -> Iterator[Made]:
    """Workbooks of several sheets, as XLSX with numbers, dates and merged cells, and as XLS."""
    sheets = {prose.topic()[:20] + str(number): prose.table(30 * number).rows for number in (1, 2, 3)}
    text = "\n".join(
        name + "\n" + "\n".join("\t".join(cell or "" for cell in row) for row in rows) for name, rows in sheets.items()
    )
    truth = Truth(text=text, tables=list(sheets.values()))
    yield Made(name=f"texts-{prose.language}.xlsx", data=_xlsx(sheets), truth=truth)
    yield Made(name=f"texts-{prose.language}.xls", data=_xls(sheets), truth=truth)
    yield typed(prose)


def _xlsx(sheets: dict[str, Any]) -> bytes:
    from openpyxl import Workbook

    book = Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    return _saved(book)


def _xls(sheets: dict[str, Any]) -> bytes:
    import xlwt

    book = xlwt.Workbook()
    for name, rows in sheets.items():
        sheet = book.add_sheet(name)
        for row, texts in enumerate(rows):
            for column, text in enumerate(texts):
                sheet.write(row, column, text)
    return _saved(book)


def typed(prose: Prose) -> Made:
    """Numbers, shares, dates and truth values as a reader sees them."""
    from openpyxl import Workbook

    book = Workbook()
    sheet = book.active
    sheet.title = "Data"
    rows: list[list[str]] = [["Item", "Count", "Share", "Amount", "Date", "Done"]]
    sheet.append(rows[0])
    for number in range(2, 60):
        name = prose.random.choice(WU if prose.language == "zh" else GOODS)
        count, share = prose.random.randint(1, 5000), prose.random.randint(1, 100)
        amount, day = prose.random.randint(100, 999_999) / 100, date(2024, prose.random.randint(1, 12), 15)
        sheet.append([name, count, share / 100, amount, day, bool(number % 2)])
        for column, form in ((3, "0%"), (4, "#,##0.00"), (5, "yyyy-mm-dd")):
            sheet.cell(number, column).number_format = form
        rows.append(
            [name, str(count), f"{share}%", f"{amount:,.2f}", day.isoformat(), "TRUE" if number % 2 else "FALSE"]
        )
    text = "Data\n" + "\n".join("\t".join(row) for row in rows)
    return Made(name=f"typed-{prose.language}.xlsx", data=_saved(book), truth=Truth(text=text, tables=[rows]))


def lists(prose: Prose) -> Iterator[Made]:
    """CSV with commas, semicolons and tabs, quoted cells, and other encodings."""
    for name, separator, encoding in (
        ("comma", ",", "utf-8"),
        ("comma-marked", ",", "utf-8-sig"),
        ("semicolon", ";", "cp1252" if prose.language == "en" else "gb18030"),
        ("tab", "\t", "utf-16"),
    ):
        table: Table = prose.table(40, wrapped=True)
        buffer = io.StringIO()
        csv.writer(buffer, delimiter=separator).writerows([cell or "" for cell in row] for row in table.rows)
        text = "\n".join("\t".join(cell or "" for cell in row) for row in table.rows)
        data = buffer.getvalue().encode(encoding)
        yield Made(name=f"{name}-{prose.language}.csv", data=data, truth=Truth(text=text, tables=[table.rows]))
