"""Takes the text of a page out of pdfium as fragments: runs of characters without a wide gap.

pdfium's own line breaks are used, and rectangles and fonts are asked for a line, not for a character: a call through
ctypes costs as much as a whole line's text. Only a line with a wide gap is looked at character by character.
"""

from __future__ import annotations

import ctypes
import re
from dataclasses import dataclass
from typing import Any, Final, Self

import pypdfium2.raw as pdfium

from difyrpc_services.documents.elements import Box

GAP: Final = 1.1  # of the font size: a wider gap between characters separates fragments
BOLD_WEIGHT: Final = 600
FORCE_BOLD: Final = 1 << 18  # PDF 32000-1, table 123
_BOLD_NAME: Final = re.compile(rb"bold|black|heavy|semibold|demi|simhei|heiti", re.IGNORECASE)
_BREAKS: Final = re.compile("\r\n|\r|\n|\x0b|\x0c")
_UNWANTED: Final = re.compile("[\x00\x01\x03-\x08\x0e-\x1f\u00ad\ufeff]")
_GARBLED: Final = re.compile("[\ufffd\ue000-\uf8ff\x00\x01\x03-\x08\x0b\x0e-\x1f\x7f-\x9f]")
HYPHEN: Final = "\x02"  # pdfium's sign for a hyphen at the end of a line


@dataclass(slots=True)
class Fragment:
    """A run of characters on one line."""

    text: str
    left: float
    top: float
    right: float
    bottom: float
    size: float
    """Points."""
    bold: bool
    start: int
    """Index of its first character on the page."""
    count: int

    @property
    def middle(self) -> float:
        """Vertical middle."""
        return (self.top + self.bottom) / 2

    def box(self, page: int) -> Box:
        """Answers its place."""
        return Box(
            page=page,
            left=round(self.left, 2),
            top=round(self.top, 2),
            right=round(self.right, 2),
            bottom=round(self.bottom, 2),
        )


@dataclass(frozen=True, slots=True)
class View:
    """Turns PDF coordinates (origin at the bottom left of the unrotated page) into ours."""

    rotation: int
    left: float
    bottom: float
    width: float
    """Of the page as shown."""
    height: float

    @classmethod
    def of(cls, page: Any) -> View:
        """Reads rotation and visible area of a pypdfium2 page."""
        left, bottom, _, _ = page.get_bbox() if hasattr(page, "get_bbox") else (0.0, 0.0, 0.0, 0.0)
        width, height = page.get_size()
        return cls(page.get_rotation(), left, bottom, width, height)

    def place(self, left: float, bottom: float, right: float, top: float) -> tuple[float, float, float, float]:
        """Answers left, top, right, bottom as shown."""
        left, right = left - self.left, right - self.left
        bottom, top = bottom - self.bottom, top - self.bottom
        if self.rotation == 90:
            return bottom, left, top, right
        if self.rotation == 180:
            return self.width - right, bottom, self.width - left, top
        if self.rotation == 270:
            return self.width - top, self.height - right, self.width - bottom, self.height - left
        return left, self.height - top, right, self.height - bottom


