"""Makes recognised lines into the fragments that pages are laid out from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from difyrpc_services.documents.formats.pdf.fragments import Face, Fragment
from difyrpc_services.documents.formats.words import is_cjk
from difyrpc_services.documents.ocr.values import OcrLine, OcrWord

GAP: Final = 1.3  # of the size of letters: a wider gap between words separates fragments
CHINESE_SPACE: Final = 0.62  # of the size: a narrower gap between Chinese signs is none
ALIKE: Final = 1.15  # times a size; recognised sizes that are nearer are one
ALIKE_OF_FEW: Final = 1.45
FEW: Final = 5  # characters
LETTERS: Final = 0.8  # of a word's height, where its size is not known
_SIGNS: Final = frozenset("，。；：、？！（）《》〈〉【】“”‘’…,;:?!()")
_WIDE: Final = dict(zip(",;:?!()", "，；：？！（）", strict=True))
_HAN: Final = "[\u3400-\u4dbf\u4e00-\u9fff]"
_NARROW: Final = re.compile(rf"(?<={_HAN}) ?[,;:?!)(]|[(](?={_HAN})|[,;:?!)(](?= ?{_HAN})")
_NUMERALS: Final = " 一二三四五六七八九十"
_ITEM: Final = re.compile(rf"[(（]\s*([=一二三四五六七八九十])\s*[)）](?=\s*{_HAN})")
UNSURE: Final = 0.6  # confidence under which a line without letters and digits is dirt


def fragments_of(lines: Sequence[OcrLine], points: float, *, first: int = 0) -> tuple[list[Fragment], dict[int, float]]:
    """Answers fragments, and how sure each is by its `start` from `first` on; `points` is the size of a pixel."""
    filled = (line for line in lines if line.words and all(word.text for word in line.words))
    pieces = [piece for line in filled for piece in _pieces(line) if not _is_dirt(piece)]
    sizes = even_sizes([(piece.size * points, sum(len(word.text) for word in piece.words)) for piece in pieces])
    fragments = [
        _fragment(piece, points, size, start)
        for start, (piece, size) in enumerate(zip(pieces, sizes, strict=True), first)
    ]
    mend_numerals(fragments)
    return fragments, {start: _confidence(piece) for start, piece in enumerate(pieces, first)}


def mend_numerals(fragments: Sequence[Fragment]) -> None:
    """Writes （二） and （三） where an engine took the strokes of these numerals for an equals sign."""
    last = 0
    for fragment in fragments:
        item = _ITEM.match(fragment.text)
        if item is None:
            continue
        if item[1] == "=":
            last = last + 1 if last in (1, 2) else 2
            fragment.text = f"（{_NUMERALS[last]}）{fragment.text[item.end() :].lstrip()}"
        else:
            last = _NUMERALS.index(item[1])


def even_sizes(sizes: Sequence[tuple[float, int]]) -> list[float]:
    """Answers sizes (with their numbers of characters) with those that are nearly the same made the same."""
    body = _median(sizes)
    even = {one: body for one in sizes if body / _alike(one[1]) <= one[0] <= body * _alike(one[1])}
    group: list[tuple[float, int]] = []
    for one in [*sorted(set(sizes) - even.keys()), (0.0, 0)]:
        if group and not group[0][0] <= one[0] <= group[0][0] * ALIKE:
            even.update(dict.fromkeys(group, _median(group)))
            group = []
        group.append(one)
    return [round(even[one] * 2) / 2 or 1.0 for one in sizes]


def _alike(characters: int) -> float:
    """Answers how far a size may be from the usual one to be the same; a few signs have no certain size."""
    return ALIKE if characters > FEW else ALIKE_OF_FEW


def _median(sizes: Sequence[tuple[float, int]]) -> float:
    """Answers the size that the middle one of all characters has."""
    half = sum(count for _, count in sizes) / 2
    for size, count in sorted(sizes):
        half -= count
        if half <= 0:
            return size
    return 0.0


def _pieces(line: OcrLine) -> list[OcrLine]:
    """Cuts a line at its wide gaps."""
    size = line.size or LETTERS * max(word.bottom - word.top for word in line.words)
    pieces = [[line.words[0]]]
    for before, word in pairwise(line.words):
        if word.left - before.right > GAP * size:
            pieces.append([])
        pieces[-1].append(word)
    return [OcrLine(words=words, size=size) for words in pieces]


def _is_dirt(line: OcrLine) -> bool:
    return _confidence(line) < UNSURE and not any(sign.isalnum() for word in line.words for sign in word.text)


def _confidence(line: OcrLine) -> float:
    """Answers how sure a line is: the mean over its characters."""
    length = sum(len(word.text) for word in line.words)
    return sum(len(word.text) * word.confidence for word in line.words) / max(1, length)


def _fragment(line: OcrLine, points: float, size: float, start: int) -> Fragment:
    words = line.words
    text = words[0].text
    for before, word in pairwise(words):
        text += ("" if _adjoin(before, word, line.size) else " ") + word.text
    return Fragment(
        full_width(text),
        min(word.left for word in words) * points,
        min(word.top for word in words) * points,
        max(word.right for word in words) * points,
        max(word.bottom for word in words) * points,
        Face(size=size),
        start,
        [(w.text, w.left * points, w.top * points, w.right * points, w.bottom * points) for w in words],
    )


def full_width(text: str) -> str:
    """Answers a text with the marks beside Chinese signs as wide as those; engines make them narrow."""
    return text if text.isascii() else _NARROW.sub(lambda mark: _WIDE[mark[0].strip()], text)


def _adjoin(before: OcrWord, word: OcrWord, size: float) -> bool:
    """Answers whether no space stands between two words: one that engines make between Chinese signs."""
    if not (is_cjk(before.text[-1]) or is_cjk(word.text[0])):
        return False
    if before.text[-1] in _SIGNS or word.text[0] in _SIGNS:
        return True
    return word.left - before.right < CHINESE_SPACE * size
