"""Single cases of clause finding: what is a clause, what only looks like one, and how it is numbered."""

from __future__ import annotations

import time

import pytest

from difyrpc_services.documents.clauses import find_clauses
from difyrpc_services.documents.elements import Box, Clause, Element, Line


def elements(*texts: str) -> list[Element]:
    return [Element(id=f"e{index}", kind="paragraph", text=text) for index, text in enumerate(texts, start=1)]


def numbers(clauses: list[Clause]) -> list[str]:
    return [clause.normal_number for clause in clauses]


def parents(clauses: list[Clause]) -> dict[str, str]:
    by_id = {clause.id: clause for clause in clauses}
    return {clause.normal_number: by_id[clause.parent_id].normal_number for clause in clauses if clause.parent_id}


def test_nothing_is_found_in_nothing() -> None:
    assert find_clauses([]) == []
    assert find_clauses(elements("")) == []
    assert find_clauses(elements("Dear Sir, thank you for the letter. Yours, A. Smith")) == []


def test_the_profile_none_finds_nothing() -> None:
    assert find_clauses(elements("第一条 为了测试，制定本法。", "第二条 本法自公布之日起施行。"), "none") == []


def test_the_language_is_told_by_the_text() -> None:
    assert numbers(find_clauses(elements("第一条 甲方应当付款。", "第二条 乙方应当交货。"))) == ["1", "2"]
    assert numbers(find_clauses(elements("Section 1.1 Price. It is fixed.", "Section 1.2 Tax. It is extra."))) == [
        "1.1",
        "1.2",
    ]


def test_inserted_articles_keep_their_place() -> None:
    found = find_clauses(
        elements("第一百二十条 甲。", "第一百二十条之一 乙。", "第一百二十条之二 丙。", "第一百二十一条 丁。"), "zh"
    )
    assert numbers(found) == ["120", "120-1", "120-2", "121"]
    assert [clause.number for clause in found][1] == "第一百二十条之一"


@pytest.mark.parametrize("written", ["第１条", "第 1 条", "第1条", "第一條", "第一 条", "第壹条"])
def test_an_article_may_be_written_in_many_ways(written: str) -> None:
    found = find_clauses(elements(f"{written}　为了规范管理，制定本办法。", "第二条　本办法自公布之日起施行。"), "zh")
    assert numbers(found) == ["1", "2"]
    assert found[0].kind == "article"


def test_levels_of_a_statute_nest() -> None:
    found = find_clauses(
        elements(
            "第一编　总则",
            "第一分编　通则",
            "第一章　基本规定",
            "第一节　一般",
            "第一条　有下列情形的：",
            "（一）甲；",
            "1.乙；",
            "2.丙；",
            "（二）丁。",
        ),
        "zh",
    )
    assert [clause.kind for clause in found] == [
        "part", "subpart", "chapter", "section", "article", "item", "subitem", "subitem", "item",
    ]  # fmt: skip
    assert numbers(found)[5:] == ["1(1)", "1(1)(1)", "1(1)(2)", "1(2)"]
    assert found[4].parent_id == found[3].id


def test_articles_count_on_through_the_chapters() -> None:
    found = find_clauses(elements("第一章 总则", "第一条 甲。", "第二条 乙。", "第二章 附则", "第三条 丙。"), "zh")
    assert parents(found) == {"1": "1", "2": "1", "3": "2"}


@pytest.mark.parametrize(
    "reference",
    [
        "第二条规定的情形，适用前款规定。",
        "第二条、第三条所称的主体，是指法人。",
        "第二条第三款另有规定的除外。",
        "第二条至第四条的规定除外。",
        "第二章规定的程序适用。",
    ],
)
def test_a_chinese_cross_reference_at_the_start_is_no_clause(reference: str) -> None:
    found = find_clauses(elements("第一条 甲方应当付款。", reference, "第二条 乙方应当交货。"), "zh")
    assert numbers(found) == ["1", "2"]
    assert reference in found[0].text


@pytest.mark.parametrize(
    "reference",
    [
        "Section 2.2 below applies in that case.",
        "Section 2.2, and whatever follows from it.",
        "2.2 of this License shall terminate at once.",
        "Section 2.2(b) prevails.",
        "Article III hereof is reserved.",
        "1.5 million US dollars are due at closing.",
        "30 days after the notice the rights end.",
        "5 March 2024 is the last day.",
        "2021. 5. 3 is the date of the list.",
        "(b) above applies in that case.",
        "Exhibit A attached hereto is the form.",
        "12 Quay Road, Bristol, is the place.",
    ],
)
def test_an_english_cross_reference_or_amount_at_the_start_is_no_clause(reference: str) -> None:
    found = find_clauses(
        elements(
            "ARTICLE II",
            "SUPPLY",
            "Section 2.1 Delivery. The Supplier delivers.",
            reference,
            "Section 2.2 Price. It is fixed.",
        ),
        "en",
    )
    assert numbers(found) == ["2", "2.1", "2.2"]
    assert reference in found[1].text