class PageText:
    """The text of one page. Use as a context manager: pdfium's memory is not freed otherwise."""

    def __init__(self, page: Any) -> None:
        self._page = page
        self.view = View.of(page)
        self._bold_names: dict[bytes, bool] = {}

    def __enter__(self) -> Self:
        self._text = self._page.get_textpage()
        self._raw = self._text.raw
        return self

    def __exit__(self, *_: object) -> None:
        self._text.close()

    def fragments(self) -> list[Fragment]:
        """Answers the fragments in the order of the file."""
        total = pdfium.FPDFText_CountChars(self._raw)
        if total <= 0:
            return []
        text = self._all(total)
        found: list[Fragment] = []
        position = 0
        for part in _BREAKS.split(text):
            if part.strip():
                lead = len(part) - len(part.lstrip())
                found += self._line(part.strip(), position + lead)
            position += len(part)
            position += 2 if text.startswith("\r\n", position) else 1
        return found

    def split_at(self, fragment: Fragment, borders: list[float]) -> list[Fragment]:
        """Cuts a fragment at vertical lines that cross it."""
        inside = [x for x in borders if fragment.left + 1 < x < fragment.right - 1]
        if not inside:
            return [fragment]
        characters = self._characters(fragment.text, fragment.start)
        parts: list[list[tuple[str, int, tuple[float, float, float, float]]]] = [[] for _ in range(len(inside) + 1)]
        for character in characters:
            middle = (character[2][0] + character[2][2]) / 2
            parts[sum(middle > x for x in inside)].append(character)
        return [self._made(part) for part in parts if "".join(c[0] for c in part).strip()]

    def _all(self, total: int) -> str:
        buffer = ctypes.create_string_buffer((total + 1) * 2)
        written = pdfium.FPDFText_GetText(self._raw, 0, total, ctypes.cast(buffer, ctypes.POINTER(ctypes.c_ushort)))
        return buffer.raw[: max(0, written - 1) * 2].decode("utf-16-le", errors="surrogatepass")

    def _line(self, text: str, position: int) -> list[Fragment]:
        start = self._index(position)
        end = self._index(position + len(text) - 1)
        count = max(1, end - start + 1)
        boxes = self._rectangles(start, count)
        size, bold, upright = self._font(start + _letter(text))
        if not upright or not boxes:
            return []
        if len(boxes) > 1 and _widest_gap(boxes) > GAP * size:
            return self._split_by_gaps(text, start, size)
        return [
            Fragment(
                clean(text),
                min(box[0] for box in boxes),
                min(box[1] for box in boxes),
                max(box[2] for box in boxes),
                max(box[3] for box in boxes),
                size,
                bold,
                start,
                count,
            )
        ]

    def _index(self, position: int) -> int:
        index = pdfium.FPDFText_GetCharIndexFromTextIndex(self._raw, position)
        return index if index >= 0 else position

    def _rectangles(self, start: int, count: int) -> list[tuple[float, float, float, float]]:
        found = []
        left, top, right, bottom = ctypes.c_double(), ctypes.c_double(), ctypes.c_double(), ctypes.c_double()
        for index in range(pdfium.FPDFText_CountRects(self._raw, start, count)):
            pdfium.FPDFText_GetRect(self._raw, index, left, top, right, bottom)
            found.append(self.view.place(left.value, bottom.value, right.value, top.value))
        return found

    def _font(self, index: int) -> tuple[float, bool, bool]:
        """Answers size, boldness, and whether the text stands upright on the page as shown."""
        name = ctypes.create_string_buffer(96)
        flags = ctypes.c_int()
        length = pdfium.FPDFText_GetFontInfo(self._raw, index, name, 96, flags)
        bold = bool(flags.value & FORCE_BOLD) or pdfium.FPDFText_GetFontWeight(self._raw, index) >= BOLD_WEIGHT
        if not bold and 0 < length <= 96:
            bold = self._is_bold_name(name.value)
        angle = pdfium.FPDFText_GetCharAngle(self._raw, index)  # radians, clockwise; -1 without
        upright = angle < 0 or _off_axis(angle) < 0.1
        return self._size(index), bold, upright

    def _is_bold_name(self, name: bytes) -> bool:
        if name not in self._bold_names:
            self._bold_names[name] = _BOLD_NAME.search(name) is not None
        return self._bold_names[name]

    def _size(self, index: int) -> float:
        """Answers the size as printed: the font's size times the text matrix's scale."""
        size = float(pdfium.FPDFText_GetFontSize(self._raw, index))
        matrix = pdfium.FS_MATRIX()
        if pdfium.FPDFText_GetMatrix(self._raw, index, matrix):
            scale = (matrix.c**2 + matrix.d**2) ** 0.5
            if scale > 0:
                size *= scale
        return round(abs(size), 2) or 1.0

    def _split_by_gaps(self, text: str, start: int, size: float) -> list[Fragment]:
        parts: list[list[tuple[str, int, tuple[float, float, float, float]]]] = []
        right = None
        for character in self._characters(text, start):
            box = character[2]
            if right is None or (not character[0].isspace() and box[0] - right > GAP * size):
                parts.append([])
            parts[-1].append(character)
            if not character[0].isspace():
                right = box[2]
        return [self._made(part) for part in parts if "".join(c[0] for c in part).strip()]

    def _characters(self, text: str, start: int) -> list[tuple[str, int, tuple[float, float, float, float]]]:
        found = []
        left, top, right, bottom = ctypes.c_double(), ctypes.c_double(), ctypes.c_double(), ctypes.c_double()
        for offset, character in enumerate(text):
            if pdfium.FPDFText_GetCharBox(self._raw, start + offset, left, right, bottom, top):
                place = self.view.place(left.value, bottom.value, right.value, top.value)
                found.append((character, start + offset, place))
        return found

    def _made(self, characters: list[tuple[str, int, tuple[float, float, float, float]]]) -> Fragment:
        first = characters[0][1]
        count = characters[-1][1] - first + 1
        boxes = self._rectangles(first, count) or [character[2] for character in characters]
        size, bold, _ = self._font(characters[_letter("".join(c[0] for c in characters))][1])
        return Fragment(
            clean("".join(character[0] for character in characters).strip()),
            min(box[0] for box in boxes),
            min(box[1] for box in boxes),
            max(box[2] for box in boxes),
            max(box[3] for box in boxes),
            size,
            bold,
            first,
            count,
        )


def clean(text: str) -> str:
    """Takes out control characters; keeps pdfium's hyphen sign for the joining of lines."""
    return _UNWANTED.sub("", text).replace("\ufffe", HYPHEN).replace("\xa0", " ")


def garbled_share(text: str) -> float:
    """Answers which part of the characters stands for no readable letter: 0 to 1."""
    letters = len(text) - sum(map(text.count, " \n\t"))
    return len(_GARBLED.findall(text)) / letters if letters else 0.0


def _letter(text: str) -> int:
    """Answers the place of a letter near the middle; pdfium's own spaces have no font."""
    middle = len(text) // 2
    return next((place for place in (*range(middle, len(text)), *range(middle)) if not text[place].isspace()), 0)


def _off_axis(angle: float) -> float:
    """Answers how far an angle is from the nearest quarter turn, in radians."""
    quarter = 1.5707963
    rest = angle % quarter
    return min(rest, quarter - rest)


def _widest_gap(boxes: list[tuple[float, float, float, float]]) -> float:
    ordered = sorted(boxes)
    right, widest = ordered[0][2], 0.0
    for box in ordered[1:]:
        widest = max(widest, box[0] - right)
        right = max(right, box[2])
    return widest
