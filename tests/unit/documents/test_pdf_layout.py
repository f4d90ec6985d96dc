"""Reading order, tables without lines, code, and text that is turned, doubled or justified, in PDFs."""

from __future__ import annotations

import made_documents as made
from made_documents import SENTENCE

LONG = "a line of running text that is as long as its column is wide"


def kinds(found):
    return [element.kind for element in found]


def test_a_heading_between_two_columns_separates_what_stands_above_and_below(elements):
    def draw(canvas):
        canvas.setFont("Helvetica", 8)
        for part, y in (("upper", 780), ("lower", 500)):
            if part == "lower":
                canvas.setFont("Helvetica-Bold", 12)
                canvas.drawString(60, 540, "A HEADING")
                canvas.setFont("Helvetica", 8)
            for side, x in (("left", 60), ("right", 320)):
                for row in range(12):
                    canvas.drawString(x, y - row * 11, f"{part} {side} {row} {LONG}")

    text = " ".join(element.text for element in elements("pdf", made.pdf(draw)))
    places = [
        text.index(begin) for begin in ("upper left 0", "upper right 0", "A HEADING", "lower left 0", "lower right 0")
    ]
    assert places == sorted(places)


def test_columns_are_told_apart_when_the_file_writes_across_them(elements):
    def draw(canvas):
        canvas.setFont("Helvetica", 8)
        for row in range(20):
            canvas.drawString(60, 780 - row * 11, f"left {row} {LONG}")
            canvas.drawString(320, 780 - row * 11, f"right {row} {LONG}")

    text = " ".join(element.text for element in elements("pdf", made.pdf(draw)))
    assert text.index("left 19") < text.index("right 0")


def test_three_columns_are_read_one_after_the_other(elements):
    def draw(canvas):
        canvas.setFont("Helvetica", 7)
        for number, x in enumerate((50, 220, 390)):
            for row in range(30):
                canvas.drawString(x, 780 - row * 10, f"c{number} r{row} text that fills this narrow column")

    text = " ".join(element.text for element in elements("pdf", made.pdf(draw)))
    places = [text.index(f"c{number} r{row} ") for number in range(3) for row in range(30)]
    assert places == sorted(places)


def test_cells_of_several_lines_belong_to_one_row_of_a_table_without_lines(elements):
    rows = [
        (["Item"], ["Description"], ["Amount"]),
        (["1"], ["Pump for the", "harbour"], ["120.00"]),
        (["2"], ["Valve"], ["80.50"]),
        (["3"], ["Cable of five", "metres"], ["9.99"]),
    ]

    def draw(canvas):
        canvas.setFont("Helvetica", 10)
        y = 700
        for row in rows:
            for column, cell in enumerate(row):
                for line, text in enumerate(cell):
                    canvas.drawString(72 + column * 150, y - line * 12, text)
            y -= 30

    (table,) = elements("pdf", made.pdf(draw))
    assert table.table.grid() == [[" ".join(cell) for cell in row] for row in rows]


def test_a_column_that_stands_close_to_its_neighbour_is_a_column(elements):
    rows = [("No", "Quantity", "Unit price"), ("1", "70", "12.50"), ("2", "110", "8.25"), ("3", "95", "100.00")]

    def draw(canvas):
        canvas.setFont("Helvetica", 10)
        for place, row in enumerate(rows):
            for column, text in enumerate(row):
                canvas.drawString(72 + column * 48, 700 - place * 15, text)

    (table,) = elements("pdf", made.pdf(draw))
    assert table.table.grid() == [list(row) for row in rows]


def test_a_table_that_is_open_at_its_sides_has_every_column(elements):
    def draw(canvas):
        canvas.setFont("Helvetica", 10)
        for row in range(4):
            canvas.line(72, 700 - row * 20, 372, 700 - row * 20)
        for x in (172, 272):
            canvas.line(x, 700, x, 640)
        for row in range(3):
            for column in range(3):
                canvas.drawString(76 + column * 100, 686 - row * 20, f"r{row}c{column}")

    (table,) = elements("pdf", made.pdf(draw))
    assert table.table.grid() == [[f"r{row}c{column}" for column in range(3)] for row in range(3)]


