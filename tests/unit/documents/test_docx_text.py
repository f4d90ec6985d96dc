from __future__ import annotations

import zipfile
from io import BytesIO

import made_documents as made
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from difyrpc_services.documents.formats import reader
from difyrpc_services.documents.formats.reading import ReadPart, ReadRequest
from difyrpc_services.runtime.errors import InvalidArgument, ResourceExhausted, ServiceError

MC = 'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
M = 'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"'
R = 'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def paragraph(inside: str, properties: str = "") -> str:
    return f"<w:p>{properties and f'<w:pPr>{properties}</w:pPr>'}{inside}</w:p>"


def run(text: str, properties: str = "") -> str:
    return f'<w:r>{properties and f"<w:rPr>{properties}</w:rPr>"}<w:t xml:space="preserve">{text}</w:t></w:r>'


def texts(elements, body: str) -> list[str]:
    return [element.written for element in elements("docx", made.bare_word(body))]


def with_parts(body: str, **parts: tuple[str, str]) -> bytes:
    """A DOCX with further parts, each by its kind of relation and its XML; `rId` is the kind."""
    relations = "".join(
        f'<Relationship Id="{kind}" Type="{OFFICE}/{kind}" Target="{kind}.{"html" if kind == "aFChunk" else "xml"}"/>'
        for kind in parts
    )
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("word/document.xml", made.document_xml(body))
        file.writestr(
            "word/_rels/document.xml.rels",
            f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{relations}'
            "</Relationships>",
        )
        for kind, (root, inside) in parts.items():
            name = root.partition(" ")[0]
            ending = "html" if kind == "aFChunk" else "xml"
            file.writestr(f"word/{kind}.{ending}", f"<{root}>{inside}</{name}>")
    return buffer.getvalue()


def outcome(content: bytes) -> str:
    """The reason of a refusal; empty where there is none."""
    try:
        list(reader("docx")(memoryview(content), ReadRequest()))
    except ServiceError as error:
        return error.reason
    return ""


FIELD = '<w:r><w:fldChar w:fldCharType="{}"/></w:r>'


def test_results_of_fields_are_text_and_instructions_are_not(elements):
    body = paragraph(
        run("page ")
        + FIELD.format("begin")
        + "<w:r><w:instrText>IF </w:instrText></w:r>"
        + FIELD.format("begin")
        + "<w:r><w:instrText>PAGE</w:instrText></w:r>"
        + FIELD.format("separate")
        + run("inner")
        + FIELD.format("end")
        + FIELD.format("separate")
        + run("4")
        + FIELD.format("end")
        + '<w:fldSimple w:instr="NUMPAGES">'
        + run(" of 9")
        + "</w:fldSimple>"
    )
    assert texts(elements, body) == ["page 4 of 9"]


def test_a_field_that_never_ends_takes_no_other_paragraph_with_it(elements):
    assert texts(elements, paragraph(FIELD.format("begin") + run("lost")) + paragraph(run("kept"))) == ["kept"]


def test_lines_of_a_contents_field_are_entries_whatever_their_style(elements):
    begin = FIELD.format("begin") + '<w:r><w:instrText> TOC \\o "1-3"</w:instrText></w:r>' + FIELD.format("separate")
    body = paragraph(begin + run("One\t1")) + paragraph(run("Two\t2")) + paragraph(FIELD.format("end") + run("Text"))
    found = elements("docx", made.bare_word(body))
    assert [(element.text, element.contents_entry) for element in found] == [
        ("One\t1", True),
        ("Two\t2", True),
        ("Text", False),
    ]


def test_what_a_deleted_paragraph_end_parted_is_one_paragraph(elements):
    deleted = '<w:rPr><w:del w:id="1" w:author="a"/></w:rPr>'
    body = paragraph(run("first half "), deleted) + paragraph(run("second half"))
    assert texts(elements, body) == ["first half second half"]


def test_moved_text_stands_where_it_went(elements):
    body = paragraph('<w:moveFrom w:id="1">' + run("moved") + "</w:moveFrom>" + run("stays")) + paragraph(
        '<w:moveTo w:id="2">' + run("moved") + "</w:moveTo>"
    )
    assert texts(elements, body) == ["stays", "moved"]


