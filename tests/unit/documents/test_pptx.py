from __future__ import annotations

import contextlib
import io
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pptx import Presentation
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.oxml import parse_xml
from pptx.util import Inches

from difyrpc_services.documents.formats.pptx import read
from difyrpc_services.documents.formats.reading import ReadRequest
from difyrpc_services.runtime.errors import InvalidArgument, OutOfRange, ResourceExhausted, ServiceError

A = 'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"'
TITLE, CONTENT, COMPARISON, TITLE_ONLY, BLANK = 0, 1, 4, 5, 6


def presentation(build):
    deck = Presentation()
    build(deck)
    file = io.BytesIO()
    deck.save(file)
    return file.getvalue()


def slide_of(deck, layout=BLANK):
    return deck.slides.add_slide(deck.slide_layouts[layout])


def box(shapes, left, top, text, *, width=2.0):
    added = shapes.add_textbox(Inches(left), Inches(top), Inches(width), Inches(0.5))
    added.text_frame.text = text
    return added


def changed(content, change):
    """The file with its parts as `change` answers them by name; None leaves one out."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            data = change(name, old.read(name))
            if data is not None:
                new.writestr(name, data)
    return file.getvalue()


def texts(found):
    return [(element.kind, element.text) for element in found]


def words(found):
    return [element.text for element in found]


def test_titles_and_bulleted_items_have_levels(elements):
    def build(deck):
        first = slide_of(deck, TITLE)
        first.shapes.title.text, first.placeholders[1].text = "Deck", "What it is about"
        second = slide_of(deck, CONTENT)
        second.shapes.title.text = "Agenda"
        frame = second.placeholders[1].text_frame
        frame.text = "First"
        frame.add_paragraph().text = "Nested"
        frame.paragraphs[1].level = 1
        frame.add_paragraph().text = "two\vlines"

    found = elements("pptx", presentation(build))
    assert [(element.page, element.kind, element.level, element.text) for element in found] == [
        (1, "title", 1, "Deck"),
        (1, "title", 2, "What it is about"),
        (2, "title", 1, "Agenda"),
        (2, "list_item", 1, "First"),
        (2, "list_item", 2, "Nested"),
        (2, "list_item", 1, "two\nlines"),
    ]
    assert found[3].heading_path == ("Agenda",)


def test_automatic_numbers_count_as_they_are_shown(elements):
    schemes = (("arabicPeriod", ""), ("arabicPeriod", ""), ("alphaLcParenR", 'startAt="3"'), ("romanUcPeriod", ""))

    def build(deck):
        frame = box(slide_of(deck).shapes, 1, 1, "").text_frame
        for place, (scheme, start) in enumerate((*schemes, ("", ""), schemes[0])):
            paragraph = frame.paragraphs[0] if place == 0 else frame.add_paragraph()
            paragraph.text = f"p{place}"
            bullet = f'<a:buAutoNum type="{scheme}" {start}/>' if scheme else "<a:buNone/>"
            paragraph._p.get_or_add_pPr().append(parse_xml(bullet.replace("/>", f" {A}/>")))

    found = elements("pptx", presentation(build))
    assert [element.written for element in found] == ["1. p0", "2. p1", "c) p2", "I. p3", "p4", "1. p5"]


def test_formulas_are_lines_of_text(elements):
    def build(deck):
        paragraph = box(slide_of(deck).shapes, 1, 1, "so ").text_frame.paragraphs[0]
        paragraph._p.append(
            parse_xml(
                '<a14:m xmlns:a14="http://schemas.microsoft.com/office/drawing/2010/main" xmlns:m='
                '"http://schemas.openxmlformats.org/officeDocument/2006/math"><m:oMath><m:f><m:num><m:r><m:t>a+b</m:t>'
                "</m:r></m:num><m:den><m:r><m:t>2</m:t></m:r></m:den></m:f></m:oMath></a14:m>"
            )
        )

    assert words(elements("pptx", presentation(build))) == ["so (a+b)/2"]


def test_tables_have_spans_and_a_header_row(elements):
    def build(deck):
        table = slide_of(deck).shapes.add_table(3, 2, 0, 0, Inches(4), Inches(2)).table
        for place, text in enumerate(("h1", "h2", "a", "b", "", "c")):
            table.cell(place // 2, place % 2).text = text
        table.cell(1, 0).merge(table.cell(2, 0))

    table = elements("pptx", presentation(build))[0].table
    assert table.header_rows == 1
    assert [(cell.row, cell.column, cell.row_span, cell.text) for cell in table.cells] == [
        (0, 0, 1, "h1"),
        (0, 1, 1, "h2"),
        (1, 0, 2, "a"),
        (1, 1, 1, "b"),
        (2, 1, 1, "c"),
    ]


def test_a_chart_is_its_titles_and_its_values(elements):
    def build(deck):
        data = CategoryChartData(number_format="0.0%")
        data.categories = ["Q1", "Q2"]
        data.add_series("Share", (0.1, 0.25))
        data.add_series("Rest", (0.9, None))
        chart = slide_of(deck).shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, 0, 0, Inches(5), Inches(3), data).chart
        chart.has_title = True
        chart.chart_title.text_frame.text = "Market"
        chart.value_axis.has_title = True
        chart.value_axis.axis_title.text_frame.text = "Part of it"

    assert texts(elements("pptx", presentation(build))) == [
        ("figure", "Market\nPart of it"),
        ("table", "\tShare\tRest\nQ1\t10.0%\t90.0%\nQ2\t25.0%\t"),
    ]


def test_notes_stand_behind_their_slide_and_hidden_slides_are_read(elements):
    def build(deck):
        slide = slide_of(deck, TITLE_ONLY)
        slide.shapes.title.text = "Seen"
        slide.notes_slide.notes_text_frame.text = "Say this."
        hidden = slide_of(deck, TITLE_ONLY)
        hidden.shapes.title.text = "Hidden"
        hidden._element.set("show", "0")

    assert texts(elements("pptx", presentation(build))) == [
        ("title", "Seen"),
        ("footnote", "Say this."),
        ("title", "Hidden"),
    ]


def test_columns_are_read_one_after_the_other(elements):
    def build(deck):
        slide = slide_of(deck, COMPARISON)
        for holder, text in zip(slide.placeholders, ("Title", "left head", "left", "right head", "right"), strict=True):
            holder.text = text

    assert words(elements("pptx", presentation(build))) == ["Title", "left head", "left", "right head", "right"]


def test_rows_that_were_made_as_rows_are_read_as_rows(elements):
    def build(deck):
        shapes = slide_of(deck).shapes
        for row in range(3):
            box(shapes, 1, 1 + row, f"label {row}")
            box(shapes, 5, 1 + row, f"value {row}")

    assert words(elements("pptx", presentation(build))) == [
        f"{name} {row}" for row in range(3) for name in ("label", "value")
    ]


def test_order_is_from_the_top_however_it_was_made(elements):
    def build(deck):
        shapes = slide_of(deck).shapes
        for place, text in ((5, "third"), (1, "first"), (3, "second")):
            box(shapes, 1, place, text, width=8)

    assert words(elements("pptx", presentation(build))) == ["first", "second", "third"]


def test_groups_stay_together_and_have_their_places_on_the_slide(elements):
    def build(deck):
        shapes = slide_of(deck).shapes
        group = shapes.add_group_shape()
        inner = group.shapes.add_group_shape()
        box(inner.shapes, 1, 1, "a")
        box(group.shapes, 1, 3, "b")
        box(shapes, 6, 2, "beside")
        group.left, group.width = Inches(2), group.width * 2

    found = elements("pptx", presentation(build))
    assert words(found) == ["a", "b", "beside"]
    first = found[0].boxes[0]
    assert (first.page, first.left, first.top, first.right, first.bottom) == (1, 144.0, 72.0, 432.0, 108.0)


def test_placeholders_without_a_place_take_their_layouts(elements):
    def build(deck):
        slide_of(deck, CONTENT).placeholders[1].text = "body"

    content = presentation(build)
    layout = Presentation(io.BytesIO(content)).slide_layouts[CONTENT].placeholders[1]
    found = elements("pptx", content)[0].boxes[0]
    assert (found.left, found.top) == (layout.left.pt, layout.top.pt)


def test_pictures_speak_by_their_alternative_text_alone(elements):
    pixel = bytes.fromhex(
        "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
        "1f15c4890000000d49444154789c6360000002000001e221bc330000000049454e44ae426082"
    )

    def build(deck):
        shapes = slide_of(deck).shapes
        for text in ("A cat on a wall", "image.png", "Picture 3"):
            picture = shapes.add_picture(io.BytesIO(pixel), 0, 0, Inches(1))
            picture._element.nvPicPr.cNvPr.set("descr", text)

    assert texts(elements("pptx", presentation(build))) == [
        ("figure", "A cat on a wall"),
        ("figure", ""),
        ("figure", ""),
    ]


def test_slide_numbers_and_footers_are_running_text(elements):
    def build(deck):
        slide = slide_of(deck, TITLE_ONLY)
        slide.shapes.title.text = "Title"
        for holder in slide.slide_layout.placeholders:
            if holder.placeholder_format.type is not None and holder.placeholder_format.idx >= 10:
                slide.shapes.clone_placeholder(holder)
        for holder in slide.placeholders:
            if holder.placeholder_format.idx >= 10:
                holder.text_frame.text = "12"

    assert texts(elements("pptx", presentation(build))) == [("title", "Title"), *[("footer", "12")] * 3]


SMART = (
    '<dgm:dataModel xmlns:dgm="http://schemas.openxmlformats.org/drawingml/2006/diagram" {a}><dgm:ptLst>'
    '<dgm:pt modelId="0" type="doc"/>{points}</dgm:ptLst><dgm:cxnLst>{lines}</dgm:cxnLst></dgm:dataModel>'
)


def test_a_diagram_is_the_tree_of_its_texts(elements):
    point = '<dgm:pt modelId="{0}"><dgm:t><a:bodyPr/><a:p><a:r><a:t>{0}</a:t></a:r></a:p></dgm:t></dgm:pt>'
    line = '<dgm:cxn modelId="l{1}" srcId="{0}" destId="{1}" srcOrd="{2}" destOrd="0"/>'
    data = SMART.format(
        a=A,
        points="".join(map(point.format, ("leaf", "second", "first"))),
        lines="".join(line.format(*one) for one in (("0", "second", 1), ("0", "first", 0), ("first", "leaf", 0))),
    )
    frame = (
        '<p:graphicFrame xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main" '
        f"{A}><p:nvGraphicFramePr><p:cNvPr id='9' name='d'/><p:cNvGraphicFramePr/><p:nvPr/></p:nvGraphicFramePr>"
        '<p:xfrm><a:off x="0" y="0"/><a:ext cx="9" cy="9"/></p:xfrm><a:graphic><a:graphicData uri="d">'
        '<dgm:relIds xmlns:dgm="http://schemas.openxmlformats.org/drawingml/2006/diagram" xmlns:r='
        '"http://schemas.openxmlformats.org/officeDocument/2006/relationships" r:dm="rId77"/>'
        "</a:graphicData></a:graphic></p:graphicFrame>"
    )

    def change(name, part):
        if name == "ppt/slides/slide1.xml":
            return part.replace(b"</p:spTree>", frame.encode() + b"</p:spTree>")
        if name == "ppt/slides/_rels/slide1.xml.rels":
            relation = '<Relationship Id="rId77" Type="x/diagramData" Target="../diagrams/data1.xml"/></Relationships>'
            return part.replace(b"</Relationships>", relation.encode())
        return part

    content = changed(presentation(slide_of), change)
    with zipfile.ZipFile(file := io.BytesIO(content), "a") as container:
        container.writestr("ppt/diagrams/data1.xml", data)
    found = elements("pptx", file.getvalue())
    assert [(element.kind, element.level, element.text) for element in found] == [
        ("list_item", 1, "first"),
        ("list_item", 2, "leaf"),
        ("list_item", 1, "second"),
    ]


def three(deck):
    for number in range(3):
        slide_of(deck, TITLE_ONLY).shapes.title.text = f"Slide {number + 1}"


def test_pages_can_be_chosen():
    content = memoryview(presentation(three))
    parts = list(read(content, ReadRequest(pages=((2, 0),))))
    assert (parts[0].page_count, parts[0].pages_asked) == (3, 2)
    assert [(part.page, part.elements[0].text) for part in parts[1:]] == [(2, "Slide 2"), (3, "Slide 3")]
    with pytest.raises(OutOfRange):
        list(read(content, ReadRequest(pages=((4, 4),))))


def test_a_slide_that_is_not_there_is_noticed():
    content = changed(presentation(three), lambda name, part: None if name.endswith("slides/slide2.xml") else part)
    parts = list(read(memoryview(content), ReadRequest()))[1:]
    assert [[notice.reason for notice in part.notices] for part in parts] == [[], ["SLIDE_MISSING"], []]


@pytest.mark.parametrize(
    "broken",
    [
        lambda part: b'<!DOCTYPE x [<!ENTITY a "b">]>' + part.partition(b"?>")[2],
        lambda part: part[: len(part) // 2],
        lambda part: b"",
    ],
)
def test_entities_and_broken_xml_are_corrupt(broken):
    content = changed(presentation(three), lambda name, part: broken(part) if name.endswith("slide1.xml") else part)
    with pytest.raises(InvalidArgument) as raised:
        list(read(memoryview(content), ReadRequest()))
    assert raised.value.reason == "CORRUPT"


def test_broken_notes_are_noticed_and_the_slide_is_read():
    def build(deck):
        three(deck)
        deck.slides[0].notes_slide.notes_text_frame.text = "Say this."

    content = changed(presentation(build), lambda name, part: b"<x" if name.endswith("notesSlide1.xml") else part)
    first = list(read(memoryview(content), ReadRequest()))[1]
    assert (first.elements[0].text, [notice.reason for notice in first.notices]) == ("Slide 1", ["PART_NOT_READ"])


def test_what_expands_too_far_is_too_large():
    with pytest.raises(ResourceExhausted) as raised:
        list(read(memoryview(presentation(three)), ReadRequest(max_expanded_bytes=20_000)))
    assert raised.value.reason == "TOO_LARGE"


def test_groups_in_groups_without_end_are_read_down_to_a_depth(elements):
    def change(name, part):
        deep = b"<p:grpSp><p:nvGrpSpPr/><p:grpSpPr/>" * 100 + b"</p:grpSp>" * 100
        return part.replace(b"</p:spTree>", deep + b"</p:spTree>") if name.endswith("slides/slide1.xml") else part

    assert words(elements("pptx", changed(presentation(three), change))) == ["Slide 1", "Slide 2", "Slide 3"]


WHOLE = presentation(three)


@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_damaged_presentations_are_refused_or_read(data):
    place, sign = data.draw(st.floats(0, 1, exclude_max=True)), data.draw(st.binary(max_size=4))
    target = data.draw(
        st.sampled_from(("slides/slide1.xml", "slide1.xml.rels", "presentation.xml", "slideLayout6.xml"))
    )

    def change(name, part):
        if not name.endswith(target):
            return part
        begin = int(len(part) * place)
        return part[:begin] + sign + part[begin + 3 :]

    with contextlib.suppress(ServiceError):
        assert list(read(memoryview(changed(WHOLE, change)), ReadRequest()))
