from __future__ import annotations

import zipfile
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from difyrpc_services.documents.formats import reader
from difyrpc_services.documents.formats.reading import ReadPart, ReadRequest
from difyrpc_services.runtime.errors import InvalidArgument, ResourceExhausted, ServiceError

NAMES = ("office", "style", "text", "table", "drawing:draw", "xsl-fo-compatible:fo", "svg-compatible:svg", "meta")
SPACES = (
    " ".join(
        f'xmlns:{name.rpartition(":")[2]}="urn:oasis:names:tc:opendocument:xmlns:{name.partition(":")[0]}:1.0"'
        for name in NAMES
    )
    + ' xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xlink="http://www.w3.org/1999/xlink"'
)
COMMON = """
<style:style style:name="Heading_20_1" style:display-name="Heading 1" style:family="paragraph"
  style:default-outline-level="1"/>
<style:style style:name="Title" style:family="paragraph"/>
<style:style style:name="Preformatted_20_Text" style:family="paragraph"/>
<style:style style:name="Bare" style:family="paragraph" style:list-style-name=""/>
<text:outline-style style:name="Outline">
  <text:outline-level-style text:level="1" style:num-format="I" style:num-suffix="."/>
  <text:outline-level-style text:level="2" style:num-format="1" text:display-levels="2"/>
</text:outline-style>
<text:list-style style:name="Numbers">
  <text:list-level-style-number text:level="1" style:num-format="1" style:num-suffix="."/>
  <text:list-level-style-number text:level="2" style:num-format="a" style:num-prefix="(" style:num-suffix=")"/>
</text:list-style>
<text:list-style style:name="Points"><text:list-level-style-bullet text:level="1"/></text:list-style>
<text:list-style style:name="Articles">
  <text:list-level-style-number text:level="1" style:num-format="一, 二, 三, ..."
    style:num-prefix="第" style:num-suffix="条"/>
</text:list-style>
"""