def test_a_deleted_row_is_left_out_and_the_reader_is_told():
    row = "<w:tr>{}<w:tc>{}</w:tc><w:tc>{}</w:tc></w:tr>"
    deleted = '<w:trPr><w:del w:id="1"/></w:trPr>'
    cells = [paragraph(run(text)) for text in ("a", "b", "c", "d", "e", "f")]
    body = "<w:tbl>" + row.format("", *cells[:2]) + row.format(deleted, *cells[2:4]) + row.format("", *cells[4:])
    parts = list(reader("docx")(memoryview(made.bare_word(body + "</w:tbl>")), ReadRequest()))
    (table,) = [element for part in parts if isinstance(part, ReadPart) for element in part.elements]
    assert table.table.grid() == [["a", "b"], ["e", "f"]]
    assert [n.reason for part in parts for n in part.notices] == ["DELETIONS_LEFT_OUT"]


def test_comments_are_no_text_and_the_reader_is_told():
    body = paragraph(run("text") + '<w:r><w:commentReference w:id="0"/></w:r>')
    parts = list(reader("docx")(memoryview(made.bare_word(body)), ReadRequest()))
    assert [notice.reason for part in parts for notice in part.notices] == ["COMMENTS_LEFT_OUT"]


@pytest.mark.parametrize(
    ("sign", "text"),
    [
        ("<w:tab/>", "a\tb"),
        ("<w:br/>", "a\nb"),
        ('<w:br w:type="page"/>', "a\nb"),
        ("<w:noBreakHyphen/>", "a-b"),
        ("<w:softHyphen/>", "ab"),
        ('<w:sym w:font="Wingdings" w:char="F0FE"/>', "a☑b"),
        ('<w:sym w:font="Symbol" w:char="F061"/>', "aαb"),
        ("<w:ruby><w:rt>" + run("x") + "</w:rt><w:rubyBase>" + run("y") + "</w:rubyBase></w:ruby>", "ayb"),
    ],
)  # fmt: skip
def test_signs_that_have_tags_of_their_own(elements, sign, text):
    body = paragraph(f"<w:r><w:t>a</w:t>{sign}</w:r><w:r><w:t>b</w:t></w:r>")
    assert texts(elements, body) == [text]


def test_letters_of_symbol_fonts_are_read_as_they_print(elements):
    body = paragraph(run("\uf070", '<w:rFonts w:ascii="Symbol"/>') + run("\uf0fc", '<w:rFonts w:ascii="Wingdings"/>'))
    assert texts(elements, body) == ["π✓"]


def test_soft_hyphens_inside_words_are_not_there(elements):
    assert texts(elements, paragraph(run("Sil\u00adben\u00adtren\u00adnung"))) == ["Silbentrennung"]


@pytest.mark.parametrize(("state", "sign"), [("<w:checked/>", "☒"), ('<w:default w:val="0"/>', "☐")])
def test_check_boxes_of_forms_show_whether_they_are_checked(elements, state, sign):
    box = f"<w:ffData><w:checkBox><w:sizeAuto/>{state}</w:checkBox></w:ffData>"
    body = paragraph(
        f'<w:r><w:fldChar w:fldCharType="begin">{box}</w:fldChar></w:r>' + FIELD.format("end") + run(" yes")
    )
    assert texts(elements, body) == [f"{sign} yes"]


def test_content_controls_are_read_wherever_they_stand(elements):
    control = "<w:sdt><w:sdtPr><w:alias w:val='x'/></w:sdtPr><w:sdtContent>{}</w:sdtContent></w:sdt>"
    row = "<w:tr>" + control.format("<w:tc>" + paragraph(run("cell")) + "</w:tc>") + "<w:tc><w:p/></w:tc></w:tr>"
    body = control.format(paragraph(run("block"))) + paragraph(control.format(run("inline")))
    found = texts(elements, body + "<w:tbl>" + control.format(row) + "</w:tbl>")
    assert found == ["block", "inline", "cell\t"]


def test_the_fallback_counts_where_no_choice_is_made(elements):
    inside = "<w:txbxContent>" + paragraph(run("old")) + "</w:txbxContent>"
    body = paragraph(f"<w:r><mc:AlternateContent {MC}><mc:Fallback><w:pict>{inside}</w:pict></mc:Fallback>"
                     "</mc:AlternateContent></w:r>")  # fmt: skip
    assert texts(elements, body) == ["old"]


def test_a_text_box_inside_a_text_box_is_read_once_in_each_form(elements):
    def box(inside: str) -> str:
        drawn = f"<w:txbxContent>{inside}</w:txbxContent>"
        return (
            f"<w:r><mc:AlternateContent {MC}><mc:Choice><w:drawing>{drawn}</w:drawing></mc:Choice>"
            f"<mc:Fallback><w:pict>{drawn}</w:pict></mc:Fallback></mc:AlternateContent></w:r>"
        )

    inner = paragraph(run("outer") + box(paragraph(run("inner"))))
    assert texts(elements, paragraph(run("text") + box(inner))) == ["text", "outer", "inner"]


