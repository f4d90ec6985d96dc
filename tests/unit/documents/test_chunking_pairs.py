"""Questions and answers that a document holds as such become chunks, whole."""

from __future__ import annotations

import pytest

from difyrpc_services.documents.chunking import Chunking, pairs_of
from difyrpc_services.documents.elements import Cell, Element, Table
from difyrpc_services.documents.pipeline import _Outline


def table(*rows: tuple[str, ...], headers: int = 0) -> Element:
    cells = [
        Cell(row=row, column=column, text=text, header=row < headers)
        for row, texts in enumerate(rows)
        for column, text in enumerate(texts)
    ]
    return Element(id="", kind="table", text="", page=2, table=Table(cells=tuple(cells), rows=len(rows), columns=3))


def paragraphs(*texts: str) -> list[Element]:
    return [Element(id="", kind="paragraph", text=text) for text in texts]


def pairs(*elements: Element, **values) -> list[tuple[str, str]]:
    chunks, _ = pairs_of(_Outline().placed(elements), Chunking(mode="qa", **values), running=False)
    return [(chunk.text, chunk.answer) for chunk in chunks]


def outside(*elements: Element) -> int:
    return pairs_of(elements, Chunking(mode="qa"), running=False)[1]


def test_the_first_two_columns_are_question_and_answer():
    assert pairs(table(("When?", "Today.", "x"), ("Where?", "Here.", "y"))) == [
        ("When?", "Today."),
        ("Where?", "Here."),
    ]


@pytest.mark.parametrize("names", [("id", "Question", "Answer"), ("编号", "问题", "答案")])
@pytest.mark.parametrize("headers", [0, 1])
def test_a_header_names_the_columns_and_is_no_pair(names, headers):
    assert pairs(table(names, ("1", "When?", "Today."), headers=headers)) == [("When?", "Today.")]


def test_a_marked_header_is_no_pair_whatever_it_says():
    assert pairs(table(("Topic", "Text", ""), ("When?", "Today.", ""), headers=1)) == [("When?", "Today.")]


def test_a_row_without_a_question_goes_on_with_the_answer_above():
    rows = table(("When?", "Today.", ""), ("", "Or tomorrow.", ""), ("", "", "note"), ("Where?", "", ""))
    assert pairs(rows) == [("When?", "Today.\nOr tomorrow."), ("Where?", "")]


def test_a_table_that_goes_on_keeps_its_columns():
    first = table(("id", "Question", "Answer"), ("1", "When?", "Today."), headers=1)
    assert pairs(first, table(("2", "Where?", "Here."))) == [("When?", "Today."), ("Where?", "Here.")]


@pytest.mark.parametrize(
    "texts",
    [
        ("Q: When?", "A: Today.", "Or tomorrow."),
        ("问：When?\n答：Today.\nOr tomorrow.",),
        ("Q1: When? ", "a1： Today.", "Or tomorrow."),
    ],
)
def test_marked_texts_are_pairs(texts):
    assert pairs(*paragraphs(*texts)) == [("When?", "Today.\nOr tomorrow.")]


def test_a_title_ends_an_answer_and_options_of_a_choice_are_none():
    title = Element(id="", kind="title", text="More", level=1)
    elements = [*paragraphs("Q: Which?", "A: The first."), title, *paragraphs("A. one", "B. two")]
    assert pairs(*elements) == [("Which?", "The first.")]
    assert outside(*elements) == 2


def test_pairs_are_whole_however_long():
    assert pairs(table(("word " * 500, "text " * 500, "")), size=20) == [
        (("word " * 500).strip(), ("text " * 500).strip())
    ]


def test_a_pair_says_where_it_stands_and_how_many_tokens_it_asks_in():
    title = Element(id="", kind="title", text="Delivery", level=1)
    elements = _Outline().placed([title, table(("When is it due?", "Today.", ""))])
    (chunk,), _ = pairs_of(elements, Chunking(mode="qa", tokenizer="cl100k"), running=False)
    assert (chunk.id, chunk.heading_path, chunk.pages, chunk.element_ids) == ("k1", ("Delivery",), (2,), ("e2",))
    assert chunk.tokens == 5