def test_a_wrapped_cross_reference_is_no_clause() -> None:
    text = (
        "2.1 Termination. Either party may end this Agreement by notice in the\n"
        "case of a breach, and the remedies that are set out in Section 4 and\n"
        "2.2 survive the end of this Agreement for as long as the law of the\nplace of performance allows it."
    )
    found = find_clauses(
        elements("2. TERM", text, "2.2 Effect. Each party returns the documents of the other party to\nit."), "en"
    )
    assert numbers(found) == ["2", "2.1", "2.2"]
    assert found[2].title == "Effect"


def test_quoted_clauses_belong_to_the_quotation() -> None:
    found = find_clauses(
        elements("第一条 原办法修改为：", "“第二条 旧文。", "第三条 旧文。”", "第二条 本决定自公布之日起施行。"), "zh"
    )
    assert numbers(found) == ["1", "2"]
    assert "旧文" in found[0].text


def test_a_table_of_contents_is_not_read() -> None:
    contents = ["目　录", "第一章　总则", "第二章　附则"]
    body = ["第一章　总则", "第一条　甲。", "第二章　附则", "第二条　乙。"]
    assert numbers(find_clauses(elements(*contents, *body), "zh")) == ["1", "1", "2", "2"]
    english = [
        "ARTICLE I TERM ........ 2",
        "Section 1.1 Start ........ 2",
        "ARTICLE I TERM",
        "Section 1.1 Start. It starts today.",
    ]
    assert numbers(find_clauses(elements("CONTENTS", *english), "en")) == ["1", "1.1"]


def test_recitals_stay_when_they_follow_a_table_of_contents() -> None:
    found = find_clauses(
        elements(
            "CONTENTS",
            "1. Term\t2",
            "2. Price\t3",
            "WHEREAS, the parties wish to trade;",
            "NOW, THEREFORE, they agree:",
            "1. Term. One year.",
            "2. Price. Fixed.",
        ),
        "en",
    )
    assert [clause.kind for clause in found] == ["recital", "section", "section"]


@pytest.mark.parametrize(("following", "expected"), [("(j) the tenth;", "1.1(i)"), ("(ii) the second;", "1.1(h)(i)")])
def test_an_i_is_what_its_neighbours_make_it(following: str, expected: str) -> None:
    letters = [f"({letter}) the item;" for letter in "abcdefgh"]
    found = find_clauses(
        elements("1. TERMS", "1.1 List. It has:", *letters, "(i) the ninth or first;", following), "en"
    )
    assert expected in numbers(found)


def test_items_are_numbered_after_what_they_stand_in() -> None:
    found = find_clauses(
        elements(
            "ARTICLE IV PRICE",
            "Section 4.1 Parts. They are",
            "(a) one;",
            "(b) two, namely",
            "(i) three;",
            "(ii) four;",
            "(A) five;",
            "(B) six;",
            "(c) seven.",
        ),
        "en",
    )
    assert numbers(found) == [
        "4",
        "4.1",
        "4.1(a)",
        "4.1(b)",
        "4.1(b)(i)",
        "4.1(b)(ii)",
        "4.1(b)(ii)(A)",
        "4.1(b)(ii)(B)",
        "4.1(c)",
    ]
    assert parents(found)["4.1(c)"] == "4.1"


def test_an_item_may_begin_right_after_the_heading() -> None:
    found = find_clauses(
        elements(
            "ARTICLE II SALE",
            "Section 2.1 Delivery. (a) The Seller delivers at its own cost.",
            "(b) The Buyer unloads.",
        ),
        "en",
    )
    assert numbers(found) == ["2", "2.1", "2.1(a)", "2.1(b)"]
    assert found[1].title == "Delivery"
    assert found[2].text == "(a) The Seller delivers at its own cost."


def test_numbers_begin_anew_in_an_exhibit() -> None:
    found = find_clauses(
        elements(
            "1. Term. One year.",
            "2. Price. Fixed.",
            "IN WITNESS WHEREOF, they sign.",
            "By: ____",
            "EXHIBIT A",
            "PRICES",
            "1. Pumps. Ten.",
            "2. Sets. One.",
        ),
        "en",
    )
    assert [(clause.kind, clause.normal_number) for clause in found] == [
        ("section", "1"), ("section", "2"), ("exhibit", "A"), ("section", "1"), ("section", "2"),
    ]  # fmt: skip
    assert found[2].title == "PRICES"
    assert "By:" not in found[1].text


def test_definitions_belong_to_their_section() -> None:
    found = find_clauses(
        elements(
            "ARTICLE I DEFINITIONS",
            "Section 1.1 Terms.",
            "“Affiliate” means a company that",
            "(a) controls; or",
            "(b) is controlled.",
            "“Fee” has the meaning set out in Section 3.1.",
            "Section 1.2 Rules. None.",
        ),
        "en",
    )
    assert [(clause.kind, clause.title) for clause in found if clause.kind == "definition"] == [
        ("definition", "Affiliate"),
        ("definition", "Fee"),
    ]
    assert numbers(found)[-1] == "1.2"


