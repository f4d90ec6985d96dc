from __future__ import annotations

import made_documents as made
import pytest
from made_documents import SENTENCE
from reportlab.pdfbase.pdfmetrics import stringWidth

from difyrpc_services.documents.formats import reader
from difyrpc_services.documents.formats.pdf.render import Mark, render
from difyrpc_services.documents.formats.reading import Opened, ReadPart, ReadRequest
from difyrpc_services.runtime.errors import FailedPrecondition, InvalidArgument, OutOfRange, ResourceExhausted


def wrapped(text: str, width: int = 90) -> list[str]:
    import textwrap

    return textwrap.wrap(text, width)


def test_lines_become_paragraphs_with_boxes_from_the_top_left(elements):
    page = made.together(
        made.lines(*wrapped(SENTENCE * 3), y=760), made.lines(*wrapped("Another begins here. " + SENTENCE * 2), y=680)
    )
    first, second = elements("pdf", made.pdf(page))
    assert first.text == (SENTENCE * 3).strip()
    assert second.text.startswith("Another begins here.")
    assert [line.font_size for line in first.lines] == [10.0] * len(first.lines)
    box = first.boxes[0]
    assert (box.page, round(box.left)) == (1, 72)
    assert 70 < box.top < 80 < box.bottom < 140


def test_larger_and_bold_lines_are_titles_with_levels(elements):
    page = made.together(
        made.lines("Master Agreement", font="Helvetica-Bold", size=20, y=780),
        made.lines("1. Delivery", font="Helvetica-Bold", size=12, y=740),
        made.lines(*wrapped(SENTENCE * 4), y=715),
        made.lines("1.1 Place", font="Helvetica-Bold", y=600),
        made.lines(*wrapped(SENTENCE * 4), y=580),
    )
    found = elements("pdf", made.pdf(page))
    assert [(element.kind, element.level) for element in found] == [
        ("title", 1),
        ("title", 2),
        ("paragraph", 0),
        ("title", 3),
        ("paragraph", 0),
    ]
    assert found[4].heading_path == ("Master Agreement", "1. Delivery", "1.1 Place")


def test_running_headers_and_page_numbers_are_apart_from_the_text(elements):
    pages = [
        made.together(
            made.lines("Supply Agreement No. 7", y=815, size=8),
            made.lines(*wrapped(f"Page {number} says this. " + SENTENCE * 3), y=760),
            made.lines(f"- {number} -", y=30, x=290, size=8),
        )
        for number in range(1, 6)
    ]
    found = elements("pdf", made.pdf(*pages))
    assert [element.text for element in found if element.kind == "header"] == ["Supply Agreement No. 7"] * 5
    assert [element.text for element in found if element.kind == "footer"] == [f"- {n} -" for n in range(1, 6)]
    assert sum(element.kind == "paragraph" for element in found) == 5


def test_repeated_text_without_a_gap_is_no_header(elements):
    pages = [made.lines(*[SENTENCE] * 40, y=800, leading=14)] * 4
    found = elements("pdf", made.pdf(*pages))
    assert not [element for element in found if element.kind == "header"]


def test_a_paragraph_goes_on_across_a_page_break(elements):
    one = made.lines("The parties agree that the goods are delivered to the place that", y=100)
    two = made.lines("the order names.", y=760)
    (paragraph,) = elements("pdf", made.pdf(one, two))
    assert paragraph.text.endswith("the place that the order names.")
    assert [box.page for box in paragraph.boxes] == [1, 2]


def test_two_columns_are_read_one_after_the_other(elements):
    left = [f"left line number {number} of this text" for number in range(20)]
    right = [f"right line number {number} of this text" for number in range(20)]
    page = made.together(made.lines(*left, x=60, leading=12), made.lines(*right, x=320, leading=12))
    text = " ".join(element.text for element in elements("pdf", made.pdf(page)))
    assert text.index("left line number 19") < text.index("right line number 0")


