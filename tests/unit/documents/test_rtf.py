from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from difyrpc_services.documents.formats import reader
from difyrpc_services.documents.formats.reading import ReadPart, ReadRequest
from difyrpc_services.runtime.errors import InvalidArgument, ResourceExhausted, ServiceError

FONTS = r"{\fonttbl{\f0\fcharset0 Times;}{\f1\fcharset204 Times CYR;}{\f2\fcharset134 SimSun;}{\f3\fcharset2 Symbol;}}"


def rtf(body: str | bytes, head: str = r"\ansi\ansicpg1252\deff0") -> bytes:
    inside = body.encode("ascii") if isinstance(body, str) else body
    return rb"{\rtf1" + head.encode() + FONTS.encode() + inside + b"}"


def escaped(text: str, encoding: str) -> str:
    return "".join(f"\\'{byte:02x}" for byte in text.encode(encoding))


def texts(elements, body: str | bytes, **more: str) -> list[str]:
    return [element.written for element in elements("rtf", rtf(body, **more))]


def outcome(content: bytes) -> str:
    """The reason of a refusal; empty where there is none."""
    try:
        list(reader("rtf")(memoryview(content), ReadRequest()))
    except ServiceError as error:
        return error.reason
    return ""


def parts(body: str):
    return list(reader("rtf")(memoryview(rtf(body)), ReadRequest()))


def test_paragraphs_and_their_signs(elements):
    assert texts(elements, r"One\par Two \endash\~three\line four\par {\b\i five} six\-seven\_eight\par") == [
        "One",
        "Two – three\nfour",
        "five sixseven-eight",
    ]


@pytest.mark.parametrize(
    ("page", "encoding", "text"),
    [
        (1252, "cp1252", "Übergröße"),
        (1251, "cp1251", "Уважаемый"),
        (936, "gbk", "合同编号"),
        (932, "cp932", "表示する"),
        (949, "cp949", "계약서"),
        (950, "big5", "合約編號"),
        (10000, "mac_roman", "café"),
    ],
)
def test_bytes_are_read_in_the_code_page_of_the_file(elements, page, encoding, text):
    head = rf"\ansi\ansicpg{page}"
    content = rb"{\rtf1" + head.encode() + rb"\pard " + escaped(text, encoding).encode() + rb"\par}"
    assert [element.text for element in elements("rtf", content)] == [text]
    raw = rb"{\rtf1" + head.encode() + rb"\pard "
    for byte in text.encode(encoding):  # a second byte may be a letter, a brace or a backslash
        raw += bytes((byte,)) if byte not in b"\\{}" else b"\\" + bytes((byte,))
    assert [element.text for element in elements("rtf", raw + rb"\par}")] == [text]


def test_bytes_are_read_in_the_charset_of_their_font(elements):
    body = rf"\f1 {escaped('мир', 'cp1251')} \f2 {escaped('世界', 'gbk')}\f0  {escaped('é', 'cp1252')}\par"
    assert texts(elements, body) == ["мир 世界 é"]


def test_unicode_stands_for_what_old_programs_are_shown(elements):
    assert texts(elements, r"\uc1\u20013?\u-32413\'3f \uc2\u8364\'80\'80\uc0\u945 x{\uc1 \u946 ?}\par") == ["中腣 €αxβ"]


def test_characters_beyond_the_basic_plane_come_in_two_halves(elements):
    assert texts(elements, r"\u-10179?\u-8704?\par") == ["😀"]


def test_letters_of_symbol_fonts_are_read_as_they_print(elements):
    assert texts(elements, r"{\f3 \'b7\'a3}\u-3999? \par") == ["•≤α"]


def test_hidden_and_deleted_text_and_unknown_destinations_are_left_out():
    found = parts(r"kept {\v hidden}{\deleted gone}{\*\unknown lost}{\pict 00ff}{\xe index}end\par")
    assert [element.text for part in found if isinstance(part, ReadPart) for element in part.elements] == ["kept end"]
    assert [notice.reason for part in found for notice in part.notices] == ["DELETIONS_LEFT_OUT"]