def odt(body: str, *, automatic: str = "", head: str = "", master: str = "", **parts: str) -> bytes:
    """An ODT of a body; `parts` are further ones by their names, `__` for a slash, `_xml` for `.xml`."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("mimetype", "application/vnd.oasis.opendocument.text")
        file.writestr(
            "content.xml",
            f"{head}<office:document-content {SPACES}><office:automatic-styles>{automatic}</office:automatic-styles>"
            f"<office:body><office:text>{body}</office:text></office:body></office:document-content>",
        )
        file.writestr(
            "styles.xml",
            f"<office:document-styles {SPACES}><office:styles>{COMMON}</office:styles>"
            f"<office:master-styles>{master}</office:master-styles></office:document-styles>",
        )
        for name, text in parts.items():
            file.writestr(name.replace("__", "/").replace("_xml", ".xml").replace("_1", " 1"), text)
    return buffer.getvalue()


def outcome(content: bytes) -> str:
    """The reason of a refusal; empty where there is none."""
    try:
        list(reader("odt")(memoryview(content), ReadRequest()))
    except ServiceError as error:
        return error.reason
    return ""


def item(*inside: str) -> str:
    return f"<text:list-item>{''.join(inside)}</text:list-item>"


def p(text: str, style: str = "") -> str:
    return f'<text:p text:style-name="{style}">{text}</text:p>'


def h(text: str, level: int = 1, more: str = "") -> str:
    return f'<text:h text:outline-level="{level}" {more}>{text}</text:h>'


def listed(style: str, *items: str, more: str = "") -> str:
    return f'<text:list text:style-name="{style}" {more}>{"".join(items)}</text:list>'


def written(elements, body: str, **more: str) -> list[str]:
    return [element.written for element in elements("odt", odt(body, **more))]


def test_text_has_the_spaces_that_are_stated_and_no_others(elements):
    body = p("\n  a<text:s text:c='2'/>b  c<text:tab/>d<text:line-break/>e <text:span> f</text:span>\n")
    assert written(elements, body) == ["a  b c\td\ne f"]


def test_headings_are_numbered_by_the_outline(elements):
    body = h("One") + h("Sub", 2) + h("Sub", 2) + h("Two") + h("Sub", 2) + h("No", 1, "text:is-list-header='true'")
    found = elements("odt", odt(body + h("Bare", 1, 'text:style-name="Bare"')))
    assert [(element.kind, element.level, element.written) for element in found] == [
        ("title", 1, "I. One"),
        ("title", 2, "I.1 Sub"),
        ("title", 2, "I.2 Sub"),
        ("title", 1, "II. Two"),
        ("title", 2, "II.1 Sub"),
        ("title", 1, "No"),
        ("title", 1, "Bare"),
    ]


def test_styles_say_what_a_paragraph_is(elements):
    automatic = (
        '<style:style style:name="P1" style:family="paragraph" style:parent-style-name="Title"/>'
        '<style:style style:name="T1" style:family="text"><style:text-properties fo:font-weight="bold"/></style:style>'
        '<style:style style:name="T2" style:family="text"><style:text-properties text:display="none"/></style:style>'
    )
    code = p("a", "Preformatted_20_Text") + p("<text:s text:c='2'/>b", "Preformatted_20_Text")
    body = p("Name", "P1") + p("<text:span text:style-name='T1'>bold</text:span>") + code
    found = elements("odt", odt(body + p("x<text:span text:style-name='T2'>hidden</text:span>"), automatic=automatic))
    assert [(element.kind, element.style, element.text, element.bold) for element in found] == [
        ("title", "Title", "Name", False),
        ("paragraph", "", "bold", True),
        ("code", "", "a\n  b", False),
        ("paragraph", "", "x", False),
    ]


def test_items_of_lists_have_the_numbers_that_are_printed(elements):
    inner = listed("", item(p("a1")), item(p("a2")))
    body = (
        listed("Numbers", item(p("one"), p("more of it")), item(p("two"), inner), item(p("three")))
        + listed("Numbers", item(p("four")), more='text:continue-numbering="true"')
        + listed("Numbers", item(p("one again")))
        + '<text:list text:style-name="Numbers"><text:list-item text:start-value="7">' + p("seven")
        + "</text:list-item></text:list>" + listed("Points", item(p("point"))) + listed("Articles", item(p("标的")))
    )  # fmt: skip
    assert written(elements, body) == [
        "1. one",
        "more of it",
        "2. two",
        "(a) a1",
        "(b) a2",
        "3. three",
        "4. four",
        "1. one again",
        "7. seven",
        "point",
        "第一条 标的",
    ]


def test_items_have_depths(elements):
    body = listed("Numbers", item(p("one"), listed("", item(p("a"))))) + listed("Points", item(p("x")))
    found = elements("odt", odt(body))
    assert [(element.kind, element.level) for element in found] == [
        ("list_item", 1),
        ("list_item", 2),
        ("list_item", 1),
    ]


def test_tables_have_spans_and_header_rows(elements):
    def cell(text: str, more: str = "") -> str:
        return f"<table:table-cell {more}>{p(text)}</table:table-cell>"

    covered = "<table:covered-table-cell/>"
    body = (
        "<table:table><table:table-column/><table:table-header-rows><table:table-row>"
        + cell("wide", 'table:number-columns-spanned="2"') + covered + cell("c")
        + "</table:table-row></table:table-header-rows><table:table-row>"
        + cell("tall", 'table:number-rows-spanned="2"') + cell("same", 'table:number-columns-repeated="2"')
        + "</table:table-row><table:table-row>" + covered + cell("x") + cell("y") + "</table:table-row></table:table>"
    )  # fmt: skip
    (table,) = elements("odt", odt(body))
    assert [(c.row, c.column, c.row_span, c.column_span, c.text, c.header) for c in table.table.cells] == [
        (0, 0, 1, 2, "wide", True),
        (0, 2, 1, 1, "c", True),
        (1, 0, 2, 1, "tall", False),
        (1, 1, 1, 1, "same", False),
        (1, 2, 1, 1, "same", False),
        (2, 1, 1, 1, "x", False),
        (2, 2, 1, 1, "y", False),
    ]


def test_notes_frames_and_pictures_hang_in_their_paragraph(elements):
    note = (
        '<text:note text:note-class="{}"><text:note-citation>{}</text:note-citation><text:note-body>{}'
        "</text:note-body></text:note>"
    )
    frame = f"<draw:frame><draw:text-box>{p('boxed')}</draw:text-box></draw:frame>"
    picture = "<draw:frame><draw:image/><svg:desc>A ship</svg:desc></draw:frame>"
    body = p("a" + note.format("footnote", "1", p("soon")) + "b" + note.format("endnote", "i", p("late")) + frame)
    found = elements(
        "odt", odt(body + p(picture) + p(f"<draw:custom-shape>{p('shape')}</draw:custom-shape>") + p("end"))
    )
    assert [(element.kind, element.written) for element in found] == [
        ("paragraph", "ab"),
        ("footnote", "1 soon"),
        ("paragraph", "boxed"),
        ("figure", "A ship"),
        ("paragraph", "shape"),
        ("paragraph", "end"),
        ("footnote", "i late"),
    ]


def test_deleted_and_hidden_text_and_comments_are_left_out():
    changes = (
        "<text:tracked-changes><text:changed-region>" + p("gone") + "</text:changed-region></text:tracked-changes>"
    )
    body = (
        changes + p("kept<office:annotation>" + p("remark") + "</office:annotation> too")
        + '<text:section text:display="none">' + p("hidden") + "</text:section>"
    )  # fmt: skip
    parts = list(reader("odt")(memoryview(odt(body)), ReadRequest()))
    assert [element.text for part in parts if isinstance(part, ReadPart) for element in part.elements] == ["kept too"]
    assert [notice.reason for part in parts for notice in part.notices] == ["COMMENTS_LEFT_OUT"]


def test_lines_of_a_table_of_contents_are_marked(elements):
    body = (
        "<text:table-of-content><text:table-of-content-source><text:index-title-template>no</text:index-title-template>"
        "</text:table-of-content-source><text:index-body><text:index-title>" + p("Contents") + "</text:index-title>"
        + p("One<text:tab/>1") + "</text:index-body></text:table-of-content>" + p("text")
    )  # fmt: skip
    found = elements("odt", odt(body))
    assert [(element.text, element.contents_entry) for element in found] == [
        ("Contents", False),
        ("One\t1", True),
        ("text", False),
    ]


def test_embedded_formulas_are_text(elements):
    math = '<math xmlns="http://www.w3.org/1998/Math/MathML"><mrow><mi>a</mi><mo>&lt;</mo><mn>2</mn></mrow></math>'
    body = p('if <draw:frame><draw:object xlink:href="./Object 1"/><draw:image/></draw:frame> then')
    assert written(elements, body, Object_1__content_xml=math) == ["if a < 2 then"]


def test_headers_and_footers_are_apart(elements):
    running = f"<style:header>{p('top')}</style:header><style:footer>{p('1')}</style:footer>"
    master = f"<style:master-page>{running}</style:master-page>"
    found = elements("odt", odt(p("text"), master=master))
    assert [(element.kind, element.text) for element in found] == [
        ("header", "top"),
        ("paragraph", "text"),
        ("footer", "1"),
    ]


def test_the_file_says_what_it_is():
    meta = (
        f"<office:document-meta {SPACES}><office:meta><dc:title>Name</dc:title><meta:initial-creator>Ann"
        "</meta:initial-creator><meta:keyword>x</meta:keyword><meta:keyword>y</meta:keyword>"
        "<meta:creation-date>2024-02-03T04:05:06</meta:creation-date></office:meta></office:document-meta>"
    )
    opened = next(iter(reader("odt")(memoryview(odt(p("x"), meta_xml=meta)), ReadRequest())))
    assert opened.metadata == {"title": "Name", "author": "Ann", "keywords": "x, y", "created": "2024-02-03T04:05:06"}


def test_an_encrypted_document_is_refused(elements):
    space = "urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"
    manifest = (
        f'<m:manifest xmlns:m="{space}"><m:file-entry m:full-path="content.xml"><m:encryption-data/></m:file-entry>'
        "</m:manifest>"
    )
    with pytest.raises(InvalidArgument) as caught:
        elements("odt", odt("", **{"META-INF__manifest_xml": manifest}))
    assert caught.value.reason == "ENCRYPTED"


def test_entities_make_a_document_corrupt(elements):
    bomb = '<!DOCTYPE b [<!ENTITY a "aaaaaaaaaa"><!ENTITY c "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    with pytest.raises(InvalidArgument) as caught:
        elements("odt", odt(p("&c;"), head=bomb))
    assert caught.value.reason == "CORRUPT"


@pytest.mark.parametrize("content", [odt(p("<broken")), odt("")[:-40], odt("</office:text>")])
def test_broken_documents_are_corrupt(elements, content):
    with pytest.raises(InvalidArgument) as caught:
        elements("odt", content)
    assert caught.value.reason == "CORRUPT"


FAR = (
    "<table:table><table:table-row><table:table-cell table:number-columns-repeated='999999'>"
    f"{p('x')}</table:table-cell></table:table-row></table:table>"
)


@pytest.mark.parametrize(
    ("body", "limit"),
    [
        ("<text:section>" * 3_000 + "</text:section>" * 3_000, "nesting"),
        (FAR, "table_cells"),
        (p(" " * 3_000_000), "expanded_bytes"),
    ],
)  # fmt: skip
def test_what_grows_without_end_is_refused(elements, body, limit):
    with pytest.raises(ResourceExhausted) as caught:
        elements("odt", odt(body), max_expanded_bytes=2_000_000)
    assert caught.value.metadata["limit"] == limit


NESTED = st.recursive(
    st.sampled_from(("x", "<text:s text:c='9999999'/>", "<draw:image/>", "<table:covered-table-cell/>")),
    lambda inside: st.builds(
        "<{0}>{1}</{0}>".format,
        st.sampled_from((
            "text:p", "text:h", "text:list", "text:list-item", "table:table", "table:table-row", "table:table-cell",
            "draw:frame", "draw:text-box", "text:note", "text:note-body", "text:note-citation", "text:span", "svg:desc",
            "draw:rect", "text:index-body", "text:index-title", "table:table-header-rows", "text:ruby-text",
        )),
        st.lists(inside, max_size=4).map("".join),
    ),
    max_leaves=12,
)  # fmt: skip


@given(NESTED)
@settings(max_examples=120, deadline=None)
def test_elements_in_any_order_end_in_elements_or_in_a_reason(body):
    assert outcome(odt(body)) in ("", "CORRUPT", "TOO_LARGE")
