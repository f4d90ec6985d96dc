"""Makes contracts from a seed, with numbering that tries to mislead; what they hold is known by construction."""

from __future__ import annotations

from random import Random
from typing import Literal

from contracts_generator.chinese import chinese_paragraphs
from contracts_generator.english import english_paragraphs
from contracts_generator.layout import ExpectedClause, GeneratedContract, Paragraph, Role

__all__ = ["ExpectedClause", "GeneratedContract", "Paragraph", "Role", "generate"]


def generate(seed: int, language: Literal["zh", "en"]) -> GeneratedContract:
    """Answers the contract of a seed, always the same one."""
    random = Random(f"{language}-{seed}")
    make = chinese_paragraphs if language == "zh" else english_paragraphs
    paragraphs, expected, header = make(random)
    return GeneratedContract(seed=seed, language=language, paragraphs=paragraphs, expected=expected, header=header)
