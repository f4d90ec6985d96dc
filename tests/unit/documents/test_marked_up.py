"""HTML, Markdown and plain text."""

from __future__ import annotations

import json

import pytest

from difyrpc_services.documents.formats import reader
from difyrpc_services.documents.formats.reading import Opened, ReadRequest
from difyrpc_services.runtime.errors import InvalidArgument


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


def written(found):
    return [(element.kind, element.written) for element in found]


def test_numbers_of_markdown_lists_are_kept(elements):
    found = elements("markdown", b"3. c\n4. d\n   1) e\n\n- [x] done\n")
    assert written(found) == [
        ("list_item", "3. c"), ("list_item", "4. d"), ("list_item", "1) e"), ("list_item", "[x] done"),
    ]  # fmt: skip
    assert [element.level for element in found] == [1, 1, 2, 1]


def test_markdown_footnotes_are_footnotes(elements):
    markdown = b"Text[^1] and[^n].\n\n[^1]: Word\n[^n]: More words here.\n\n```\n[^1]: code\n```\n"
    assert [(element.kind, element.number, element.text) for element in elements("markdown", markdown)] == [
        ("paragraph", "", "Text[^1] and[^n]."),
        ("footnote", "1", "Word"),
        ("footnote", "n", "More words here."),
        ("code", "", "[^1]: code"),
    ]


def test_html_in_markdown_is_read(elements):
    markdown = b"a<br>b <b>c</b>\n\n<table><tr><th>A<th>B</tr><tr><td>1<td>2</tr></table>\n\n<!-- not shown -->\n"
    assert seen(elements("markdown", markdown)) == [("paragraph", 0, "a\nb c"), ("table", 0, "A\tB\n1\t2")]


@pytest.mark.parametrize("mark", ["> ", "- ", "> - "])
def test_deep_markdown_loses_no_text(elements, mark):
    assert [element.text for element in elements("markdown", mark.encode() * 500 + b"deep\n")] == ["deep"]


def test_front_matter_of_plus_signs_is_metadata():
    opened, part = reader("markdown")(memoryview(b'+++\ntitle = "A deal"\n+++\ntext\n'), ReadRequest())
    assert opened.metadata == {"title": "A deal"}
    assert part.elements[0].text == "text"


def test_dashes_that_enclose_no_front_matter_are_a_rule(elements):
    assert [element.text for element in elements("markdown", b"---\n\ntext\n")] == ["text"]


def test_lines_drawn_under_lines_make_titles_of_plain_text(elements):
    text = b"The deal\n========\nfirst\nsecond\n\nPrices\n------\n\n- one\n- two\n\n*****\n"
    assert seen(elements("text", text)) == [
        ("title", 1, "The deal"),
        ("paragraph", 0, "first\nsecond"),
        ("title", 2, "Prices"),
        ("list_item", 1, "- one"),
        ("list_item", 1, "- two"),
    ]


def test_program_text_is_kept_as_it_is(elements):
    program = "".join(f"def f{number}():\n    return {number}\n\n\n" for number in range(200))
    found = elements("code", program.encode(), name="x.py")
    assert {(element.kind, element.style) for element in found} == {("code", "python")}
    assert "\n\n".join(element.text for element in found).split() == program.split()
    assert 1 < len(found) < 10


@pytest.mark.parametrize(
    ("content", "name", "language", "text"),
    [
        (b'{"a": 1}', "", "json", '{"a": 1}'),
        ('<?xml version="1.0" encoding="gb2312"?><a>合同</a>'.encode("gb18030"), "", "xml", None),
        (b"a: 1\nb:\n  - 2\n", "x.yaml", "yaml", "a: 1\nb:\n  - 2"),
        (b"title=\\u5408\\u540c", "x.properties", "properties", "title=合同"),
        (b"just = text", "", "", "just = text"),
    ],
)
def test_data_that_is_text_is_read_as_text(elements, content, name, language, text):
    (element,) = elements("code", content, name=name)
    assert element.style == language
    assert element.text == (text or '<?xml version="1.0" encoding="gb2312"?><a>合同</a>')


def test_subtitles_are_what_is_said(elements):
    vtt = (
        b"WEBVTT - title\n\nNOTE not said\n\nSTYLE\n::cue {}\n\n1\n00:00:01.000 --> 00:00:02.000 align:start\n"
        b"<v Ada>We <b>offer\n\n00:02.500 --> 00:03.000\n<v Ada>the goods &amp; more.\n\n"
        b"00:04.000 --> 00:05.000\n<v Bo>Thanks.\n\n00:06.000 --> 00:07.000\nBye\n"
    )
    assert [element.text for element in elements("subtitles", vtt)] == [
        "Ada: We offer the goods & more.",
        "Bo: Thanks.",
        "Bye",
    ]
    srt = "1\r\n00:00:01,000 --> 00:00:02,000\r\n<i>第一句，\r\n\r\n2\r\n00:00:02,000 --> 00:00:03,000\r\n接着说。\r\n"
    assert [element.text for element in elements("subtitles", srt.encode("gb18030"))] == ["第一句，接着说。"]


def test_a_notebook_is_its_cells_and_what_they_wrote(elements):
    book = {
        "nbformat": 4,
        "metadata": {"language_info": {"name": "python"}},
        "cells": [
            {"cell_type": "markdown", "source": ["# Head\n", "text"]},
            {
                "cell_type": "code",
                "source": "print(1)",
                "outputs": [
                    {"output_type": "stream", "text": ["1\n"]},
                    {
                        "output_type": "execute_result",
                        "data": {"text/html": "<table><tr><th>A<th>B<tr><td>1<td>2</table>"},
                    },
                    {"output_type": "error", "ename": "KeyError", "evalue": "x"},
                ],
            },
        ],
    }
    found = elements("notebook", json.dumps(book).encode())
    assert seen(found) == [
        ("title", 1, "Head"),
        ("paragraph", 0, "text"),
        ("code", 0, "print(1)"),
        ("code", 0, "1"),
        ("table", 0, "A\tB\n1\t2"),
        ("code", 0, "KeyError: x"),
    ]
    assert found[2].style == "python"


@pytest.mark.parametrize("content", [b"{}", b'{"cells": 1}', b'{"cells": [1]}', b"[" * 100_000])
def test_a_broken_notebook_is_corrupt(elements, content):
    with pytest.raises(InvalidArgument) as caught:
        elements("notebook", content)
    assert caught.value.reason == "CORRUPT"