def test_a_heading_across_two_columns_comes_first(elements):
    left = [f"left line number {number} of this text" for number in range(20)]
    right = [f"right line number {number} of this text" for number in range(20)]
    page = made.together(
        made.lines("A heading that runs across both of the columns below it, all the way", size=14, y=790),
        made.lines(*left, x=60, leading=12),
        made.lines(*right, x=320, leading=12),
    )
    found = elements("pdf", made.pdf(page))
    assert found[0].text.startswith("A heading")
    assert [("left" in element.text, "right" in element.text) for element in found[1:]] == [
        (True, False),
        (False, True),
    ]


def test_a_ruled_table_has_every_cell(elements):
    rows = [["Item", "Price", "Due"], ["Pump", "1,200.00", "May"], ["Valve", "80.50", "June"]]
    page = made.together(made.lines("Prices are these:", y=640), made.grid(rows), made.lines("End of it.", y=500))
    before, table, after = elements("pdf", made.pdf(page))
    assert table.kind == "table"
    assert table.table.grid() == rows
    assert table.table.header_rows == 1
    assert table.text == "Item\tPrice\tDue\nPump\t1,200.00\tMay\nValve\t80.50\tJune"
    assert (before.text, after.text) == ("Prices are these:", "End of it.")


def test_a_cell_without_a_border_between_spans(elements):
    def draw(canvas):
        canvas.setFont("Helvetica", 10)
        for y in (600, 580, 560):
            canvas.line(72, y, 272, y)
        for x in (72, 272):
            canvas.line(x, 600, x, 560)
        canvas.line(172, 580, 172, 560)
        canvas.drawString(76, 586, "Both columns")
        canvas.drawString(76, 566, "left")
        canvas.drawString(176, 566, "right")

    (table,) = elements("pdf", made.pdf(draw))
    cells = [(cell.row, cell.column, cell.row_span, cell.column_span, cell.text) for cell in table.table.cells]
    assert cells == [(0, 0, 1, 2, "Both columns"), (1, 0, 1, 1, "left"), (1, 1, 1, 1, "right")]


def test_aligned_columns_without_lines_are_a_table_unless_refused(elements):
    rows = [
        ("Name", "City", "Year"),
        ("Ada", "London", "1815"),
        ("Grace", "New York", "1906"),
        ("Kurt", "Brno", "1906"),
    ]

    def draw(canvas):
        canvas.setFont("Helvetica", 10)
        for place, row in enumerate(rows):
            for column, text in enumerate(row):
                canvas.drawString(72 + column * 150, 700 - place * 15, text)

    (table,) = elements("pdf", made.pdf(draw))
    assert table.table.grid() == [list(row) for row in rows]
    assert table.confidence < 1
    assert all(element.kind != "table" for element in elements("pdf", made.pdf(draw), tables="ruled"))


def test_numbers_before_hanging_text_are_no_table(elements):
    def draw(canvas):
        canvas.setFont("Helvetica", 10)
        for place in range(5):
            canvas.drawString(72, 700 - place * 30, f"({'abcde'[place]})")
            canvas.drawString(110, 700 - place * 30, f"the obligation number {place} that the party has;")

    found = elements("pdf", made.pdf(draw))
    assert [element.kind for element in found] == ["list_item"] * 5
    assert found[1].text == "(b) the obligation number 1 that the party has;"


def test_lines_of_a_table_of_contents_are_marked(elements):
    entries = [f"Section {number} Something ............................ {number + 3}" for number in range(1, 6)]
    found = elements("pdf", made.pdf(made.lines(*entries), made.lines(*wrapped(SENTENCE * 3))))
    assert [element.contents_entry for element in found] == [True] * 5 + [False]


