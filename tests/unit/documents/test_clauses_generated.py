"""Generated contracts: every clause, its number and its parent, on hundreds of seeds."""

from __future__ import annotations

from typing import Literal

import pytest
from contracts_generator import generate
from contracts_generator.layout import found, with_ids

from difyrpc_services.documents.clauses import find_clauses
from difyrpc_services.documents.formats.text import elements_of

BATCH = 25
BATCHES = range(0, 225, BATCH)
LANGUAGES = ("zh", "en")


def test_a_seed_makes_the_same_contract_each_time() -> None:
    assert generate(7, "en") == generate(7, "en")
    assert generate(7, "en").text() != generate(8, "en").text()


@pytest.mark.parametrize("first", BATCHES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_clause_of_whole_paragraphs_is_found(language: Literal["zh", "en"], first: int) -> None:
    for seed in range(first, first + BATCH):
        contract = generate(seed, language)
        assert found(find_clauses(contract.elements())) == list(contract.expected), f"seed {seed}"


@pytest.mark.parametrize("first", BATCHES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_clause_of_hard_wrapped_text_is_found(language: Literal["zh", "en"], first: int) -> None:
    for seed in range(first, first + BATCH):
        contract = generate(seed, language)
        elements = with_ids(list(elements_of(contract.text())))
        assert found(find_clauses(elements)) == list(contract.expected), f"seed {seed}"


@pytest.mark.parametrize("first", range(0, 50, BATCH))
def test_numbers_that_word_made_count_like_typed_ones(first: int) -> None:
    for seed in range(first, first + BATCH):
        contract = generate(seed, "zh")
        assert found(find_clauses(contract.elements(automatic=True))) == list(contract.expected), f"seed {seed}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_of_the_body_is_lost(language: Literal["zh", "en"]) -> None:
    contract = generate(11, language)
    held = "".join("".join(clause.text.split()) for clause in find_clauses(contract.elements()))
    body = [item for item in contract.paragraphs if item.role == "body" and "Agreement is made on" not in item.text]
    for paragraph in body:
        if not paragraph.text.startswith(("NOW, THEREFORE", "IN WITNESS", "By: ", "（以下无正文")):
            assert "".join(paragraph.text.split()) in held