def test_raw_bytes_may_hold_braces(elements):
    body = rb"before {\pict\bin6 }}{{\\}after\par" + rb"{\bin3 }}}next\par}"
    assert texts(elements, body) == ["before after", "next"]


def test_results_of_fields_are_text(elements):
    body = r'{\field{\*\fldinst{HYPERLINK "http://x"}}{\fldrslt{\ul link}}} end\par'
    assert texts(elements, body) == ["link end"]


def test_headings_come_from_styles_and_outline_levels(elements):
    sheet = r"{\stylesheet{\s0 Normal;}{\s1\b heading 1;}{\s2\outlinelevel1 Clause;}{\*\cs3 Strong;}}"
    body = sheet + r"\pard\s1 First\par\pard\s2 Second\par\pard\outlinelevel2 Third\par\pard\s0 text\par"
    found = elements("rtf", rtf(body))
    assert [(element.kind, element.level, element.style) for element in found] == [
        ("title", 1, "heading 1"),
        ("title", 2, "Clause"),
        ("title", 3, "Normal"),
        ("paragraph", 0, "Normal"),
    ]


def test_numbers_of_lists_stand_before_their_items(elements):
    body = r"{\listtext\pard 1.\tab}\ls1\ilvl0 one\par{\pntext\f3\'b7\tab}\ilvl1 point\par\pard plain\par"
    found = elements("rtf", rtf(body))
    assert [(element.kind, element.level, element.number, element.text) for element in found] == [
        ("list_item", 1, "1.", "one"),
        ("list_item", 2, "", "point"),
        ("paragraph", 0, "", "plain"),
    ]


def test_tables_have_spans_and_header_rows(elements):
    body = (
        r"\trowd\trhdr\cellx1000\cellx3000\pard\intbl H1\cell H2\cell\row"
        r"\trowd\clvmgf\cellx1000\cellx2000\cellx3000\pard\intbl tall\cell a\par b\cell c\cell\row"
        r"\trowd\clvmrg\cellx1000\clmgf\cellx2000\clmrg\cellx3000\pard\intbl\cell wide\cell\cell\row\pard after\par"
    )
    table, after = elements("rtf", rtf(body))
    assert [(c.row, c.column, c.row_span, c.column_span, c.text, c.header) for c in table.table.cells] == [
        (0, 0, 1, 1, "H1", True),
        (0, 1, 1, 2, "H2", True),
        (1, 0, 2, 1, "tall", False),
        (1, 1, 1, 1, "a\nb", False),
        (1, 2, 1, 1, "c", False),
        (2, 1, 1, 2, "wide", False),
    ]
    assert after.text == "after"


def test_a_table_inside_a_table_is_text_of_its_cell(elements):
    body = (
        r"\trowd\cellx1000\cellx2000\pard\intbl\itap1 outer\par\pard\intbl\itap2 x\nestcell y\nestcell"
        r"{\*\nesttableprops\trowd\cellx400\cellx800\nestrow}{\nonesttables lost\par}\pard\intbl\itap1 end\cell"
        r" z\cell\row\pard\itap0 text\par"
    )
    table, text = elements("rtf", rtf(body))
    assert table.table.grid() == [["outer\nx\ty\nend", "z"]]
    assert text.text == "text"


def test_notes_headers_and_text_boxes_are_apart(elements):
    body = (
        r"{\header running\par}claim{\footnote\pard {\super\chftn} the note}{\shp{\*\shpinst{\sp{\sn x}{\sv y}}"
        r"{\shptxt boxed\par}}{\shprslt lost\par}}\par next{\footnote\ftnalt late}\par"
    )
    found = elements("rtf", rtf(body))
    assert [(element.kind, element.written) for element in found] == [
        ("paragraph", "claim"),
        ("footnote", "1 the note"),
        ("paragraph", "boxed"),
        ("paragraph", "next"),
        ("footnote", "2 late"),
        ("header", "running"),
    ]


