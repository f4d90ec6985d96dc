from __future__ import annotations

import io
import zipfile

import made_documents as made
import pytest

from difyrpc_services.documents.formats.docx.numerals import written
from difyrpc_services.runtime.errors import InvalidArgument, ResourceExhausted

MANY_LEVELS = (
    '<w:abstractNum w:abstractNumId="1">'
    + made.level(0, "upperRoman", "ARTICLE %1")
    + made.level(1, "decimal", "Section %1.%2", extra="<w:isLgl/>")
    + made.level(2, "lowerLetter", "(%3)")
    + '</w:abstractNum><w:num w:numId="1"><w:abstractNumId w:val="1"/></w:num>'
)


def numbers(elements, build, numbering):
    return [element.number for element in elements("docx", made.word(build, numbering))]


def test_levels_count_and_restart(elements):
    def build(document):
        for level in (0, 1, 1, 2, 2, 1, 2, 0, 1):
            made.numbered(document, "text", 1, level)

    assert numbers(elements, build, MANY_LEVELS) == [
        "ARTICLE I",
        "Section 1.1",
        "Section 1.2",
        "(a)",
        "(b)",
        "Section 1.3",
        "(a)",
        "ARTICLE II",
        "Section 2.1",
    ]


def test_chinese_numbering_is_written_as_word_prints_it(elements):
    numbering = (
        '<w:abstractNum w:abstractNumId="1">'
        + made.level(0, "chineseCountingThousand", "第%1条", start=9)
        + made.level(1, "chineseCounting", "（%2）")
        + '</w:abstractNum><w:num w:numId="1"><w:abstractNumId w:val="1"/></w:num>'
    )

    def build(document):
        for level in (0, 1, 0, 0, 1):
            made.numbered(document, "内容", 1, level)

    assert numbers(elements, build, numbering) == ["第九条", "（一）", "第十条", "第十一条", "（一）"]


def test_lists_of_one_definition_go_on_unless_they_override_the_start(elements):
    numbering = (
        '<w:abstractNum w:abstractNumId="1">'
        + made.level(0, "decimal", "%1.")
        + '</w:abstractNum><w:num w:numId="1"><w:abstractNumId w:val="1"/></w:num>'
        '<w:num w:numId="2"><w:abstractNumId w:val="1"/></w:num>'
        '<w:num w:numId="3"><w:abstractNumId w:val="1"/>'
        '<w:lvlOverride w:ilvl="0"><w:startOverride w:val="5"/></w:lvlOverride></w:num>'
    )

    def build(document):
        for list_id in (1, 1, 2, 3, 3):
            made.numbered(document, "text", list_id)

    assert numbers(elements, build, numbering) == ["1.", "2.", "3.", "5.", "6."]


def test_a_level_that_never_restarts_goes_on(elements):
    numbering = (
        '<w:abstractNum w:abstractNumId="1">'
        + made.level(0, "decimal", "Chapter %1")
        + made.level(1, "decimal", "Article %2", extra='<w:lvlRestart w:val="0"/>')
        + '</w:abstractNum><w:num w:numId="1"><w:abstractNumId w:val="1"/></w:num>'
    )

    def build(document):
        for level in (0, 1, 1, 0, 1):
            made.numbered(document, "text", 1, level)

    assert numbers(elements, build, numbering) == ["Chapter 1", "Article 1", "Article 2", "Chapter 2", "Article 3"]


def test_bullets_have_no_number_and_number_zero_takes_numbering_away(elements):
    numbering = (
        '<w:abstractNum w:abstractNumId="1">'
        + made.level(0, "bullet", "•")
        + '</w:abstractNum><w:num w:numId="1"><w:abstractNumId w:val="1"/></w:num>'
    )

    def build(document):
        made.numbered(document, "point", 1)
        made.numbered(document, "plain", 0)

    found = elements("docx", made.word(build, numbering))
    assert [(element.kind, element.number, element.text) for element in found] == [
        ("list_item", "", "point"),
        ("paragraph", "", "plain"),
    ]


@pytest.mark.parametrize(
    ("number", "number_format", "text"),
    [
        (0, "decimal", "0"),
        (7, "decimalZero", "07"),
        (14, "lowerRoman", "xiv"),
        (28, "upperLetter", "BB"),
        (22, "ordinal", "22nd"),
        (113, "ordinal", "113th"),
        (21, "cardinalText", "Twenty-one"),
        (12, "ordinalText", "Twelfth"),
        (10, "chineseCounting", "十"),
        (15, "chineseCountingThousand", "十五"),
        (20, "chineseCountingThousand", "二十"),
        (105, "chineseCountingThousand", "一百零五"),
        (110, "chineseCountingThousand", "一百一十"),
        (1001, "chineseCountingThousand", "一千零一"),
        (1260, "chineseCountingThousand", "一千二百六十"),
        (10005, "chineseCountingThousand", "一万零五"),
        (15, "chineseLegalSimplified", "壹拾伍"),
        (105, "ideographDigital", "一〇五"),
        (3, "ideographTraditional", "丙"),
        (2, "decimalEnclosedCircle", "②"),
        (25, "decimalEnclosedCircle", "25"),
        (4, "decimalEnclosedParen", "⑷"),
        (3, "aFormatOfTheFuture", "3"),
    ],
)
def test_numbers_are_written_in_words_formats(number, number_format, text):
    assert written(number, number_format) == text


