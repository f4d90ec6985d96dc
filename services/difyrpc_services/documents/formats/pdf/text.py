"""Takes the text of a page out of pdfium as fragments: runs of words without a wide gap.

A call through ctypes costs as much as the text of a whole line. So the text comes in one piece, only the first and
the last character of each word are asked for their boxes, and fonts are asked for a fragment. The boxes are pdfium's
loose ones: as high as the font, as wide as the character advances.
"""

from __future__ import annotations

import ctypes
import math
import re
from bisect import bisect_left, bisect_right
from collections import deque
from itertools import repeat
from operator import sub
from typing import Any, Final, Self

import pypdfium2.raw as pdfium

from difyrpc_services.documents.formats.pdf import native
from difyrpc_services.documents.formats.pdf.fonts import Fonts
from difyrpc_services.documents.formats.pdf.fragments import (
    Face,
    Fragment,
    Word,
    fragment_of,
    is_right_to_left,
)
from difyrpc_services.documents.formats.pdf.view import View
from difyrpc_services.documents.formats.words import is_cjk

GAP: Final = 1.1  # of a word's height: a wider gap between words separates fragments
DROP: Final = 0.6  # of a word's height: a greater step up or down separates fragments
CLOSE: Final = 0.4  # of the height: less between Chinese signs need be no space
MOST_CHARACTERS: Final = 400_000  # of one page; beyond it a page is no page
HYPHEN: Final = "\x02"  # pdfium's sign for a hyphen at the end of a line
ASLANT: Final = -1  # instead of degrees: at no right angle
_WORD: Final = re.compile(r"[^\s\ufffe]+\ufffe?")
_UNSPACED: Final = re.compile(
    "[\u0590-\u08ff\u2e80-\u30ff\u3400-\u9fff\uf900-\ufaff\ufb1d-\ufdff\ufe30-\ufe4f\ufe70-\ufefc\uff00-\uffef]"
)
"""Signs of scripts that are written without spaces, or to the left."""
_BREAK: Final = re.compile(r"[\r\n\x0b\x0c]+")
_STRANGE: Final = re.compile("[\x00-\x08\x0e-\x1f\u00ad\u200b\ue000-\uf8ff\ufb00-\ufb06\ufeff\ufff9-\ufffe]")
_UNWANTED: Final = re.compile("[\x00\x01\x03-\x08\x0e-\x1f\u00ad\u200b\ufeff\ufff9-\ufffb]")
_LIGATURES: Final = {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"}
_SYMBOLS: Final = {
    **dict.fromkeys("\uf0b7\uf09f\uf06c\uf0a8", "•"),
    **dict.fromkeys("\uf0a7\uf06e\uf071", "▪"),
    **dict.fromkeys("\uf0d8\uf0e0\uf0de", "➢"),
    **dict.fromkeys("\uf0fc\uf0fe\uf052", "✓"),
    "\uf02d": "–",
    "\uf076": "❖",
}
"""What the private characters of Symbol and Wingdings look like, as word processors use them for lists."""
_SYMBOL: Final = re.compile(f"[{''.join(_SYMBOLS)}]")
_LIGATURE: Final = re.compile("[\ufb00-\ufb06]")

Look = tuple[int, Face]
"""Degrees that the page is to be turned to read it, or ASLANT; and how it looks."""
_PLAIN: Final[Look] = (0, Face())


class PageText:
    """The text of one page. Use as a context manager: pdfium's memory is not freed otherwise."""

    def __init__(self, page: Any, view: View) -> None:
        self._page = page
        self._view = view
        self._fonts = Fonts()
        self._looks: dict[int | None, Look] = {None: _PLAIN}
        self._faces: dict[tuple[float, bool, bool], Face] = {}
        self._matrix = (ctypes.c_float * 6)()
        self._spaced = False
        self.whole = ""
        """All of it as pdfium has it, after `fragments`."""

    def __enter__(self) -> Self:
        self._text = self._page.get_textpage()
        self._raw = self._text.raw
        self._address = native.address_of(self._raw)
        return self

    def __exit__(self, *_: object) -> None:
        self._text.close()

    def fragments(self) -> dict[int, list[Fragment]]:
        """Answers the fragments in the order of the file, by the degrees that the page is to be turned for them.

        What stands at no right angle is under ASLANT.
        """
        total = min(pdfium.FPDFText_CountChars(self._raw), MOST_CHARACTERS)
        if total <= 0:
            return {}
        self.whole = whole = self._all(total)
        texts = _WORD.findall(whole)
        if not texts:
            return {}
        starts = [match.start() for match in _WORD.finditer(whole)]
        indexes = [0] * (2 * len(texts))
        indexes[0::2] = starts
        indexes[1::2] = [start + len(text) - 1 for start, text in zip(starts, texts, strict=True)]
        if len(whole) != total:
            indexes = list(map(self._index_of, indexes))
        for match in _STRANGE.finditer(whole):
            at = bisect_right(starts, match.start()) - 1
            texts[at] = clean(texts[at])
        self._spaced = _UNSPACED.search(whole) is None
        boxes = self._boxes(indexes)
        words = _placed(texts, boxes, self._view)
        found: dict[int, list[Fragment]] = {}
        begin = 0
        for place in [match.start() for match in _BREAK.finditer(whole)] + [len(whole)]:
            end = bisect_left(starts, place, begin)
            if end > begin:
                turn, _ = self._look(indexes[2 * begin])
                line = words[begin:end]
                if turn > 0:
                    line = _placed(texts[begin:end], boxes[8 * begin : 8 * end], self._view.turned(turn))
                self._add_line(found.setdefault(turn, []), line, indexes[2 * begin : 2 * end], apart=turn != ASLANT)
            begin = end
        return found

    def has_error(self, place: int) -> bool:
        """Answers whether pdfium could not say which letter a character of `whole` stands for."""
        return bool(native.unknown_letter(self._address, place))

    def _all(self, total: int) -> str:
        buffer = ctypes.create_string_buffer((2 * total + 1) * 2)
        written = pdfium.FPDFText_GetText(self._raw, 0, total, ctypes.cast(buffer, ctypes.POINTER(ctypes.c_ushort)))
        return buffer.raw[: max(0, written - 1) * 2].decode("utf-16-le", errors="replace")

    def _index_of(self, place: int) -> int:
        index = pdfium.FPDFText_GetCharIndexFromTextIndex(self._raw, place)
        return int(index) if index >= 0 else place

    def _boxes(self, indexes: list[int]) -> list[float]:
        """Answers left, top, right and bottom as pdfium has them of each character, one after the other."""
        boxes = (ctypes.c_float * (4 * len(indexes)))()
        begin = ctypes.addressof(boxes)
        places = range(begin, begin + 16 * len(indexes), 16)
        deque(map(native.loose_box, repeat(self._address), indexes, places), maxlen=0)
        return boxes[:]

    def _add_line(self, kept: list[Fragment], line: list[Word], indexes: list[int], *, apart: bool) -> None:
        """Adds the fragments of one of pdfium's lines: those that wide gaps and steps up or down separate."""
        gap = _widest_gap(line) if self._spaced else None
        if gap is not None:
            kept.append(fragment_of(line, self._face(indexes[0], indexes[-1]), indexes[0], gap))
            return
        begin = 0
        words: list[Word] = []
        for number, word in enumerate(line):
            text, left, top, _, bottom = word
            if words:
                last, _, last_top, last_right, last_bottom = words[-1]
                height = bottom - top if bottom - top > last_bottom - last_top else last_bottom - last_top
                step = last_top + last_bottom - top - bottom
                gap = left - last_right
                if not (text.isascii() and last.isascii()) and self._goes_on(
                    last, text, gap / (height or 1.0), indexes[2 * number]
                ):
                    words[-1] = _one(words[-1], word)
                    continue
                wide = gap > GAP * height or not -2 * DROP * height <= step <= 2 * DROP * height
                if apart and (wide or (gap < -0.5 * height and _is_back(words[-1], word, height))):
                    kept.append(
                        fragment_of(words, self._face(indexes[2 * begin], indexes[2 * number - 1]), indexes[2 * begin])
                    )
                    words = []
            if text:
                if not words:
                    begin = number
                words.append(word)
        if words:
            kept.append(fragment_of(words, self._face(indexes[2 * begin], indexes[-1]), indexes[2 * begin]))

    def _goes_on(self, last: str, text: str, gap: float, index: int) -> bool:
        """Answers whether the space beside a Chinese sign is none: pdfium made it of a gap that evens out the line."""
        if not text or not -0.5 < gap < CLOSE or not (is_cjk(text[0]) or is_cjk(last[-1])):
            return False
        return bool(native.is_generated(self._address, index - 1))

    def _face(self, first: int, last: int) -> Face:
        """Answers how a run from `first` to `last` looks; it is bold or of one width if both ends are."""
        _, one = self._look(first)
        _, other = self._look(last)
        if one is other or (one.bold == other.bold and one.mono == other.mono):
            return one if one.size >= other.size else other
        size = max(one.size, other.size)
        return Face(size, one.bold and other.bold, one.mono and other.mono)

    def _look(self, index: int) -> Look:
        """Answers how a character looks; asked once for each text object."""
        item = native.text_object(self._address, index)
        look = self._looks.get(item)
        if look is None:
            look = self._looks[item] = self._asked(item, index)
        return look

    def _asked(self, item: int, index: int) -> Look:
        font = self._fonts.of(item)
        size = native.font_size(self._address, index)
        turn = 0
        matrix = self._matrix
        if native.text_matrix(self._address, index, ctypes.addressof(matrix)):
            across, up, slant, height, _, _ = matrix
            size *= math.hypot(slant, height) or 1.0
            turn = _turn(across, up, self._view.rotation)
        key = (round(abs(size), 2) or 1.0, font.bold, font.mono)
        face = self._faces.get(key)
        if face is None:
            face = self._faces[key] = Face(*key)
        return turn, face


def _placed(texts: list[str], boxes: list[float], view: View) -> list[Word]:
    """Makes words of their texts and of pdfium's boxes of their first and last characters."""
    lefts, rights = map(min, boxes[0::8], boxes[4::8]), map(max, boxes[2::8], boxes[6::8])
    tops, bottoms = map(max, boxes[1::8], boxes[5::8]), map(min, boxes[3::8], boxes[7::8])
    if view.rotation:
        places = map(view.place, lefts, bottoms, rights, tops)
        return [(text, *place) for text, place in zip(texts, places, strict=True)]
    y = view.bottom + view.height
    down, up = [y - top for top in tops], [y - bottom for bottom in bottoms]
    if view.left:
        x = view.left
        return list(zip(texts, [left - x for left in lefts], down, [right - x for right in rights], up, strict=True))
    return list(zip(texts, lefts, down, rights, up, strict=True))


def _turn(across: float, up: float, rotation: int) -> int:
    """Answers the degrees clockwise, beyond `rotation`, at which text of that direction stands upright."""
    if up == 0.0 and across > 0:
        return (-rotation) % 360
    angle = math.degrees(math.atan2(up, across))
    nearest = round(angle / 90) * 90
    return (nearest - rotation) % 360 if abs(angle - nearest) < 6 else ASLANT


def _widest_gap(line: list[Word]) -> float | None:
    """Answers the widest gap between words that stand in one row, as most do; None if they do not, or it is wide."""
    if len(line) == 1:
        return 0.0 if line[0][0] else None
    texts, lefts, tops, rights, bottoms = zip(*line, strict=True)
    height = bottoms[0] - tops[0]
    gaps = list(map(sub, lefts[1:], rights))
    gap = max(gaps)
    if gap > GAP * height or min(gaps) < -0.5 * height or max(tops) - min(tops) > 0.5 * height or not all(texts):
        return None
    return float(gap)


def _is_back(last: Word, word: Word, height: float) -> bool:
    """Answers whether a word that stands left of the one before it begins anew; Arabic words go on there."""
    return not is_right_to_left(last[0]) or last[1] - word[3] > GAP * height


def _one(last: Word, word: Word) -> Word:
    """Answers two words that no space separates as one."""
    return last[0] + word[0], last[1], min(last[2], word[2]), word[3], max(last[4], word[4])


def clean(text: str) -> str:
    """Takes out control characters and undoes ligatures; keeps pdfium's hyphen sign for the joining of lines."""
    text = _LIGATURE.sub(lambda match: _LIGATURES[match.group()], text)
    text = _SYMBOL.sub(lambda match: _SYMBOLS[match.group()], text)
    return _UNWANTED.sub("", text.replace("\ufffe", HYPHEN))
