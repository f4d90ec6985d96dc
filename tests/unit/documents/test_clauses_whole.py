"""Whole statutes and long agreements: the exact clauses of hundreds of articles, in whole paragraphs and wrapped."""

from __future__ import annotations

import pytest
from contracts_generator.agreements import AGREEMENTS
from contracts_generator.codes import CODES
from contracts_generator.layout import ExpectedClause, GeneratedContract, found, with_ids

from difyrpc_services.documents.clauses import find_clauses
from difyrpc_services.documents.elements import Element
from difyrpc_services.documents.formats.text import elements_of

SMALLER = {"code": {"articles": 420}, "american": {"articles": 12}}
"""So that the suite stays quick; the others are small by themselves."""
NAMES = (*CODES, *AGREEMENTS)


def made(name: str, seed: int) -> GeneratedContract:
    return {**CODES, **AGREEMENTS}[name](seed, **SMALLER.get(name, {}))


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", NAMES)
def test_a_whole_text_in_paragraphs_has_exactly_its_clauses(name: str, seed: int) -> None:
    contract = made(name, seed)
    assert found(find_clauses(contract.elements())) == list(contract.expected)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", NAMES)
def test_a_whole_text_in_wrapped_lines_has_exactly_its_clauses(name: str, seed: int) -> None:
    contract = made(name, seed)
    assert found(find_clauses(with_ids(list(elements_of(contract.text()))))) == list(contract.expected)


def test_a_code_whose_articles_word_counts_has_exactly_its_clauses() -> None:
    contract = made("code", 0)
    assert found(find_clauses(contract.elements(automatic=True))) == list(contract.expected)


def paragraphs(*texts: str) -> list[Element]:
    return [Element(id=f"e{place}", kind="paragraph", text=text) for place, text in enumerate(texts)]


def numbers(*texts: str) -> list[tuple[str, str, str]]:
    return [(clause.kind, clause.normal_number, clause.title) for clause in find_clauses(paragraphs(*texts))]


@pytest.mark.parametrize(
    "body",
    [
        "第三人有过错的，应当承担责任。",
        "有关部门应当公告。",
        "所有权人享有处分的权利。",
        "时效期间为三年。",
        "处理个人信息应当合法。",
        "及时通知对方。",
    ],
)
def test_an_article_whose_space_is_lost_may_begin_with_a_word_that_follows_references(body: str) -> None:
    assert numbers("第一条　为了保护当事人，制定本法。", f"第二条{body}", "第三条　本法自公布之日起施行。") == [
        ("article", "1", ""),
        ("article", "2", ""),
        ("article", "3", ""),
    ]


def test_what_leads_a_list_in_is_no_title() -> None:
    assert numbers(
        "第一条　有下列情形之一的：", "（一）提供虚假材料；", "（二）拒绝检查。", "第二条　保密义务：", "双方应当保密。"
    ) == [
        ("article", "1", ""),
        ("item", "1(1)", ""),
        ("item", "1(2)", ""),
        ("article", "2", "保密义务"),
    ]


def test_articles_below_an_unnumbered_supplement_leave_the_last_chapter() -> None:
    texts = ("第一章　总则", "第一条　为了保护当事人，制定本法。", "附　则", "第二条　本法自公布之日起施行。")
    clauses = find_clauses(paragraphs(*texts))
    assert [(clause.normal_number, clause.parent_id) for clause in clauses] == [("1", ""), ("1", "c1"), ("2", "")]
    assert "附" not in clauses[1].text


def test_decimal_clauses_belong_to_the_chinese_number_above_them() -> None:
    clauses = find_clauses(
        paragraphs("一、 定义", "1.1 本合同指双方签署的文件。", "1.2 货物指设备。", "二、 付款", "2.1 买方应当付款。")
    )
    by_id = {clause.id: clause for clause in clauses}
    parents = [(clause.normal_number, by_id[clause.parent_id].number) for clause in clauses if clause.parent_id]
    assert parents == [("1.1", "一"), ("1.2", "一"), ("2.1", "二")]


def test_a_list_may_begin_at_the_end_of_the_line_of_its_heading() -> None:
    lines = [
        "Section 17.1 Publicity. Neither Party shall issue press releases",
        "without the consent of the other Party, which may be withheld.",
        "Section 17.2 Representations and Warranties of the Supplier. (a)",
        "The Customer shall pay each correct invoice within thirty days",
        "after it has received it, and shall give notice of any dispute.",
        "(b) Copies of the certificates are to be handed over on request.",
        "Section 17.3 Representations and Warranties of the Customer and",
        "its Affiliates. (a) Neither Party may assign without the consent",
        "of the other Party, which may not be withheld without a reason.",
        "(b) Any waiver must be in writing and is limited to the one case",
    ]
    clauses = find_clauses(with_ids(list(elements_of("\n".join(lines)))))
    assert [ExpectedClause(one.kind, one.normal_number, "", one.title) for one in clauses if one.kind == "item"] == [
        ExpectedClause("item", number, "", "") for number in ("17.2(a)", "17.2(b)", "17.3(a)", "17.3(b)")
    ]
    assert clauses[-3].title == "Representations and Warranties of the Customer and its Affiliates"