@pytest.mark.parametrize(
    ("formula", "text"),
    [
        ("<m:f><m:num><m:r><m:t>a+b</m:t></m:r></m:num><m:den><m:r><m:t>c</m:t></m:r></m:den></m:f>", "(a+b)/c"),
        ("<m:sSup><m:e><m:r><m:t>x</m:t></m:r></m:e><m:sup><m:r><m:t>2</m:t></m:r></m:sup></m:sSup>", "x²"),
        ("<m:rad><m:deg/><m:e><m:r><m:t>y</m:t></m:r></m:e></m:rad>", "√(y)"),
        ("<m:d><m:e><m:r><m:t>a</m:t></m:r></m:e></m:d>", "(a)"),
    ],
)
def test_formulas_are_written_on_a_line(elements, formula, text):
    assert texts(elements, paragraph(run("f: ") + f"<m:oMath {M}>{formula}</m:oMath>")) == [f"f: {text}"]


def test_endnotes_stand_at_the_end_and_count_apart(elements):
    word = f'xmlns:w="{made.WORD_NAMESPACE}"'
    body = paragraph(run("one") + '<w:r><w:endnoteReference w:id="1"/></w:r><w:r><w:footnoteReference w:id="1"/></w:r>')
    content = with_parts(
        body + paragraph(run("two")),
        endnotes=(f"w:endnotes {word}", '<w:endnote w:id="1">' + paragraph(run("late")) + "</w:endnote>"),
        footnotes=(f"w:footnotes {word}", '<w:footnote w:id="1">' + paragraph(run("soon")) + "</w:footnote>"),
    )
    assert [element.written for element in elements("docx", content)] == ["one", "1 soon", "two", "i late"]


def test_notes_and_figures_of_cells_stand_behind_their_table(elements):
    word = f'xmlns:w="{made.WORD_NAMESPACE}"'
    cell = "<w:tc>" + paragraph(run("cell") + '<w:r><w:footnoteReference w:id="1"/></w:r>') + "</w:tc>"
    content = with_parts(
        f"<w:tbl><w:tr>{cell}<w:tc>{paragraph(run('next'))}</w:tc></w:tr></w:tbl>",
        footnotes=(f"w:footnotes {word}", '<w:footnote w:id="1">' + paragraph(run("note")) + "</w:footnote>"),
    )
    assert [(element.kind, element.written) for element in elements("docx", content)] == [
        ("table", "cell\tnext"),
        ("footnote", "1 note"),
    ]


def test_documents_that_are_set_in_are_read(elements):
    body = paragraph(run("before")) + f'<w:altChunk {R} r:id="aFChunk"/>' + paragraph(run("after"))
    content = with_parts(body, aFChunk=("html", "<body><p>set in</p></body>"))
    assert [element.text for element in elements("docx", content)] == ["before", "set in", "after"]


def test_diagrams_say_what_stands_in_their_nodes(elements):
    space = 'xmlns:dgm="http://schemas.openxmlformats.org/drawingml/2006/diagram"'
    letters = 'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"'
    point = "<dgm:pt{}><dgm:t><a:p><a:r><a:t>{}</a:t></a:r></a:p></dgm:t></dgm:pt>"
    body = paragraph(f'<w:r><w:drawing><dgm:relIds {space} {R} r:dm="diagramData"/></w:drawing></w:r>')
    nodes = point.format("", "Plan") + point.format(' type="parTrans"', "no") + point.format("", "Do")
    content = with_parts(body, diagramData=(f"dgm:dataModel {space} {letters}", nodes))
    assert [element.text for element in elements("docx", content)] == ["Plan", "Do"]


def test_pictures_are_figures_with_the_text_that_describes_them(elements):
    picture = '<w:r><w:drawing><wp:docPr id="1" descr="{}"/><a:blip/></w:drawing></w:r>'
    body = "".join(paragraph(picture.format(text)) for text in ("A ship &amp; its crew", "image1.png"))
    found = elements("docx", made.bare_word(body))
    assert [(element.kind, element.text) for element in found] == [("figure", "A ship & its crew"), ("figure", "")]