def test_automatic_numbers_are_read_and_written_into_the_text() -> None:
    numbered = [
        Element(id="e1", kind="paragraph", text="标的", number="第一条", number_level=0),
        Element(id="e2", kind="paragraph", text="设备一套；", number="（一）", number_level=1),
        Element(id="e3", kind="paragraph", text="价款", number="第二条", number_level=0),
    ]
    found = find_clauses(numbered)
    assert numbers(found) == ["1", "1(1)", "2"]
    assert found[0].title == "标的"
    assert found[0].text == "第一条 标的"


def test_a_running_header_and_page_numbers_break_no_text() -> None:
    lines = []
    for number in range(1, 13):
        lines.append(f"第{number}条 " + "当事人应当按照约定全面履行自己的义务，遵循诚信原则，根据合同的性质和")
        lines.extend(
            ["—" + str(number) + "—", "", "技术服务协议　合同编号", f"目的履行通知、协助、保密等{number}项义务。"]
        )
    found = find_clauses(
        [Element(id=f"e{i}", kind="paragraph", text=line) for i, line in enumerate(lines) if line], "zh"
    )
    assert len(found) == 12
    assert not any("合同编号" in clause.text for clause in found[1:-1])


def test_rows_of_tables_are_text_and_no_clauses() -> None:
    table = Element(id="t", kind="table", text="1.\tPump\t10\n2.\tSet\t20\nSection 1.2\tFoo\t3")
    found = find_clauses(
        [
            *elements("ARTICLE I PRICE", "Section 1.1 List. As follows:"),
            table,
            *elements("Section 1.2 Tax. It is extra."),
        ],
        "en",
    )
    assert numbers(found) == ["1", "1.1", "1.2"]
    assert "Pump" in found[1].text
    assert found[1].element_ids == ("e2", "t")


def test_a_paragraph_after_the_last_item_belongs_to_the_article() -> None:
    found = find_clauses(
        elements("第一条 有下列情形的：", "（一）甲；", "（二）乙。", "前款规定的期限为三十日。", "第二条 丙。"), "zh"
    )
    assert found[2].text == "（二）乙。"
    assert "前款规定的期限" in found[0].text


def test_positions_come_from_the_lines() -> None:
    def line(text: str, page: int, top: float) -> Line:
        return Line(text=text, box=Box(page=page, left=72, top=top, right=72 + 6 * len(text), bottom=top + 12))

    long = "Section 1.1 Delivery. The Supplier delivers the goods to the warehouse that the order"
    printed = [
        Element(id="e1", kind="paragraph", text="ARTICLE I GOODS", page=1, lines=(line("ARTICLE I GOODS", 1, 80),)),
        Element(
            id="e2", kind="paragraph", text=f"{long} names.", page=1, lines=(line(long, 1, 700), line("names.", 2, 72))
        ),
    ]
    found = find_clauses(printed)
    assert found[1].pages == (1, 2)
    assert [(box.page, box.top) for box in found[1].boxes] == [(1, 700), (2, 72)]
    assert found[1].text == f"{long} names."


def test_the_text_is_never_empty_and_ids_are_unique() -> None:
    found = find_clauses(
        elements("ARTICLE I", "TERM", "Section 1.1", "It lasts a year.", "Section 1.2 End. It ends."), "en"
    )
    assert all(clause.text for clause in found)
    assert len({clause.id for clause in found}) == len(found)


def test_a_long_statute_takes_less_than_a_second() -> None:
    statute = elements(
        *(
            f"第{number}条 当事人应当按照约定全面履行自己的义务，依照第{number // 2 + 1}条的规定处理。"
            for number in range(1, 5001)
        )
    )
    started = time.process_time()
    found = find_clauses(statute)
    assert len(found) == 5000
    assert time.process_time() - started < 3.0  # a second on an idle core


@pytest.mark.parametrize(
    "hostile",
    [
        "(a) " * 250_000,
        "1." * 500_000,
        "第" * 1_000_000,
        "“" * 300_000,
        " " * 1_000_000 + "x",
        "Section 1.1 " * 80_000,
        "(((((" * 200_000,
        "第一条" * 300_000,
        "A. " * 300_000,
    ],
    ids=range(9),
)
def test_one_huge_line_is_read_in_bounded_time(hostile: str) -> None:
    started = time.process_time()
    find_clauses(elements(hostile))
    assert time.process_time() - started < 10.0


@pytest.mark.parametrize("line", ["(a) x", "1. X", "“", "第一条 甲", "Section 1.1 X", "(i) y", "\t\t", "Article I"])
def test_thirty_thousand_equal_lines_are_read_in_bounded_time(line: str) -> None:
    started = time.process_time()
    find_clauses(elements("\n".join([line] * 30_000)))
    assert time.process_time() - started < 12.0