def test_headings_and_lists_have_levels(elements):
    def build(document):
        document.add_heading("Agreement", 0)
        document.add_heading("Terms", 1)
        document.add_heading("Price", 2)
        document.add_paragraph("The price is fixed.")
        document.add_paragraph("One point", style="List Bullet")

    found = elements("docx", made.word(build))
    assert [(element.kind, element.level) for element in found] == [
        ("title", 1),
        ("title", 1),
        ("title", 2),
        ("paragraph", 0),
        ("list_item", 1),
    ]
    assert found[3].heading_path == ("Terms", "Price")


def test_tables_have_spans_and_header_rows(elements):
    def build(document):
        table = document.add_table(3, 3)
        for row in range(3):
            for column in range(3):
                table.cell(row, column).text = f"{row}{column}"
        table.cell(0, 0).merge(table.cell(0, 1)).text = "wide"
        table.cell(1, 2).merge(table.cell(2, 2)).text = "tall"
        properties = table.rows[0]._tr.get_or_add_trPr()
        properties.append(properties.makeelement(f"{{{made.WORD_NAMESPACE}}}tblHeader", {}))

    (table,) = elements("docx", made.word(build))
    cells = [(c.row, c.column, c.row_span, c.column_span, c.text, c.header) for c in table.table.cells]
    assert cells == [
        (0, 0, 1, 2, "wide", True),
        (0, 2, 1, 1, "02", True),
        (1, 0, 1, 1, "10", False),
        (1, 1, 1, 1, "11", False),
        (1, 2, 2, 1, "tall", False),
        (2, 0, 1, 1, "20", False),
        (2, 1, 1, 1, "21", False),
    ]
    assert (table.table.rows, table.table.columns, table.table.header_rows) == (3, 3, 1)


def test_deleted_hidden_and_field_codes_are_left_out_and_insertions_kept(elements):
    body = (
        "<w:p><w:r><w:t>kept </w:t></w:r><w:del><w:r><w:delText>gone</w:delText></w:r></w:del>"
        "<w:ins><w:r><w:t>new </w:t></w:r></w:ins><w:r><w:rPr><w:vanish/></w:rPr><w:t>hidden</w:t></w:r>"
        "<w:r><w:instrText>PAGE</w:instrText></w:r><w:r><w:t>end</w:t></w:r></w:p>"
    )
    assert [element.text for element in elements("docx", made.bare_word(body))] == ["kept new end"]


def test_text_boxes_are_read_once(elements):
    inside = "<w:txbxContent><w:p><w:r><w:t>in the box</w:t></w:r></w:p></w:txbxContent>"
    body = (
        '<w:p><w:r><w:t>around</w:t></w:r><w:r><mc:AlternateContent xmlns:mc="http://schemas.openxmlformats.org/'
        f'markup-compatibility/2006"><mc:Choice Requires="wps"><w:drawing>{inside}</w:drawing></mc:Choice>'
        f"<mc:Fallback><w:pict>{inside}</w:pict></mc:Fallback></mc:AlternateContent></w:r></w:p>"
    )
    assert [element.text for element in elements("docx", made.bare_word(body))] == ["around", "in the box"]


def test_footnotes_follow_their_paragraph(elements):
    notes = (
        f'<w:footnotes xmlns:w="{made.WORD_NAMESPACE}"><w:footnote w:type="separator" w:id="0"><w:p/></w:footnote>'
        '<w:footnote w:id="2"><w:p><w:r><w:t>the note</w:t></w:r></w:p></w:footnote></w:footnotes>'
    ).encode()
    relations = (
        b'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" '
        b'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/footnotes" '
        b'Target="footnotes.xml"/></Relationships>'
    )
    body = (
        '<w:p><w:r><w:t>claim</w:t></w:r><w:r><w:footnoteReference w:id="2"/></w:r></w:p>'
        "<w:p><w:r><w:t>next</w:t></w:r></w:p>"
    )
    content = made.container(
        word__document_xml=made.document_xml(body),
        word__footnotes_xml=notes,
        **{"word___rels__document_xml.rels": relations},
    )
    found = elements("docx", content)
    assert [(element.kind, element.written) for element in found] == [
        ("paragraph", "claim"),
        ("footnote", "1 the note"),
        ("paragraph", "next"),
    ]