def test_chinese_lines_join_without_spaces(elements):
    page = made.chinese_lines(
        "第一条 为了保护民事主体的合法权益，调整民事关系，维护社会和经济秩",
        "序，制定本法。",
        "第二条 民法调整平等主体的关系。",
    )
    first, second = elements("pdf", made.pdf(page))
    assert first.text == "第一条 为了保护民事主体的合法权益，调整民事关系，维护社会和经济秩序，制定本法。"
    assert second.text.startswith("第二条")


def test_rotated_pages_are_read_as_shown(elements):
    def draw(canvas):
        canvas.setPageRotation(90)
        canvas.saveState()
        canvas.translate(560, 60)
        canvas.rotate(90)
        canvas.setFont("Helvetica", 10)
        canvas.drawString(0, 0, "upright for the reader")
        canvas.restoreState()

    (element,) = elements("pdf", made.pdf(draw))
    assert element.text == "upright for the reader"
    box = element.boxes[0]
    assert box.width > 5 * box.height


def test_page_ranges_are_read_alone(elements):
    content = made.pdf(*[made.lines(f"This is page number {number} here.") for number in range(1, 8)])
    found = elements("pdf", content, pages=((2, 3), (6, 0)))
    assert [element.page for element in found] == [2, 3, 6, 7]


def test_a_range_past_the_end_is_out_of_range(elements):
    with pytest.raises(OutOfRange) as caught:
        elements("pdf", made.pdf(made.lines("one")), pages=((2, 2),))
    assert caught.value.reason == "PAGE_NOT_FOUND"


def test_too_many_pages_are_refused(elements):
    with pytest.raises(ResourceExhausted) as caught:
        elements("pdf", made.pdf(*[made.lines("x")] * 3), max_pages=2)
    assert caught.value.metadata == {"limit": "pages", "value": "2"}


@pytest.mark.parametrize(("password", "word"), [("", "missing"), ("wrong", "wrong")])
def test_an_encrypted_pdf_asks_for_its_password(elements, password, word):
    content = made.pdf(made.lines("secret"), password="right")
    with pytest.raises(InvalidArgument) as caught:
        elements("pdf", content, password=password)
    assert caught.value.reason == "ENCRYPTED"
    assert caught.value.metadata["password"] == word


def test_the_right_password_opens(elements):
    content = made.pdf(made.lines("secret text"), password="right")
    assert [element.text for element in elements("pdf", content, password="right")] == ["secret text"]
    (opened, *_) = reader("pdf")(memoryview(content), ReadRequest(password="right"))
    assert isinstance(opened, Opened)
    assert opened.encrypted


@pytest.mark.parametrize("cut", [8, 100, 0.3, 0.9])
def test_a_truncated_pdf_is_corrupt_or_read(elements, cut):
    content = made.pdf(made.lines(*[SENTENCE] * 30))
    head = content[: int(cut * len(content)) if cut < 1 else cut]
    try:
        found = [element.text for element in elements("pdf", head)]
    except InvalidArgument as error:
        found = [error.reason]
    assert found == ["CORRUPT"] or found[0].startswith(SENTENCE.strip())


def test_a_scan_needs_ocr(elements):
    with pytest.raises(FailedPrecondition) as caught:
        elements("pdf", made.pdf(made.picture, made.picture))
    assert caught.value.reason == "NEEDS_OCR"


def test_a_scanned_page_among_others_is_a_warning():
    content = made.pdf(made.lines("This page has text."), made.picture)
    parts = list(reader("pdf")(memoryview(content), ReadRequest()))
    notices = [notice for part in parts if isinstance(part, ReadPart) for notice in part.notices]
    assert [(notice.reason, notice.page) for notice in notices] == [("PAGE_WITHOUT_TEXT", 2)]


def test_a_blank_page_is_no_scan(elements):
    assert elements("pdf", made.pdf(lambda canvas: None)) == []


def test_metadata_is_read():
    def draw(canvas):
        canvas.setTitle("The title")
        canvas.setAuthor("The author")
        canvas.drawString(72, 700, "text")

    opened = next(iter(reader("pdf")(memoryview(made.pdf(draw)), ReadRequest())))
    assert isinstance(opened, Opened)
    assert (opened.metadata["title"], opened.metadata["author"]) == ("The title", "The author")
    assert opened.metadata["created"].startswith("2000-01-01T00:00:00")


