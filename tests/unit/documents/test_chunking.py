"""Chunks follow the structure of a text, keep to their size, and leave nothing out."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from difyrpc_services.documents.chunking import Chunk, Chunking, chunks_of, tokenizers
from difyrpc_services.documents.clauses import find_clauses
from difyrpc_services.documents.elements import Box, Cell, Clause, Element, Line, Table
from difyrpc_services.documents.formats.text import elements_of
from difyrpc_services.documents.pipeline import _Outline
from difyrpc_services.documents.writing import markdown, plain

STATUTE = """第一章 总则

第一条 为了保护当事人的合法权益，制定本法。
第二条 有下列情形之一的，合同无效：
（一）违反法律；
（二）违背公序良俗。

第二章 附则

第三条 本法自公布之日起施行。
"""
SIGNS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=300)
WORDS = st.lists(
    st.sampled_from(
        ["The fee", " is due. ", "第一条 ", "甲方应付款。", "乙方！", "No. 5 ", "👩‍👩‍👧", "é", "葛󠄀", "\n", "\n\n", " ",
         "a" * 70, "国" * 60, "|", "🇩🇪🇫🇷", "\u3000", "“完。”"]
    ),
    max_size=40,
).map("".join)  # fmt: skip
TEXTS = st.lists(SIGNS | WORDS, max_size=6)


def paragraph(text: str, number: int = 1, page: int = 0, path: tuple[str, ...] = ()) -> Element:
    return Element(id=f"e{number}", kind="paragraph", text=text, page=page, heading_path=path)


def title(text: str, number: int = 1, level: int = 1, path: tuple[str, ...] = ()) -> Element:
    return Element(id=f"e{number}", kind="title", text=text, level=level, heading_path=path)


def table(rows: int, *, headers: int = 1, text: str = "item") -> Element:
    cells = []
    for row in range(rows):
        header = row < headers
        cells.append(Cell(row=row, column=0, text=f"Name {row}" if header else f"{text} {row}", header=header))
        cells.append(Cell(row=row, column=1, text=f"Price {row}" if header else str(row), header=header))
    return Element(id="t", kind="table", text="", table=Table(cells=tuple(cells), rows=rows, columns=2))


def cut(*elements: Element, clauses: list[Clause] | None = None, raw: str | None = None, **values) -> list[Chunk]:
    return chunks_of(elements, clauses or [], Chunking(**values), running=False, raw=raw)


def texts(*elements: Element, **values) -> list[str]:
    return [chunk.text for chunk in cut(*elements, **values)]


def signs(text: str) -> str:
    return "".join(text.split())


def long(unit: str, size: int, **values) -> dict:
    """Answers options in a unit."""
    return {"unit": unit, "size": size, "tokenizer": "cl100k" if unit == "tokens" else "", **values}


def test_short_elements_share_a_chunk_under_their_title():
    elements = [title("One"), paragraph("a", 2, path=("One",)), title("Two", 3), paragraph("b", 4, path=("Two",))]
    first, second = cut(*elements, size=100)
    assert (first.text, first.heading_path, first.element_ids) == ("One\n\na", ("One",), ("e1", "e2"))
    assert (second.id, second.text, second.heading_path) == ("k2", "Two\n\nb", ("Two",))


@pytest.mark.parametrize("unit", ["characters", "tokens"])
@settings(max_examples=50, deadline=None)  # the first example loads a vocabulary
@given(texts=TEXTS, overlap=st.integers(0, 25), boundary=st.sampled_from(["structure", "pages"]))
def test_no_chunk_is_too_long_and_no_sign_is_lost(unit, texts, overlap, boundary):
    elements = [paragraph(text, number, page=number // 2) for number, text in enumerate(texts)]
    length = tokenizers.counter("cl100k") if unit == "tokens" else len
    chunks = cut(*elements, **long(unit, 50, boundary=boundary))
    assert signs("".join(chunk.text for chunk in chunks)) == signs("".join(texts))
    for chunk in [*chunks, *cut(*elements, **long(unit, 50, boundary=boundary, overlap=overlap))]:
        assert 0 < length(chunk.text) <= 50
        assert chunk.tokens == (length(chunk.text) if unit == "tokens" else 0)
        assert boundary != "pages" or len(chunk.pages) <= 1


@given(WORDS, st.sampled_from(["\n\n", "\n", "。"]))
def test_between_separators_no_sign_is_lost(text, separator):
    chunks = texts(paragraph(text), raw=text, size=50, boundary="separator", separator=separator)
    assert signs("".join(chunks)) == signs(text.replace(separator, ""))
    assert all(len(chunk) <= 50 for chunk in chunks)


@pytest.mark.parametrize("unit", ["characters", "tokens"])
@settings(max_examples=50, deadline=None)  # the first example loads a vocabulary
@given(texts=TEXTS, separator=st.sampled_from(["", "\n", ". "]), whole=st.booleans())
def test_parents_hold_their_children_and_children_all_of_their_parents(unit, texts, separator, whole):
    elements = [paragraph(text, number, page=number) for number, text in enumerate(texts)]
    options = long(unit, 60, mode="parent_child", child_size=20, whole_document=whole, child_separator=separator)
    chunks = cut(*elements, **options)
    for parent in (chunk for chunk in chunks if not chunk.parent_id):
        children = [chunk for chunk in chunks if chunk.parent_id == parent.id]
        assert all(child.text in parent.text and set(child.pages) <= set(parent.pages) for child in children)
        wanted = parent.text.replace(separator, "") if separator else parent.text
        assert signs("".join(child.text for child in children)) == signs(wanted)


def test_sentences_stay_whole_and_overlap():
    text = "One sentence is here. Two sentences are here. Three of them are here. Four is the last."
    assert texts(paragraph(text), size=50, overlap=25) == [
        "One sentence is here. Two sentences are here.",
        "Two sentences are here. Three of them are here.",
        "Three of them are here. Four is the last.",
    ]


def test_overlap_goes_from_paragraph_to_paragraph_and_not_over_a_title():
    elements = [paragraph("The first one ends.", 1), paragraph("The second one ends.", 2), title("New", 3)]
    assert texts(*elements, size=40, overlap=10) == ["The first one ends.", "one ends.\n\nThe second one ends.", "New"]


def test_chinese_sentences_stay_whole():
    text = "甲方应当在三十日内付款。乙方“应当交货。”双方另有约定的除外；没有约定的，依法办理！"
    assert texts(paragraph(text), size=20) == [
        "甲方应当在三十日内付款。",
        "乙方“应当交货。”双方另有约定的除外；",
        "没有约定的，依法办理！",
    ]


def test_a_period_behind_an_abbreviation_or_a_number_ends_no_sentence():
    text = "Mr. J. Smith of A Inc. pays. See No. 5 and Sec. 2 for e.g. fees of 3.5 p.a. at most. It ends."
    assert texts(paragraph(text), size=62) == [
        "Mr. J. Smith of A Inc. pays.",
        "See No. 5 and Sec. 2 for e.g. fees of 3.5 p.a. at most.",
        "It ends.",
    ]


def test_a_long_sentence_is_cut_at_a_phrase_and_then_at_a_word():
    text = "one two three, four five six seven eight nine ten eleven twelve"
    assert texts(paragraph(text), size=25) == [
        "one two three,",
        "four five six seven",
        "eight nine ten eleven",
        "twelve",
    ]


@pytest.mark.parametrize("sign", ["👩‍👩‍👧", "🇩🇪", "e\u0301", "한", "क्षि", "葛\U000e0100", "👍🏽"])
def test_no_sign_is_cut_inside(sign):
    pieces = texts(paragraph(sign * 60), size=23)
    assert all(set(piece.split(sign)) == {""} for piece in pieces)


def test_a_long_table_is_cut_between_rows_with_its_headers_on_each_part():
    chunks = texts(title("Prices"), table(40, headers=2), size=200)
    head = "| Name 0 | Price 0 |\n| --- | --- |\n| Name 1 | Price 1 |\n"
    assert chunks[0].startswith(f"Prices\n\n{head}| item 2 | 2 |\n")
    assert all(chunk.startswith(f"{head}| item") and len(chunk) <= 200 for chunk in chunks[1:])
    rows = [line for chunk in chunks for line in chunk.split("\n") if line.startswith("| item")]
    assert rows == [f"| item {row} | {row} |" for row in range(2, 40)]


def test_a_table_that_fits_stays_whole():
    chunks = texts(paragraph("word " * 30), table(5), size=160)
    assert [chunk.count("item") for chunk in chunks] == [0, 4]


def test_a_row_that_is_too_long_is_cut_under_its_headers():
    chunks = texts(table(2, text="word " * 50), size=100)
    assert all(chunk.startswith("| Name 0 | Price 0 |\n") and len(chunk) <= 100 for chunk in chunks)
    assert sum(chunk.count("word") for chunk in chunks) == 50


def test_program_text_is_cut_between_lines_and_keeps_its_indents():
    code = "def f():\n    return 1\n\ndef g():\n    return 2"
    element = Element(id="c", kind="code", text=code)
    assert texts(element, size=26) == ["def f():\n    return 1", "def g():\n    return 2"]
    assert texts(element, size=20)[1] == "    return 1"


def test_a_title_goes_with_what_follows_it():
    assert texts(paragraph("word " * 18), title("Next", 2), paragraph("text " * 4, 3), size=100)[1] == (
        "Next\n\ntext text text text"
    )


def test_headings_before_a_chunk_count_and_long_ones_are_shortened():
    path = ("A long title that fills most of it", "Short")
    chunks = cut(paragraph("word " * 40, path=path), size=60, prepend_headings=True)
    assert all(chunk.text.startswith("Short\n\nword") and len(chunk.text) <= 60 for chunk in chunks)
    assert chunks[0].heading_path == path


def test_pages_are_not_crossed_when_asked():
    elements = [paragraph("a", 1, page=1), paragraph("b", 2, page=1), paragraph("c", 3, page=2)]
    chunks = cut(*elements, boundary="pages")
    assert [(chunk.text, chunk.pages) for chunk in chunks] == [("a\n\nb", (1,)), ("c", (2,))]


def test_a_paragraph_over_two_pages_is_cut_where_the_page_ends():
    boxes = [Box(page=page, left=0, top=0, right=9, bottom=9) for page in (1, 2)]
    lines = tuple(Line(text=text, box=box) for text, box in zip(["on the first", "and the next."], boxes, strict=True))
    element = dataclasses.replace(paragraph("on the first and the next.", page=1), boxes=tuple(boxes), lines=lines)
    assert [(chunk.text, chunk.pages) for chunk in cut(element, boundary="pages")] == [
        ("on the first", (1,)),
        ("and the next.", (2,)),
    ]
    assert [(chunk.text, chunk.pages) for chunk in cut(element, size=20)] == [
        ("on the first and the", (1, 2)),
        ("next.", (2,)),
    ]


def test_each_article_makes_a_chunk_with_its_items_under_its_chapter():
    elements = _Outline().placed(elements_of(STATUTE))
    chunks = cut(*elements, clauses=find_clauses(elements), boundary="clauses")
    assert [(chunk.text.replace("\n\n", "\n"), chunk.heading_path) for chunk in chunks] == [
        ("第一章 总则\n第一条 为了保护当事人的合法权益，制定本法。", ("第一章 总则",)),
        ("第二条 有下列情形之一的，合同无效：\n（一）违反法律；\n（二）违背公序良俗。", ("第一章 总则",)),
        ("第二章 附则\n第三条 本法自公布之日起施行。", ("第二章 附则",)),
    ]
    assert [len(chunk.clause_ids) for chunk in chunks] == [2, 3, 2]


def test_an_item_that_is_cut_off_its_article_names_it_in_its_path():
    elements = _Outline().placed(elements_of(STATUTE))
    chunks = cut(*elements, clauses=find_clauses(elements), boundary="clauses", size=30)
    item = next(chunk for chunk in chunks if chunk.text.startswith("（二）"))
    assert item.heading_path == ("第一章 总则", "第二条")


def test_text_beside_the_clauses_is_kept():
    elements = _Outline().placed(elements_of(f"前言部分。\n\n{STATUTE}"))
    elements.insert(3, table(3))
    chunks = cut(*elements, clauses=find_clauses(elements), boundary="clauses")
    whole = "".join(chunk.text for chunk in chunks)
    assert "前言部分。" in whole
    assert "| item 1 | 1 |" in whole
    assert signs(STATUTE) == signs(whole.replace("前言部分。", "").replace(texts(table(3))[0], ""))


def test_children_name_their_parent():
    text = "One sentence is here. Two sentences are here. Three of them are here."
    parent, *children = cut(paragraph(text), mode="parent_child", size=200, child_size=30)
    assert (parent.id, parent.text, parent.parent_id) == ("k1", text, "")
    assert [(child.id, child.parent_id) for child in children] == [("k1.1", "k1"), ("k1.2", "k1"), ("k1.3", "k1")]


def test_a_separator_ends_chunks_and_its_pages_are_right():
    elements = [paragraph("a###b", 1, page=1), paragraph("c###d", 2, page=2)]
    chunks = cut(*elements, boundary="separator", separator="###")
    assert [(chunk.text, chunk.pages, chunk.element_ids) for chunk in chunks] == [
        ("a", (1,), ("e1",)),
        ("b\n\nc", (1, 2), ("e1", "e2")),
        ("d", (2,), ("e2",)),
    ]


# What Dify makes of the same text with the same delimiter, maximum length and overlap.
DIFY = [
    ("一二三。四五六。七八九。十。\n\n短。", 20, 0, "\n\n", ["一二三。四五六。七八九。十。", "短。"]),
    ("一二三四五六七。八九十一二三四。五六七八九十一。二三四五六。", 20, 8, "\n\n",
     ["一二三四五六七。八九十一二三四。", "八九十一二三四。五六七八九十一。", "五六七八九十一。二三四五六。"]),
    ("One is here. Two is here. Three.\nFour.", 26, 13, "\n",
     ["One is here. Two is here.", "Two is here. Three.", "Four."]),
    ("a" * 50, 20, 5, "\n\n", ["a" * 20, "a" * 20, "a" * 20]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "size", "overlap", "separator", "wanted"), DIFY)
def test_a_separator_cuts_as_dify_does(text, size, overlap, separator, wanted):
    options = {"size": size, "overlap": overlap, "boundary": "separator", "separator": separator}
    assert texts(paragraph(text), raw=text, **options) == wanted


def test_words_keep_the_spaces_between_them_where_dify_loses_them():
    text = "word " * 20
    chunks = texts(paragraph(text), raw=text, size=20, boundary="separator", separator="\n\n")
    assert set(chunks) == {"word word word word"}


def test_text_is_tidied_when_asked():
    (chunk,) = cut(
        paragraph("see  https://x.y/z or   写给me@x.org now ![p](https://x.y/p.png)\n\n\n\nend"),
        collapse_spaces=True,
        remove_contacts=True,
    )
    assert chunk.text == "see or 写给 now ![p](https://x.y/p.png)\n\nend"


def test_tokens_are_counted_where_characters_limit():
    (chunk,) = cut(paragraph("The fee is due."), tokenizer="cl100k")
    assert chunk.tokens == 5


# By tiktoken for cl100k and o200k, by Qwen's own tokenizer for qwen.
COUNTED = {"o200k": [3, 11, 8], "qwen": [3, 7, 13], "cl100k": [3, 13, 8]}


@pytest.mark.parametrize("name", COUNTED)
def test_tokenizers_count_as_their_models_do(name):
    count = tokenizers.counter(name)
    counted = [count(text) for text in ("hello world!", "甲方应当在三十日内付款。", "tax of 1234567.89")]
    assert counted == COUNTED[name]
    assert count("half a pair \ud83d") > 0


def test_headers_are_left_out_unless_asked():
    header = Element(id="h", kind="header", text="running")
    elements = [header, paragraph("body")]
    assert texts(*elements) == ["body"]
    assert plain(elements, running=False) == "body"
    assert plain(elements, running=True) == "running\n\nbody"


def test_markdown_escapes_what_is_text():
    elements = [
        title("A *star*", level=2),
        paragraph("1. not a list\n# not a title"),
        Element(id="i", kind="list_item", text="• point", level=1),
        Element(id="j", kind="list_item", text="inner", level=2, number="(a)"),
        table(2),
        Element(id="c", kind="code", text="a ``` b", style="text"),
    ]
    assert markdown(elements, running=False) == (
        "## A \\*star\\*\n\n1\\. not a list  \n\\# not a title\n\n- point\n\n(a) inner\n\n"
        "| Name 0 | Price 0 |\n| --- | --- |\n| item 1 | 1 |\n\n````text\na ``` b\n````"
    )