def test_strict_documents_are_read(elements):
    body = "<w:p><w:r><w:t>strict</w:t></w:r></w:p>"
    xml = made.document_xml(body).replace(
        made.WORD_NAMESPACE.encode(), b"http://purl.oclc.org/ooxml/wordprocessingml/main"
    )
    assert [element.text for element in elements("docx", made.container(word__document_xml=xml))] == ["strict"]


def test_headers_and_footers_are_apart(elements):
    def build(document):
        document.sections[0].header.paragraphs[0].text = "confidential"
        document.sections[0].footer.paragraphs[0].text = "page"
        document.add_paragraph("body")

    found = elements("docx", made.word(build))
    assert [(element.kind, element.text) for element in found] == [
        ("header", "confidential"),
        ("paragraph", "body"),
        ("footer", "page"),
    ]


def test_a_frame_of_one_cell_is_text(elements):
    def build(document):
        document.add_table(1, 1).cell(0, 0).text = "framed"

    assert [element.kind for element in elements("docx", made.word(build))] == ["paragraph"]


def test_pages_cannot_be_chosen(elements):
    with pytest.raises(InvalidArgument) as caught:
        elements("docx", made.bare_word(""), pages=((1, 1),))
    assert caught.value.reason == "NO_PAGES"


@pytest.mark.parametrize(
    "content",
    [
        made.container(word__document_xml=b"<broken"),
        made.container(word__document_xml=b"<w:document xmlns:w='x'/>"),
        made.container(word__other_xml=b"<a/>"),
        made.bare_word("<w:p/>")[:-30],
    ],
)
def test_broken_documents_are_corrupt(elements, content):
    with pytest.raises(InvalidArgument) as caught:
        elements("docx", content)
    assert caught.value.reason == "CORRUPT"


def test_entities_make_a_document_corrupt(elements):
    bomb = '<!DOCTYPE b [<!ENTITY a "aaaaaaaaaa"><!ENTITY c "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    secret = '<!DOCTYPE b [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    for head, name in ((bomb, "c"), (secret, "x")):
        with pytest.raises(InvalidArgument) as caught:
            elements("docx", made.bare_word(f"<w:p><w:r><w:t>&{name};</w:t></w:r></w:p>", head))
        assert caught.value.reason == "CORRUPT"


def test_a_zip_bomb_is_too_large(elements):
    content = made.container(word__document_xml=b" " * 20_000_000)
    assert len(content) < 100_000
    with pytest.raises(ResourceExhausted) as caught:
        elements("docx", content, max_expanded_bytes=10_000_000)
    assert caught.value.metadata["limit"] == "expanded_bytes"


def test_a_wide_span_does_not_grow_the_table(elements):
    cell = '<w:tc><w:tcPr><w:gridSpan w:val="2000000000"/></w:tcPr><w:p><w:r><w:t>x</w:t></w:r></w:p></w:tc>'
    body = f"<w:tbl><w:tr>{cell}</w:tr><w:tr><w:tc><w:p><w:r><w:t>y</w:t></w:r></w:p></w:tc></w:tr></w:tbl>"
    (table,) = elements("docx", made.bare_word(body))
    assert table.table.columns == 1


def test_parts_outside_of_the_container_are_not_read(elements):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("word/document.xml", made.document_xml("<w:p><w:r><w:t>body</w:t></w:r></w:p>"))
        file.writestr(
            "word/_rels/document.xml.rels",
            '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship '
            'Id="r" Type="x/numbering" Target="../../../../etc/passwd"/></Relationships>',
        )
    assert [element.text for element in elements("docx", buffer.getvalue())] == ["body"]


def test_automatic_numbers_of_articles_begin_paragraphs_like_typed_ones(elements):
    numbering = (
        '<w:abstractNum w:abstractNumId="91">'
        + made.level(0, "chineseCounting", "第%1条")
        + made.level(1, "chineseCounting", "（%2）")
        + '</w:abstractNum><w:num w:numId="91"><w:abstractNumId w:val="91"/></w:num>'
    )

    def build(document):
        made.numbered(document, "标的物", 91)
        made.numbered(document, "设备", 91, 1)
        document.add_paragraph("第二条 价款")

    found = elements("docx", made.word(build, numbering))
    assert [(element.kind, element.level, element.written) for element in found] == [
        ("paragraph", 0, "第一条 标的物"),
        ("list_item", 2, "（一） 设备"),
        ("paragraph", 0, "第二条 价款"),
    ]