def test_a_frame_around_text_is_no_table(elements):
    def draw(canvas):
        canvas.rect(60, 560, 480, 220)
        canvas.line(60, 740, 540, 740)
        made.lines("Notice", *[SENTENCE] * 3, y=760)(canvas)

    assert "table" not in kinds(elements("pdf", made.pdf(draw)))


def test_letters_of_one_width_are_code_with_its_indents(elements):
    page = made.together(
        made.lines(*[SENTENCE] * 6, y=760),
        made.lines("def add(one, other):", "    return one + other", font="Courier", y=640),
        made.lines(*[SENTENCE] * 6, y=580),
    )
    found = elements("pdf", made.pdf(page))
    assert kinds(found) == ["paragraph", "code", "paragraph"]
    assert found[1].text == "def add(one, other):\n    return one + other"


def test_a_document_in_letters_of_one_width_is_no_code(elements):
    found = elements("pdf", made.pdf(made.lines(*[SENTENCE[:70]] * 20, font="Courier")))
    assert "code" not in kinds(found)


def test_text_that_is_printed_twice_is_read_once(elements):
    def draw(canvas):
        canvas.setFont("Helvetica", 12)
        canvas.drawString(72, 700, "Shadowed title")
        canvas.drawString(72.7, 699.3, "Shadowed title")

    assert [element.text for element in elements("pdf", made.pdf(draw))] == ["Shadowed title"]


def test_hidden_text_under_a_picture_is_read(elements):
    def draw(canvas):
        made.picture(canvas)
        text = canvas.beginText(72, 700)
        text.setFont("Helvetica", 10)
        text.setTextRenderMode(3)
        text.textLine("what the scanner recognised")
        canvas.drawText(text)

    texts = [element.text for element in elements("pdf", made.pdf(draw))]
    assert "what the scanner recognised" in texts


def test_a_page_whose_text_lies_on_its_side_is_read_with_boxes_as_shown(elements):
    def draw(canvas):
        canvas.saveState()
        canvas.translate(300, 100)
        canvas.rotate(90)
        canvas.setFont("Helvetica", 10)
        for row in range(5):
            canvas.drawString(0, -14 * row, f"line {row} of a table that was turned to fit the page, and")
        canvas.restoreState()

    (element,) = elements("pdf", made.pdf(draw))
    assert element.text.startswith("line 0 of a table")
    assert "line 4" in element.text
    assert element.boxes[0].height > 2 * element.boxes[0].width


def test_a_note_on_its_side_does_not_mix_with_the_text(elements):
    def draw(canvas):
        made.lines(*[SENTENCE] * 20, y=760)(canvas)
        canvas.saveState()
        canvas.translate(40, 300)
        canvas.rotate(90)
        canvas.drawString(0, 0, "preprint of 14 March")
        canvas.restoreState()

    body, note = elements("pdf", made.pdf(draw))
    assert note.text == "preprint of 14 March"
    assert body.text.startswith(SENTENCE.strip())
    assert "preprint" not in body.text


def test_a_watermark_stands_behind_the_text(elements):
    def draw(canvas):
        made.lines(*[SENTENCE] * 5, y=760)(canvas)
        canvas.translate(200, 300)
        canvas.rotate(45)
        canvas.drawString(0, 0, "DRAFT COPY")

    found = elements("pdf", made.pdf(draw))
    assert found[-1].text == "DRAFT COPY"
    assert len(found) == 2


def test_a_word_keeps_its_own_hyphen_at_the_end_of_a_line_and_loses_the_printers(elements):
    page = made.lines(
        "The parties have a long-",
        "term plan, and a docu-",
        "ment says so: a document of a state-of-the-",
        "art kind that both parties keep in their records",
    )
    (element,) = elements("pdf", made.pdf(page))
    assert "long-term plan" in element.text
    assert "a document says" in element.text
    assert "state-of-the-art kind" in element.text


def test_a_bullet_in_a_symbol_font_begins_an_item(elements):
    def draw(canvas):
        canvas.setFont("Symbol", 10)
        canvas.drawString(72, 700, "\u2022")
        canvas.setFont("Helvetica", 10)
        canvas.drawString(86, 700, "first of the points")

    (element,) = elements("pdf", made.pdf(draw))
    assert element.kind == "list_item"


def test_two_pages_that_say_the_same_have_no_header(elements):
    page = made.lines("To whom it may concern:", SENTENCE, y=760)
    found = elements("pdf", made.pdf(page, page))
    assert "header" not in kinds(found)
