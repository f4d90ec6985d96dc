from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from difyrpc_services.documents.chunking import Chunking, chunks_of
from difyrpc_services.documents.elements import Cell, Clause, Element, Table
from difyrpc_services.documents.writing import markdown, plain


def paragraph(text: str, number: int = 1, page: int = 0, path: tuple[str, ...] = ()) -> Element:
    return Element(id=f"e{number}", kind="paragraph", text=text, page=page, heading_path=path)


def title(text: str, number: int = 1, level: int = 1) -> Element:
    return Element(id=f"e{number}", kind="title", text=text, level=level)


def table(rows: int) -> Element:
    cells = [Cell(row=0, column=0, text="Name", header=True), Cell(row=0, column=1, text="Price", header=True)]
    for row in range(1, rows):
        cells += [Cell(row=row, column=0, text=f"item {row}"), Cell(row=row, column=1, text=str(row))]
    return Element(id="t", kind="table", text="", table=Table(cells=tuple(cells), rows=rows, columns=2))


def test_short_elements_share_a_chunk_under_their_title():
    elements = [title("One"), paragraph("a", 2, path=("One",)), title("Two", 3), paragraph("b", 4, path=("Two",))]
    first, second = chunks_of(elements, [], Chunking(size=100), running=False)
    assert (first.text, first.heading_path, first.element_ids) == ("One\n\na", ("One",), ("e1", "e2"))
    assert (second.id, second.text, second.heading_path) == ("k2", "Two\n\nb", ("Two",))


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=300), max_size=8))
def test_no_chunk_is_too_long_and_no_letter_is_lost(texts):
    elements = [paragraph(text, number) for number, text in enumerate(texts)]
    chunks = chunks_of(elements, [], Chunking(size=50), running=False)
    assert all(0 < len(chunk.text) <= 50 for chunk in chunks)
    whole = re.sub(r"\s", "", "".join(chunk.text for chunk in chunks))
    assert whole == re.sub(r"\s", "", "".join(text for text in texts if text.strip()))


def test_sentences_stay_whole_and_overlap():
    text = "One sentence is here. Two sentences are here. Three of them are here. Four is the last."
    chunks = [chunk.text for chunk in chunks_of([paragraph(text)], [], Chunking(size=50, overlap=25), running=False)]
    assert chunks == [
        "One sentence is here. Two sentences are here.",
        "Two sentences are here. Three of them are here.",
        "Three of them are here. Four is the last.",
    ]


def test_a_long_table_is_cut_between_rows_with_its_header_on_each_part():
    chunks = chunks_of([table(40)], [], Chunking(size=200), running=False)
    assert len(chunks) > 2
    assert all(chunk.text.startswith("| Name | Price |\n| --- | --- |\n| item") for chunk in chunks)
    assert all(len(chunk.text) <= 200 for chunk in chunks)
    assert sum(chunk.text.count("| item") for chunk in chunks) == 39


def test_pages_are_not_crossed_when_asked():
    elements = [paragraph("a", 1, page=1), paragraph("b", 2, page=1), paragraph("c", 3, page=2)]
    chunks = chunks_of(elements, [], Chunking(boundary="pages"), running=False)
    assert [(chunk.text, chunk.pages) for chunk in chunks] == [("a\n\nb", (1,)), ("c", (2,))]


def test_clauses_make_chunks_with_their_parents_as_path():
    clauses = [
        Clause(id="c1", kind="article", number="ARTICLE I", normal_number="1", title="TERMS", text="ARTICLE I TERMS"),
        Clause(id="c2", kind="section", number="1.1", normal_number="1.1", title="", text="1.1 Text", parent_id="c1"),
    ]
    first, second = chunks_of([paragraph("x")], clauses, Chunking(boundary="clauses"), running=False)
    assert (first.clause_ids, second.clause_ids) == (("c1",), ("c2",))
    assert second.heading_path == ("ARTICLE I TERMS",)


def test_children_name_their_parent():
    text = "One sentence is here. Two sentences are here. Three of them are here."
    chunking = Chunking(mode="parent_child", size=200, child_size=30)
    parent, *children = chunks_of([paragraph(text)], [], chunking, running=False)
    assert (parent.id, parent.text, parent.parent_id) == ("k1", text, "")
    assert [child.parent_id for child in children] == ["k1"] * 3
    assert [child.id for child in children] == ["k1.1", "k1.2", "k1.3"]


def test_a_separator_ends_chunks():
    chunks = chunks_of([paragraph("a###b###c")], [], Chunking(boundary="separator", separator="###"), running=False)
    assert [chunk.text for chunk in chunks] == ["a", "b", "c"]


def test_text_is_tidied_when_asked():
    chunking = Chunking(collapse_spaces=True, remove_contacts=True)
    (chunk,) = chunks_of([paragraph("see  https://x.y/z or   me@x.org now")], [], chunking, running=False)
    assert chunk.text == "see or now"


def test_headers_are_left_out_unless_asked():
    header = Element(id="h", kind="header", text="running")
    elements = [header, paragraph("body")]
    assert [chunk.text for chunk in chunks_of(elements, [], Chunking(), running=False)] == ["body"]
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
        "| Name | Price |\n| --- | --- |\n| item 1 | 1 |\n\n````text\na ``` b\n````"
    )
