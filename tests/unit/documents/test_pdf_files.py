"""PDFs as files: damaged ones, garbled ones, and what they hold beside their pages."""

from __future__ import annotations

import io
import re

import made_documents as made
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_documents import SENTENCE
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

from difyrpc_services.documents.formats import reader
from difyrpc_services.documents.formats.reading import Enclosed, Opened, ReadPart, ReadRequest
from difyrpc_services.runtime.errors import FailedPrecondition, InvalidArgument, ServiceError


def parts(content: bytes, **request):
    return list(reader("pdf")(memoryview(content), ReadRequest(**request)))


def opened(content: bytes) -> Opened:
    (first, *_) = parts(content)
    assert isinstance(first, Opened)
    return first


def texts(content: bytes) -> list[str]:
    return [element.text for part in parts(content) if isinstance(part, ReadPart) for element in part.elements]


PAGES = [made.lines(f"This is page {number}.", *[SENTENCE] * 20) for number in range(1, 6)]


def plain_pdf(*draws, compression: int = 0) -> bytes:
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=A4, invariant=1, pageCompression=compression)
    for draw in draws:
        draw(canvas)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def test_what_is_left_of_a_file_that_was_cut_off_is_read_and_said_so():
    content = plain_pdf(*PAGES)
    streams = [match.end() for match in re.finditer(rb"endstream\s+endobj", content)]
    head = content[: streams[2]]
    (first, *others) = parts(head)
    assert [notice.reason for notice in first.notices] == ["TRUNCATED_FILE"]
    found = [element.text for part in others for element in part.elements]
    assert [f"This is page {number}." in " ".join(found) for number in range(1, 6)] == [True] * 3 + [False] * 2


def test_a_file_without_its_table_of_objects_is_read():
    content = plain_pdf(*PAGES)
    head = content[: content.rindex(b"xref", 0, content.rindex(b"startxref"))]
    assert sum(text.startswith("This is page") for text in texts(head)) == 5
    assert opened(head).notices[0].reason == "TRUNCATED_FILE"


def test_a_whole_file_is_not_called_damaged():
    assert opened(plain_pdf(*PAGES)).notices == ()


@pytest.mark.parametrize("content", [b"%PDF-1.7\n", b"%PDF-1.4\n1 0 obj\n<</Type/Catalog>>\nendobj\n"])
def test_a_file_without_pages_is_corrupt(content):
    with pytest.raises(InvalidArgument) as caught:
        parts(content)
    assert caught.value.reason == "CORRUPT"


def test_a_damaged_file_of_which_no_text_is_left_is_never_an_empty_answer():
    content = plain_pdf(*PAGES)
    head = content[: content.index(b"stream")]
    with pytest.raises(ServiceError) as caught:
        parts(head)
    assert caught.value.reason in ("CORRUPT", "NEEDS_OCR")


def outcome(content: bytes) -> str:
    try:
        parts(content)
    except ServiceError as error:
        return error.reason
    return "READ"


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_damage_is_an_answer_or_one_of_the_errors_of_the_contract(data):
    content = bytearray(DAMAGED)
    for _ in range(data.draw(st.integers(1, 6))):
        begin = data.draw(st.integers(0, len(content) - 1))
        content[begin : begin + data.draw(st.integers(0, 40))] = data.draw(st.binary(max_size=20))
    assert outcome(bytes(content)) in ("READ", "CORRUPT", "ENCRYPTED", "NEEDS_OCR")


DAMAGED = plain_pdf(*PAGES[:2])


def garbled(text: str) -> bytes:
    """A PDF whose font names its glyphs so that no letter is known: its text is numbers of glyphs."""
    content = plain_pdf(made.lines(*[text] * 3))
    differences = b"/Encoding<</Type/Encoding/Differences[33" + b"".join(b"/g%d" % n for n in range(33, 127)) + b"]>>"
    return re.sub(rb"/Encoding\s*/WinAnsiEncoding", differences, content, count=1)


def test_text_without_readable_letters_needs_recognition():
    with pytest.raises(FailedPrecondition) as caught:
        parts(garbled("7KLV LV D WHVW RI JDUEOHG WHAW WKDW QRERGB FDQ UHDG"))
    assert caught.value.reason == "NEEDS_OCR"
    assert caught.value.metadata["cause"] == "garbled"


def test_bookmarks_make_titles_with_their_levels(elements):
    page = made.together(
        made.lines("Scope of the work", y=800),
        made.lines(*[SENTENCE] * 4, y=700),
        lambda canvas: canvas.bookmarkPage("one"),
        lambda canvas: canvas.bookmarkPage("two"),
        lambda canvas: canvas.addOutlineEntry("Part one", "one", level=0),
        lambda canvas: canvas.addOutlineEntry("Scope of the work", "two", level=1),
    )
    title, _ = elements("pdf", made.pdf(page))
    assert (title.kind, title.level, title.text) == ("title", 2, "Scope of the work")


def test_values_of_form_fields_stand_where_they_are_filled_in():
    def draw(canvas):
        canvas.drawString(72, 700, "Name of the buyer:")
        canvas.acroForm.textfield(name="buyer", x=190, y=694, width=200, height=18, value="Harbour & Vale Ltd")

    (text,) = texts(made.pdf(draw))
    assert text == "Name of the buyer: Harbour & Vale Ltd"


def test_notes_of_readers_stand_behind_the_text():
    def draw(canvas):
        made.lines(SENTENCE)(canvas)
        canvas.textAnnotation("Check this price again.", Rect=[300, 750, 320, 770])

    paragraph, note = [
        element for part in parts(made.pdf(draw)) if isinstance(part, ReadPart) for element in part.elements
    ]
    assert paragraph.text == SENTENCE.strip()
    assert (note.kind, note.text) == ("footnote", "Check this price again.")
    assert note.boxes


def with_catalog(content: bytes, entry: bytes) -> bytes:
    """Puts an entry into the catalog; pdfium finds the objects that moved by itself."""
    return content.replace(b"/Type /Catalog", b"/Type /Catalog " + entry, 1)


def test_page_labels_are_told():
    content = with_catalog(plain_pdf(*PAGES), b"/PageLabels <</Nums [0 <</S /r>> 2 <</S /D /St 1>>]>>")
    assert opened(content).page_labels == ("i", "ii", "1", "2", "3")


def test_pages_that_are_counted_from_one_have_no_labels():
    assert opened(plain_pdf(*PAGES)).page_labels == ()


def test_files_inside_are_listed_and_not_read():
    embedded = (
        b"/Names <</EmbeddedFiles <</Names [(data.csv) <</Type /Filespec /F (data.csv) /UF (data.csv) "
        b"/EF <</F 900 0 R>>>>]>>>>"
    )
    content = with_catalog(plain_pdf(*PAGES[:1]), embedded)
    stream = b"900 0 obj\n<</Type /EmbeddedFile /Length 7>>\nstream\na,b\n1,2\nendstream\nendobj\n"
    content = content.replace(b"xref\n0", stream + b"xref\n0", 1)
    files = [part for part in parts(content) if isinstance(part, Enclosed)]
    assert [(file.name, bytes(file.content), file.read) for file in files] == [("data.csv", b"a,b\n1,2", False)]


def test_the_first_page_comes_before_later_ones_are_looked_at():
    content = made.pdf(*[made.lines(f"Page {number}", *[SENTENCE] * 30) for number in range(1, 41)])
    stream = reader("pdf")(memoryview(content), ReadRequest())
    first = next(stream), next(stream)
    assert isinstance(first[1], ReadPart)
    assert first[1].page == 1
    stream.close()