def pixels(png: bytes) -> tuple[int, int, bytes]:
    import io

    from PIL import Image

    image = Image.open(io.BytesIO(png))
    image.load()
    return (*image.size, image.tobytes())


def test_a_highlight_changes_its_place_alone():
    content = memoryview(made.pdf(made.lines("some text here")))
    options = {"password": "", "page": 1, "dpi": 72, "max_width": 0}
    bare = render(content, marks=(), **options)
    marked = render(content, marks=(Mark(left=100, top=200, right=150, bottom=220),), **options)
    width, height, plain = pixels(bare.png)
    _, _, colored = pixels(marked.png)
    assert (width, height) == (bare.width, bare.height) == (596, 842)
    changed = {i // 3 for i in range(0, len(plain), 3) if plain[i : i + 3] != colored[i : i + 3]}
    places = [(index % width, index // width) for index in changed]
    assert min(x for x, _ in places) == pytest.approx(100, abs=1)
    assert max(x for x, _ in places) == pytest.approx(149, abs=1)
    assert min(y for _, y in places) == pytest.approx(200, abs=1)
    assert max(y for _, y in places) == pytest.approx(219, abs=1)


def test_a_picture_keeps_to_its_greatest_width():
    picture = render(memoryview(made.pdf(made.lines("x"))), password="", page=1, dpi=300, max_width=400, marks=())
    assert abs(picture.width - 400) <= 1
    assert round(picture.scale, 2) == 0.67


def test_a_page_past_the_end_has_no_picture():
    with pytest.raises(OutOfRange):
        render(memoryview(made.pdf(made.lines("x"))), password="", page=2, dpi=72, max_width=0, marks=())


def test_centred_lines_far_apart_stand_for_themselves(elements):
    def centred(text: str, *, y: float, size: float = 10, font: str = "Helvetica"):
        width = stringWidth(text, font, size)
        return made.lines(text, y=y, size=size, font=font, x=297 - width / 2)

    page = made.together(
        centred("SUPPLY AGREEMENT BETWEEN TWO COMPANIES", y=700, size=17, font="Helvetica-Bold"),
        centred("dated as of 14 March 2025", y=660),
        centred("between", y=638),
        centred("NORTHWIND INSTRUMENTS, INC.", y=610, size=13, font="Helvetica-Bold"),
        centred("as Supplier", y=585),
        centred("and", y=563),
        centred("HARBOUR & VALE MEDICAL LIMITED", y=535, size=13, font="Helvetica-Bold"),
        centred("as Purchaser", y=510),
        centred("Contract No. HV-2025-0317", y=488),
    )
    body = made.lines(*wrapped(SENTENCE * 9))
    cover = [element for element in elements("pdf", made.pdf(page, body)) if element.page == 1]
    assert [(element.kind, element.text) for element in cover] == [
        ("title", "SUPPLY AGREEMENT BETWEEN TWO COMPANIES"),
        ("paragraph", "dated as of 14 March 2025"),
        ("paragraph", "between"),
        ("title", "NORTHWIND INSTRUMENTS, INC."),
        ("paragraph", "as Supplier"),
        ("paragraph", "and"),
        ("title", "HARBOUR & VALE MEDICAL LIMITED"),
        ("paragraph", "as Purchaser"),
        ("paragraph", "Contract No. HV-2025-0317"),
    ]
    companies = [element for element in cover if element.text.startswith(("NORTHWIND", "HARBOUR"))]
    assert companies[0].level == companies[1].level


def test_metadata_that_nobody_set_is_left_out():
    (opened, *_) = reader("pdf")(memoryview(made.pdf(made.lines("text"))), ReadRequest())
    assert {"title", "author", "subject"}.isdisjoint(opened.metadata)