def test_a_table_of_contents_is_marked(elements):
    body = r"{\field{\*\fldinst TOC \\o}{\fldrslt One\tab 1\par Two\tab 2\par}}\pard text\par"
    found = elements("rtf", rtf(body))
    assert [(element.text, element.contents_entry) for element in found] == [
        ("One\t1", True),
        ("Two\t2", True),
        ("text", False),
    ]


def test_the_file_says_what_it_is():
    info = (
        r"{\info{\title A {\b B}}{\upr{\author J?}{\*\ud{\author J\u246?}}}{\creatim\yr2024\mo2\dy3\hr4\min5}"
        r"{\keywords x, y}}text\par"
    )
    assert parts(info)[0].metadata == {
        "title": "A B",
        "author": "Jö",
        "created": "2024-02-03T04:05:00",
        "keywords": "x, y",
    }


def test_what_stands_behind_the_file_is_no_part_of_it(elements):
    assert [element.text for element in elements("rtf", rtf(r"text\par") + b"\x00junk{more\\par}")] == ["text"]


def test_a_truncated_file_is_read_and_the_reader_is_told():
    found = list(reader("rtf")(memoryview(rtf(r"one\par two")[:-1]), ReadRequest()))
    assert [element.text for part in found if isinstance(part, ReadPart) for element in part.elements] == ["one", "two"]
    assert [notice.reason for part in found for notice in part.notices] == ["TRUNCATED_FILE"]


@pytest.mark.parametrize("content", [b"{\\rtf1\\ansi{\\fonttbl", b"text", b"{\\rt"])
def test_what_has_no_text_and_no_end_is_corrupt(elements, content):
    with pytest.raises(InvalidArgument) as caught:
        elements("rtf", content)
    assert caught.value.reason == "CORRUPT"


def test_nesting_without_end_is_refused(elements):
    with pytest.raises(ResourceExhausted) as caught:
        elements("rtf", rtf("{" * 100_000))
    assert caught.value.metadata["limit"] == "nesting"


def test_pages_cannot_be_chosen(elements):
    with pytest.raises(InvalidArgument) as caught:
        elements("rtf", rtf("x"), pages=((1, 1),))
    assert caught.value.reason == "NO_PAGES"


PIECES = (
    *("{", "}", "\\par ", "\\cell ", "\\row ", "\\trowd ", "\\cellx100 ", "\\cellx-5 ", "\\intbl ", "\\itap9 ", "text"),
    *("\\nestcell ", "\\nestrow ", "\\footnote ", "\\header ", "\\shptxt ", "\\u-1 ", "\\u70000 ", "\\uc9999999999 "),
    *(
        "\\bin4 ",
        "\\'zz",
        "\\'ff",
        "\\*",
        "\\listtext ",
        "\\stylesheet ",
        "\\fonttbl ",
        "\\s5 ",
        "\\f2 ",
        "\\upr ",
        "\\",
    ),
    *(
        "\\clvmrg ",
        "\\clmrg ",
        "\\fldinst ",
        "\\fldrslt ",
        "TOC",
        "\\creatim ",
        "\\yr99999 ",
        "\\ansicpg77 ",
        "\\cpg1 ",
    ),
    *("\\nesttableprops ", "\\pict ", "\\plain ", "\\pard ", "\\title ", "\\deleted ", "\\ilvl-3 ", "\\fcharset2 "),
)


@given(st.lists(st.sampled_from(PIECES), max_size=40))
@settings(max_examples=120, deadline=None)
def test_words_in_any_order_end_in_elements_or_in_a_reason(pieces):
    assert outcome(rtf("".join(pieces))) in ("", "CORRUPT", "TOO_LARGE")


@given(st.binary(max_size=300))
@settings(max_examples=80, deadline=None)
def test_any_bytes_end_in_elements_or_in_a_reason(data):
    assert outcome(b"{\\rtf1 " + data) in ("", "CORRUPT", "TOO_LARGE")