def test_paragraphs_of_code_styles_are_one_element_with_their_spaces(elements):
    def build(document):
        document.styles.add_style("Source Code", 1)
        for line in ("def f():", "    return 1"):
            document.add_paragraph(line, style="Source Code")
        document.add_paragraph("text")

    found = elements("docx", made.word(build))
    assert [(element.kind, element.text) for element in found] == [
        ("code", "def f():\n    return 1"),
        ("paragraph", "text"),
    ]


def test_a_nested_table_is_text_of_its_cell(elements):
    def build(document):
        cell = document.add_table(1, 2).cell(0, 0)
        cell.text = "outer"
        inner = cell.add_table(1, 2)
        inner.cell(0, 0).text, inner.cell(0, 1).text = "x", "y"

    (table,) = elements("docx", made.word(build))
    assert table.table.grid() == [["outer\nx\ty", ""]]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("w:", "ns0:"),
        ("<w:r>", "<w:r><!-- a remark -->"),
        ('"preserve"', "'preserve'"),
        ("<w:r>", "<w:r ><?a target?>"),
        ("kept", "<![CDATA[kept]]>"),
    ],
)
def test_other_ways_to_write_the_same_xml_are_read_alike(elements, old, new):
    xml = made.document_xml(paragraph(run("kept &lt;", "<w:b/>"))).decode()
    changed = xml.replace(old, new).replace("xmlns:w=", f"xmlns:{new[:-1]}=" if old == "w:" else "xmlns:w=")
    (element,) = elements("docx", made.container(word__document_xml=changed.encode()))
    assert (element.text, element.bold) == ("kept <", True)


def test_xml_in_utf_16_is_read(elements):
    xml = '<?xml version="1.0" encoding="UTF-16"?>' + made.document_xml(paragraph(run("wide"))).decode()
    (element,) = elements("docx", made.container(word__document_xml=xml.encode("utf-16")))
    assert element.text == "wide"


@pytest.mark.parametrize("cut", ["</w:p>", "</w:tbl>", "</w:tr>", "</w:tc>", "</w:rPr>"])
def test_an_end_that_is_missing_makes_a_document_corrupt(elements, cut):
    table = "<w:tbl><w:tr><w:tc>" + paragraph("<w:r><w:rPr><w:b/></w:rPr><w:tab/></w:r>") + "</w:tc></w:tr></w:tbl>"
    body = (paragraph(run("text")) + table).replace(cut, "", 1)
    with pytest.raises(InvalidArgument) as caught:
        elements("docx", made.bare_word(body))
    assert caught.value.reason == "CORRUPT"


def test_nesting_without_end_is_refused(elements):
    depth = 2_000
    body = "<w:tbl><w:tr><w:tc>" * depth + "</w:tc></w:tr></w:tbl>" * depth
    with pytest.raises(ResourceExhausted) as caught:
        elements("docx", made.bare_word(body))
    assert caught.value.metadata["limit"] == "nesting"


def test_properties_without_end_take_no_longer_than_others(elements):
    with pytest.raises(InvalidArgument):
        elements("docx", made.bare_word("<w:p><w:r><w:rPr>" * 200_000))


PIECES = (
    *("<w:p>", "</w:p>", "<w:p/>", "<w:r>", "</w:r>", "<w:t>x</w:t>", "<w:tbl>", "</w:tbl>", "<w:tr>", "</w:tr>"),
    *(
        "<w:tc>",
        "</w:tc>",
        "<w:tcPr>",
        "</w:tcPr>",
        "<w:pPr>",
        "</w:pPr>",
        "<w:del>",
        "</w:del>",
        "<w:rPr>",
        "</w:rPr>",
    ),
    *("<w:txbxContent>", "</w:txbxContent>", "<mc:Choice>", "</mc:Choice>", "<mc:Fallback>", "</mc:Fallback>", "<!"),
    *("<mc:AlternateContent>", "</mc:AlternateContent>", '<w:fldChar w:fldCharType="begin"/>', "&amp;", "<w:drawing>"),
    *('<w:fldChar w:fldCharType="end"/>', '<w:gridSpan w:val="-5"/>', "<m:oMath>", "</m:oMath>", "<w:sym/>", "<w:"),
)


@given(st.lists(st.sampled_from(PIECES), max_size=30))
@settings(max_examples=80, deadline=None)
def test_tags_in_any_order_end_in_elements_or_in_a_reason(pieces):
    assert outcome(made.bare_word("".join(pieces))) in ("", "CORRUPT", "TOO_LARGE")
