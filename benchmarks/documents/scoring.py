"""Compares a text with the truth; every engine's text is normalised alike.

Tokens are runs of letters and digits in NFKC and case-folded, each sign of Chinese, Japanese and Korean one of its own;
punctuation, and with it Markdown's signs, does not count. F1 is that of the two multisets of tokens. Order similarity
(NID) is 2 × LCS / (n + m) over the sequences of tokens (rapidfuzz Indel): on words instead of letters, to spare the
processor. The character error rate is the edit distance over letters in NFKC without white space, divided by the length
of the truth, where a fifth of the truth or more is Chinese.

Lines of running headers and footers that the truth names are taken out of a text and of the truth where they stand as
lines of their own, so that neither keeping nor dropping them counts.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rapidfuzz.distance import Indel, Levenshtein

EAST_ASIAN = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uac00-\ud7af\U00020000-\U0003134f"
_TOKEN = re.compile(rf"[{EAST_ASIAN}]|[^\W_{EAST_ASIAN}]+")
_LOOSE = re.compile(rf"[{EAST_ASIAN}]|[^\s{EAST_ASIAN}]+")
_HAN = re.compile("[\u3400-\u9fff]")
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")
_NUMBER = re.compile(r"\d{1,4}")
_PAGE_NUMBER = re.compile(
    r"[-–—]\s*\d{1,4}\s*[-–—]|page\s*\d{1,4}(?:\s*(?:/|of)\s*\d{1,4})?|\d{1,4}\s*/\s*\d{1,4}", re.IGNORECASE
)
LONGEST_CER = 60_000  # letters; longer texts would take the processor minutes


@dataclass(frozen=True, kw_only=True)
class Score:
    """How near a text is to the truth."""

    f1: float
    order: float
    cer: float | None
    """None where the truth is not Chinese."""
    loose_f1: float
    """F1 over what white space separates, so with punctuation and case."""


def score(text: str, truth: str, running: Sequence[str] = ()) -> Score:
    """Compares a text with the truth."""
    if running:
        text, truth = without_running(text, running), without_running(truth, running)
    found, right = tokens(text), tokens(truth)
    return Score(
        f1=f1(found, right),
        order=order_similarity(found, right),
        cer=character_error_rate(text, truth) if is_chinese(truth) else None,
        loose_f1=f1(_LOOSE.findall(normal(text)), _LOOSE.findall(normal(truth))),
    )


def normal(text: str) -> str:
    """Answers a text in NFKC without signs that nobody sees."""
    return _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))


def tokens(text: str) -> list[str]:
    """Answers the tokens of a text in their order."""
    return _TOKEN.findall(normal(text).casefold())


def f1(found: Sequence[str], right: Sequence[str]) -> float:
    """Answers the harmonic mean of precision and recall of the tokens, wherever they stand."""
    if not found or not right:
        return float(not found and not right)
    common = (Counter(found) & Counter(right)).total()
    return 2 * common / (len(found) + len(right))


def order_similarity(found: Sequence[str], right: Sequence[str]) -> float:
    """Answers how much of both sequences runs side by side."""
    numbers: dict[str, int] = {}
    pair = [[numbers.setdefault(token, len(numbers)) for token in each] for each in (found, right)]
    return float(Indel.normalized_similarity(*pair))


def is_chinese(text: str) -> bool:
    """Answers whether at least a fifth of the letters are Chinese."""
    return len(_HAN.findall(text)) * 5 >= len(text.replace(" ", "")) > 0


def character_error_rate(text: str, truth: str) -> float | None:
    """Answers insertions, deletions and replacements for each letter of the truth."""
    found, right = ("".join(normal(each).split()) for each in (text, truth))
    if max(len(found), len(right)) > LONGEST_CER:
        return None
    return Levenshtein.distance(found, right) / max(1, len(right))


def without_running(text: str, running: Sequence[str]) -> str:
    """Takes out lines that are running headers or footers, with the page numbers in them and beside them."""
    named = {_plain(line) for line in running}
    lines = [line for line in text.replace("\f", "\n").split("\n") if line.strip()]
    kinds = [_kind(line, named) for line in lines]
    kept = []
    for place, line in enumerate(lines):
        beside = "running" in (kinds[place - 1 : place] + kinds[place + 1 : place + 2])
        if kinds[place] == "text" or (kinds[place] == "number" and not beside):
            kept.append(line)
    return "\n".join(kept)


def _kind(line: str, named: set[str]) -> str:
    """Answers `running`, `number` for one that may be a page's, or `text`."""
    bare = line.strip("# *|\t")
    if _NUMBER.fullmatch(bare):
        return "number"
    return "running" if _PAGE_NUMBER.fullmatch(bare) or _plain(line) in named else "text"


def _plain(line: str) -> str:
    """Answers the tokens of a line without numbers at its ends."""
    found = tokens(line)
    while found and found[-1].isdecimal():
        found.pop()
    while found and found[0].isdecimal():
        found.pop(0)
    return "".join(found)


def recall(found: Counter[str], agreed: Counter[str]) -> float | None:
    """Answers the share of agreed tokens that are found; None where nothing is agreed."""
    return (found & agreed).total() / agreed.total() if agreed else None


def agreed(others: Sequence[Counter[str]]) -> Counter[str]:
    """Answers the tokens that at least two of the others have, as often as the second most of them."""
    if len(others) < 2:
        return Counter()
    counts: dict[str, list[int]] = {}
    for other in others:
        for token, count in other.items():
            counts.setdefault(token, []).append(count)
    return Counter({token: sorted(each)[-2] for token, each in counts.items() if len(each) > 1})


def differences(text: str, truth: str, running: Sequence[str] = (), *, most: int) -> list[str]:
    """Answers the first places where a text leaves the truth, each with a few tokens before it."""
    found, right = (tokens(without_running(each, running) if running else each) for each in (text, truth))
    said = []
    for step in Levenshtein.opcodes(right, found):
        if step.tag == "equal" or len(said) == most:
            continue
        before = " ".join(right[max(0, step.src_start - 4) : step.src_start])
        missing, extra = right[step.src_start : step.src_end], found[step.dest_start : step.dest_end]
        said.append(f"{before} … {_cut('-', missing)} {_cut('+', extra)}".rstrip())
    return said


def _cut(sign: str, found: Sequence[str]) -> str:
    return f"{sign}[{' '.join(found[:12])}{' …' if len(found) > 12 else ''}]" if found else ""
