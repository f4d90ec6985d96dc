"""Clauses out of real files: the sample contracts, and generated ones as PDF, DOCX and plain text."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from contracts_generator import generate
from contracts_generator.layout import found

from difyrpc_services.documents.clauses import find_clauses
from difyrpc_services.documents.elements import Clause, Element
from difyrpc_services.documents.formats import reader
from difyrpc_services.documents.formats.reading import ReadPart, ReadRequest

ROOT = Path(__file__).resolve().parents[2]
CONTRACTS = ROOT / "examples" / "contracts"


def read(name: str, content: bytes) -> list[Element]:
    parts = reader(name)(memoryview(content), ReadRequest())
    elements = [element for part in parts if isinstance(part, ReadPart) for element in part.elements]
    return [replace(element, id=f"e{index}") for index, element in enumerate(elements, start=1)]


def sample(name: str) -> list[Clause]:
    return find_clauses(read(Path(name).suffix[1:], (CONTRACTS / name).read_bytes()))


def kinds(clauses: list[Clause]) -> dict[str, int]:
    return dict(Counter(clause.kind for clause in clauses))


def test_the_english_sample_has_exactly_its_clauses() -> None:
    clauses = sample("supply-agreement.pdf")
    assert kinds(clauses) == {
        "recital": 3,
        "article": 11,
        "section": 56,
        "item": 31,
        "subitem": 5,
        "definition": 8,
        "schedule": 2,
        "exhibit": 1,
    }
    sections = [clause.normal_number for clause in clauses if clause.kind == "section"]
    lengths = (3, 6, 6, 7, 5, 4, 4, 4, 5, 4, 8)
    assert sections == [
        f"{article}.{number}" for article, last in enumerate(lengths, 1) for number in range(1, last + 1)
    ]
    assert all(clause.title for clause in clauses if clause.kind in ("article", "section", "schedule", "exhibit"))


def test_the_english_sample_keeps_references_amounts_and_tables_in_their_clauses() -> None:
    clauses = {clause.normal_number: clause for clause in sample("supply-agreement.pdf") if clause.kind == "section"}
    assert "Section 10.2 below" in clauses["3.3"].text
    assert "1.5 million US dollars" in clauses["4.5"].text
    assert "Article VIII, Article IX and Section 11.3 survive" in clauses["10.4"].text
    assert "Section 4.2 Costs." in clauses["11.7"].text
    assert clauses["9.4"].pages == (8, 9)
    assert len(clauses["9.4"].boxes) == 2
    assert "Save for" in clauses["9.4"].text


def test_the_chinese_sample_has_exactly_its_clauses() -> None:
    clauses = sample("procurement-contract-zh.docx")
    assert kinds(clauses) == {
        "recital": 2,
        "chapter": 9,
        "section": 2,
        "article": 40,
        "item": 25,
        "subitem": 3,
        "exhibit": 3,
    }
    articles = [clause for clause in clauses if clause.kind == "article"]
    assert [clause.normal_number for clause in articles] == [str(number) for number in range(1, 41)]
    assert articles[31].number == "第三十二条"
    assert articles[31].title == "解除"
    assert "第三十二条的约定解除合同" in articles[11].text.replace("\n", "")
    assert "框架协议与具体采购合同不一致的" in articles[38].text


def test_the_samples_are_what_their_sources_say(tmp_path: Path) -> None:
    script = str(ROOT / "tools" / "make_samples.py")
    for folder in (tmp_path / "once", tmp_path / "twice"):
        subprocess.run([sys.executable, script, "--to", str(folder)], check=True, capture_output=True, timeout=60)
    for name in ("supply-agreement.pdf", "procurement-contract-zh.docx"):
        made = (tmp_path / "once" / name).read_bytes()
        assert made == (tmp_path / "twice" / name).read_bytes()
        assert find_clauses(read(Path(name).suffix[1:], made)) == sample(name)


def test_the_precedents_are_complete_and_in_both_languages() -> None:
    lines = (ROOT / "examples" / "precedents.jsonl").read_text(encoding="utf-8").splitlines()
    precedents = [json.loads(line) for line in lines]
    assert Counter(item["language"] for item in precedents) == {"zh": 36, "en": 36}
    assert len({item["case_id"] for item in precedents}) == len(precedents)
    assert all(60 <= len(item["text"]) <= 250 for item in precedents)
    assert all(set(item) == {"case_id", "title", "text", "language", "topic", "year", "court"} for item in precedents)


@pytest.mark.parametrize("first", [0, 10, 20])
def test_generated_agreements_survive_a_pdf(first: int) -> None:
    for seed in range(first, first + 10):
        contract = generate(seed, "en")
        assert found(find_clauses(read("pdf", contract.pdf()))) == list(contract.expected), f"seed {seed}"


@pytest.mark.parametrize("language", ["zh", "en"])
def test_generated_texts_survive_a_docx(language: Literal["zh", "en"]) -> None:
    for seed in range(15):
        contract = generate(seed, language)
        assert found(find_clauses(read("docx", contract.docx()))) == list(contract.expected), f"seed {seed}"


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_generated_texts_survive_an_encoding(encoding: str) -> None:
    for seed in range(15):
        contract = generate(seed, "zh")
        assert found(find_clauses(read("text", contract.text().encode(encoding)))) == list(contract.expected), (
            f"seed {seed}"
        )
