"""HTML and XHTML: what of a page is text, and what its elements are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from difyrpc_services.documents.formats import reader
from difyrpc_services.documents.formats.html import elements_of
from difyrpc_services.documents.formats.reading import Opened, ReadRequest
from difyrpc_services.documents.writing import plain


def seen(html):
    return [(element.kind, element.written) for element in elements_of(html)]


def text(html):
    return plain(elements_of(html), running=False)


def table_of(html):
    (element,) = elements_of(html)
    assert element.table is not None
    return element.table


def test_menus_feet_and_cookie_notices_are_no_text_but_elements():
    html = (
        "<body><nav><a href=/>Home</a><a href=/b>Blog</a></nav><div id=cookie-banner><p>We use cookies</p></div>"
        "<main><h1>Deal</h1><article><p>Body</p><footer>Signed: Bo</footer></article></main>"
        "<div role=contentinfo>Imprint</div><footer><p>All rights reserved</p></footer></body>"
    )
    assert text(html) == "Deal\n\nBody\n\nSigned: Bo"
    assert [words for kind, words in seen(html) if kind in ("header", "footer")] == [
        "Home Blog", "We use cookies", "Imprint", "All rights reserved",
    ]  # fmt: skip


def test_a_page_of_nothing_but_a_menu_is_read_as_text():
    assert text("<body><nav><ul><li>One</li><li>Two</li></ul></nav></body>") == "One\n\nTwo"


def test_what_stands_for_scripts_is_text_only_where_nothing_else_is():
    assert text("<body><noscript>Switch scripts on</noscript><p>Body</p></body>") == "Body"
    assert text("<body><div id=root></div><noscript>Switch scripts on</noscript></body>") == "Switch scripts on"


@pytest.mark.parametrize(
    "hidden",
    [
        "<p hidden>x</p>", "<p style='DISPLAY : none;color:red'>x</p>", "<p style='visibility:hidden'>x</p>",
        "<script>x</script>", "<style>x{}</style>", "<template><p>x</p></template>", "<dialog>x</dialog>",
        "<span aria-hidden=true>x</span>", "<svg><text>x</text></svg>", "<!-- x -->", "<input type=hidden value=x>",
        "<iframe src=y>x</iframe>", "<video>x</video>", "<div hidden><div>x</div><div hidden>x</div></div>",
    ],
)  # fmt: skip
def test_what_a_browser_does_not_show_is_no_text(hidden):
    assert text(f"<body><p>before</p>{hidden}<p>after</p></body>") == "before\n\nafter"


def test_numbered_lists_count_as_a_browser_does():
    html = (
        "<ol><li>one<ol type=a start=3><li>see<li>dee</ol><li value=7>seven<li><p>eight</p><p>more</p></ol>"
        "<ol reversed start=2><li>x<li>y</ol><ol type=I start=4><li>iv</ol><ul><li>bullet</ul>"
    )
    assert [words for _, words in seen(html)] == [
        "1. one", "c. see", "d. dee", "7. seven", "8. eight", "more", "2. x", "1. y", "IV. iv", "bullet",
    ]  # fmt: skip
    assert [element.level for element in elements_of(html)][:4] == [1, 2, 2, 1]


def test_terms_and_their_definitions_follow_each_other():
    assert seen("<dl><dt>Term<dd>Meaning<dt>Other<dd>More</dl>") == [
        ("paragraph", "Term"), ("list_item", "Meaning"), ("paragraph", "Other"), ("list_item", "More"),
    ]  # fmt: skip


def test_a_table_of_spans_a_head_and_a_caption_is_exact():
    html = (
        "<table><caption>Prices</caption><thead><tr><td rowspan=2>Item<td colspan=2>Price</tr><tr><td>Net<td>Gross"
        "</tr></thead><tbody><tr><th>A<td>1<br>2<td><ul><li>x<li>y</ul></tr></tbody></table>"
    )
    caption, element = elements_of(html)
    assert caption.text == "Prices"
    cells = [(c.row, c.column, c.row_span, c.column_span, c.text, c.header) for c in element.table.cells]
    assert cells == [
        (0, 0, 2, 1, "Item", True), (0, 1, 1, 2, "Price", True), (1, 1, 1, 1, "Net", True), (1, 2, 1, 1, "Gross", True),
        (2, 0, 1, 1, "A", False), (2, 1, 1, 1, "1\n2", False), (2, 2, 1, 1, "x\ny", False),
    ]  # fmt: skip
    assert element.table.header_rows == 2


def test_a_cell_does_not_span_into_the_next_group_of_rows():
    table = table_of("<table><tbody><tr><td rowspan=9>a<td>b</tbody><tbody><tr><td>c<td>d</tbody></table>")
    assert table.grid() == [["a", "b"], ["c", "d"]]


def test_a_table_in_a_cell_of_data_stays_in_it():
    html = "<table><tr><th>A<th>B</tr><tr><td>1<td><table><tr><td>x<td>y</tr></table></tr><tr><td>2<td>3</tr></table>"
    assert table_of(html).grid() == [["A", "B"], ["1", "x\ny"], ["2", "3"]]


def test_tables_that_lay_out_a_page_are_read_as_blocks():
    html = (
        "<table><tr><td><h2>Left</h2><p>text</p><td><table role=presentation><tr><td>x<td>y</tr></table></tr></table>"
    )
    assert [kind for kind, _ in seen(html)] == ["title", "paragraph", "paragraph", "paragraph"]
    assert seen("<table><tr><td>left<td><ul><li>right</ul></tr></table>") == [
        ("paragraph", "left"),
        ("list_item", "right"),
    ]


def test_program_text_keeps_its_lines_and_its_language():
    (element,) = elements_of('<pre><code class="hljs language-python">if x:\n    y()\n</code></pre>')
    assert (element.kind, element.text, element.style) == ("code", "if x:\n    y()", "python")
    (element,) = elements_of('<pre class="brush: js">a\n  b</pre>')
    assert (element.text, element.style) == ("a\n  b", "js")


def test_preformatted_prose_is_text():
    prose = "ARTICLE I. The supplier delivers the goods,\nand the customer pays the price of the goods.\n\n" * 10
    assert {kind for kind, _ in seen(f"<pre>{prose}</pre>")} <= {"title", "paragraph"}


def test_inline_marks_do_not_cut_words():
    assert text(
        "<p>H<sub>2</sub>O, 4<sup>th</sup>, <b>b</b>old, in<wbr>voice, soft&shy;ware<br>x &lt;y&gt; &amp;amp; é</p>"
    ) == ("H2O, 4th, bold, invoice, software\nx <y> &amp; é")
    assert text("<p><ruby>漢<rp>(</rp><rt>かん</rt><rp>)</rp></ruby><ruby>字<rt>じ</rt></ruby>") == "漢(かん)字(じ)"
    assert text("<p>第一\n条款</p><p>one\ntwo</p>") == "第一条款\n\none two"


def test_pictures_are_named_once():
    html = "<figure><img src='data:image/png;base64,AAAA' alt='A chart'><figcaption>A chart</figcaption></figure>"
    assert seen(html) == [("paragraph", "A chart")]
    assert seen("<p>before <img alt='A map'> after</p>") == [("paragraph", "before after"), ("figure", "A map")]
    assert seen("<p>nice <img class=emoji alt='👍'> day</p>") == [("paragraph", "nice 👍 day")]


def test_forms_show_what_is_filled_in():
    html = (
        "<form><label>Name <input value='Ada'></label><p><input type=checkbox checked> yes "
        "<input type=password value=p><select><option>a<option selected>b</select> "
        "<textarea>long\ntext</textarea></p><button>Send</button></form>"
    )
    assert text(html).split() == ["Name", "Ada", "☑", "yes", "b", "long", "text", "Send"]


def test_details_and_footnotes_are_text():
    html = "<details><summary>More</summary><p>inside</p></details><aside epub:type=footnote><p>note</p></aside>"
    assert seen(html) == [("paragraph", "More"), ("paragraph", "inside"), ("footnote", "note")]


def test_formulas_are_read_once():
    html = (
        "<p>so <math><semantics><mrow><mi>x</mi></mrow><annotation encoding='application/x-tex'>x^2</annotation>"
        "</semantics></math><img class='mwe-math-fallback-image-inline' alt='{x^2}'>.</p>"
    )
    assert text(html) == "so x^2."


def test_xhtml_is_read_as_xml_means_it():
    html = (
        '<?xml version="1.0" encoding="utf-8"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title/>'
        '<script src="x"/></head><body><a id="top"/><p/><p>one</p><div/><p><![CDATA[a < b]]></p></body></html>'
    )
    (_, part) = reader("html")(memoryview(html.encode()), ReadRequest())
    assert [element.text for element in part.elements] == ["one", "a < b"]


@pytest.mark.parametrize(
    ("encoding", "head"),
    [
        ("gb18030", "<meta http-equiv='Content-Type' content='text/html; charset=gb2312'>"),
        ("shift_jis", "<meta charset=shift_jis>"),
        ("big5", "<META CHARSET='Big5'>"),
        ("utf-16", ""),
        ("utf-8", "<meta charset=gbk>"),
    ],
)
def test_pages_are_read_in_the_encoding_that_they_state(encoding, head):
    html = f"<html><head>{head}</head><body><p>中文</p></body></html>".encode(encoding)
    opened, part = reader("html")(memoryview(html), ReadRequest())
    assert part.elements[0].text == "中文"
    assert opened.notices == ()


def test_a_page_says_who_wrote_it_and_when():
    html = (
        b"<html lang=en><head><title>A &amp; B</title><meta name=author content=Ada>"
        b"<meta property='article:published_time' content='2024-03-05T10:00:00Z'>"
        b"<meta name=keywords content='x, y'></head><body>t</body></html>"
    )
    opened = next(iter(reader("html")(memoryview(html), ReadRequest())))
    assert isinstance(opened, Opened)
    assert opened.metadata == {
        "language": "en", "title": "A & B", "author": "Ada", "created": "2024-03-05T10:00:00Z", "keywords": "x, y",
    }  # fmt: skip


def test_a_page_without_text_says_so():
    _, part = reader("html")(
        memoryview(b"<html><body><div id=app></div><script>x</script></body></html>"), ReadRequest()
    )
    assert [notice.reason for notice in part.notices] == ["PAGE_WITHOUT_TEXT"]


@pytest.mark.parametrize(
    ("opening", "words"),
    [
        ("<div>", "deep"),
        ("<table><tr><td>", "deep"),
        ("<ul><li>", "deep"),
        ("<b>", "deep"),
        ("<blockquote><p>", "deep"),
    ],
)
def test_deep_nesting_loses_no_text(opening, words):
    assert text(opening * 5_000 + words) == words


def test_many_hidden_and_many_spanning_parts_are_read_in_time():
    assert text("<p hidden>x</p>" * 20_000 + "<p>y") == "y"
    table = table_of("<table>" + "<tr><td rowspan=1000 colspan=1000>x" * 300 + "</table>")
    assert table.rows == 300


PIECES = (
    "<p>", "</p>", "<table>", "<tr>", "<td rowspan=3>", "</table>", "<ol>", "<li>", "<pre>", "</pre>", "<b>", "</b>",
    "<nav>", "</div>", "<br>", "<img alt=picture>", "&nbsp;", "&#0;", "<ruby>", "<rt>", "</script>", "-->", "<math>",
    "<h1>", "<caption>", "<input value=v>", "\x0b", "</svg>", "<figure>", "<figcaption>", "<q>", "<a>", "<textarea>",
)  # fmt: skip
HIDING = (
    "<div hidden>", "<svg>", "<select>", "<option selected>", "<template>", "<dialog>", "<frameset>", "<script>",
    "<!--", "<title>", "<", '"',
)  # fmt: skip


@given(st.lists(st.one_of(st.sampled_from(PIECES + HIDING), st.text(max_size=5)), max_size=40))
def test_any_tag_soup_is_read(pieces):
    for element in elements_of("".join(pieces)):
        assert element.text or element.table


@given(st.lists(st.sampled_from(PIECES), max_size=40))
def test_no_soup_swallows_the_words_in_it(pieces):
    soup = "".join(f"{piece} word{number} " for number, piece in enumerate(pieces))
    found = plain(elements_of(soup), running=True).split()
    assert {f"word{number}" for number in range(len(pieces))} <= {word.strip("()“”") for word in found}
