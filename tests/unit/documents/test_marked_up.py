"""HTML, Markdown and plain text."""

from __future__ import annotations

import pytest

from difyrpc_services.documents.formats import reader
from difyrpc_services.documents.formats.reading import Opened, ReadRequest


def seen(found):
    return [(element.kind, element.level, element.text) for element in found]


def test_html_blocks_become_elements(elements):
    html = (
        b"<html><body><nav>menu</nav><h1>Head <b>line</b></h1><p>Para <i>one</i><br>two</p>loose"
        b"<ul><li>a<ul><li>a1</li></ul></li><li><p>b</p></li></ul><pre>x\n  y</pre><footer>foot</footer></body></html>"
    )
    assert seen(elements("html", html)) == [
        ("header", 0, "menu"),
        ("title", 1, "Head line"),
        ("paragraph", 0, "Para one\ntwo"),
        ("paragraph", 0, "loose"),
        ("list_item", 1, "a"),
        ("list_item", 2, "a1"),
        ("list_item", 1, "b"),
        ("code", 0, "x\n  y"),
        ("footer", 0, "foot"),
    ]


def test_scripts_styles_and_hidden_text_are_left_out(elements):
    html = (
        b"<body><script>alert(1)</script><style>p{}</style><p style='display: none'>a</p><p hidden>b</p>"
        b"<template>c</template><p>shown</p></body>"
    )
    assert seen(elements("html", html)) == [("paragraph", 0, "shown")]


def test_html_tables_have_spans_and_headers(elements):
    html = b"<table><tr><th>A<th colspan=2>B</tr><tr><td rowspan=2>1<td>2<td>3</tr><tr><td>4<td>5</tr></table>"
    (table,) = elements("html", html)
    cells = [(c.row, c.column, c.row_span, c.column_span, c.text, c.header) for c in table.table.cells]
    assert cells == [
        (0, 0, 1, 1, "A", True),
        (0, 1, 1, 2, "B", True),
        (1, 0, 2, 1, "1", False),
        (1, 1, 1, 1, "2", False),
        (1, 2, 1, 1, "3", False),
        (2, 1, 1, 1, "4", False),
        (2, 2, 1, 1, "5", False),
    ]


def test_a_layout_table_is_read_as_blocks(elements):
    html = b"<table><tr><td><p>only</p><p>cell</p></td></tr></table>"
    assert seen(elements("html", html)) == [("paragraph", 0, "only"), ("paragraph", 0, "cell")]


def test_a_huge_span_ends_with_the_table(elements):
    (table,) = elements("html", b"<table><tr><td rowspan=999999999 colspan=65534>x<td>y<tr><td>z</table>")
    assert table.table.rows <= 3
    assert all(cell.row + cell.row_span <= table.table.rows for cell in table.table.cells)
    assert all(cell.column + cell.column_span <= table.table.columns for cell in table.table.cells)


def test_deep_html_is_read(elements):
    html = b"<div>" * 20_000 + b"deep" + b"</div>" * 20_000
    assert seen(elements("html", html)) == [("paragraph", 0, "deep")]


def test_html_knows_its_title_and_its_stated_encoding():
    html = '<meta charset="gb2312"><title>合同</title><body><p>第一条 总则'.encode("gb18030")
    opened, part = reader("html")(memoryview(html), ReadRequest())
    assert isinstance(opened, Opened)
    assert opened.metadata["title"] == "合同"
    assert part.elements[0].text == "第一条 总则"


def test_markdown_becomes_elements(elements):
    markdown = (
        b"# Head\npara *one*\ntwo\n\n- a\n  - b\n\n1. c\n\n| A | B |\n|---|---|\n| 1 | 2 |\n\n```python\nx = 1\n```\n"
        b"\n![alt](x.png)\n"
    )
    assert seen(elements("markdown", markdown)) == [
        ("title", 1, "Head"),
        ("paragraph", 0, "para one two"),
        ("list_item", 1, "a"),
        ("list_item", 2, "b"),
        ("list_item", 1, "c"),
        ("table", 0, "A\tB\n1\t2"),
        ("code", 0, "x = 1"),
        ("figure", 0, "alt"),
    ]


def test_front_matter_is_metadata():
    opened, part = reader("markdown")(memoryview(b"---\ntitle: A deal\nauthor: 'Me'\n---\ntext\n"), ReadRequest())
    assert isinstance(opened, Opened)
    assert opened.metadata == {"title": "A deal", "author": "Me"}
    assert part.elements[0].text == "text"


def test_plain_text_blocks_become_paragraphs(elements):
    text = b"First block\nof two lines\n\nSecond block\n\n\nThird"
    assert [element.text for element in elements("text", text)] == [
        "First block\nof two lines",
        "Second block",
        "Third",
    ]


def test_chinese_text_without_empty_lines_is_cut_at_its_articles(elements):
    text = (
        "第一章 总则\n第一条 为了规范。\n　　第二款内容。\n第二条 依照第一条的规定，\n第三方不得提出异议。\n"
        "（一）其一；\n（二）其二。"
    )
    found = elements("text", text.encode())
    assert [element.text for element in found] == [
        "第一章 总则",
        "第一条 为了规范。",
        "第二款内容。",
        "第二条 依照第一条的规定，\n第三方不得提出异议。",
        "（一）其一；",
        "（二）其二。",
    ]


SAMPLE = (
    "第一条 为了保护民事主体的合法权益，调整民事关系，维护社会和经济秩序，适应中国特色社会主义发展要求，制定本法。" * 3
)


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-8", SAMPLE),
        ("utf-8-sig", SAMPLE),
        ("gb18030", SAMPLE),
        ("utf-16", SAMPLE),
        ("utf-16-le", "plain letters without a mark " * 5),
        ("big5", "本合約依照中華民國法律訂立，雙方當事人應當遵守其規定，並且負擔費用。" * 3),
        ("shift_jis", "この契約は日本国の法律に基づいて解釈されるものとします。甲および乙は協議します。" * 3),
        ("euc-kr", "이 계약은 대한민국의 법률에 따라 해석되며 당사자는 이를 준수하여야 한다." * 3),
        ("cp1252", "Die Parteien vereinbaren für die Übergabe „Bremen“ – Größe gemäß Anhang. " * 3),
    ],
)
def test_text_of_any_encoding_is_read(elements, encoding, text):
    assert "".join(element.text for element in elements("text", text.encode(encoding))).strip() == text.strip()
