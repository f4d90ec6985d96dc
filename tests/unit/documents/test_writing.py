"""What is written as Markdown gives the same text when it is rendered."""

from __future__ import annotations

import random

import pytest
from markdown_it import MarkdownIt

from difyrpc_services.documents.elements import Cell, Element, ElementKind, Table
from difyrpc_services.documents.writing import markdown

PIECES = (
    *"\\`*_[]<>~&#=|+-:!().1a条\t\n ",
    *("http://a.b", "<b>", "&amp;", "1.", "1)", "---", "===", "~~~", "```", "* ", "- ", "> ", "  ", "    "),
    *("[a](b)", "![x](y)", "##", "|-|", "a|b", "\n:-", "\n---", "\n=", "第一条 ", "(a) "),
)


def element(kind: ElementKind, text: str, level: int = 0, number: str = "") -> Element:
    return Element(id="", kind=kind, text=text, level=level, number=number)


def rendered(text: str) -> list[str]:
    """Answers the texts of a document's blocks; what is no text stands in them by its name."""
    reader = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    found = []
    for token in reader.parse(text):
        if token.type == "inline":
            breaks = {"hardbreak": "\n", "softbreak": "<soft>"}
            children = token.children or []
            found.append(
                "".join(
                    child.content if child.type == "text" else breaks.get(child.type, child.type) for child in children
                )
            )
        elif token.type in ("fence", "code_block", "html_block", "hr"):
            found.append(token.type)
    return found


@pytest.mark.parametrize("kind", ["paragraph", "title", "footnote"])
def test_any_text_comes_back_from_markdown(kind):
    chosen = random.Random(kind)
    for _ in range(2_000):
        text = "".join(chosen.choices(PIECES, k=chosen.randint(1, 9))).strip()
        lines = [line.strip() for line in text.split("\n") if line.strip()]
        expected = " ".join(text.split("\n")) if kind == "title" else "\n".join(lines)
        written = markdown([element(kind, text, 2)], running=False)
        assert rendered(written) == ([expected] if text else []), written


def test_any_text_of_an_item_comes_back_from_markdown():
    chosen = random.Random(7)
    for _ in range(2_000):
        text = "x" + "".join(chosen.choices(PIECES, k=chosen.randint(1, 9))).strip()
        lines = [line.strip() for line in text.split("\n") if line.strip()]
        written = markdown([element("list_item", "• " + text, chosen.randint(1, 6))], running=False)
        assert rendered(written) == ["\n".join(lines)], written


def test_the_text_of_cells_comes_back_from_markdown():
    chosen = random.Random(11)
    pieces = [piece for piece in PIECES if "\n" not in piece]
    for _ in range(500):
        texts = ["".join(chosen.choices(pieces, k=4)).strip() for _ in range(4)]
        cells = tuple(Cell(row=place // 2, column=place % 2, text=text) for place, text in enumerate(texts))
        one = Element(id="", kind="table", text="", table=Table(cells=cells, rows=2, columns=2))
        assert rendered(markdown([one], running=False)) == texts


@pytest.mark.parametrize(
    "text", ["1. one", "(a) one", "（一）甲方", "2.1 one", "第一条 标的物", "一、总则", "iv) four", "①一"]
)
def test_an_item_that_carries_its_number_has_no_bullet(text):
    written = markdown([element("list_item", text, 2), element("list_item", "plain", 1)], running=False)
    assert rendered(written) == [text, "plain"]
    assert written.count("- ") == 1


def test_an_automatic_number_is_written_as_a_typed_one():
    automatic = markdown([element("list_item", "Price", 3, number="1.")], running=False)
    assert automatic == markdown([element("list_item", "1. Price", 1)], running=False) == "1\\. Price"


@pytest.mark.parametrize("text", ["10 boxes", "word (a) word", "a thing", "第三方 delivers"])
def test_an_item_without_a_number_keeps_its_bullet(text):
    assert markdown([element("list_item", text, 1)], running=False) == f"- {text}"


def test_items_far_inside_without_items_above_them_are_no_code():
    items = [element("list_item", "deep", 5), element("list_item", "deeper", 9), element("list_item", "out", 1)]
    assert rendered(markdown(items, running=False)) == ["deep", "deeper", "out"]
