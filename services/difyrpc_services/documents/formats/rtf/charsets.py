"""Which encoding the bytes of an RTF file are in: of the file, and of each font."""

from __future__ import annotations

import codecs
from dataclasses import dataclass, field
from typing import Final

_CODE_PAGES: Final = {936: "gb18030", 10000: "mac_roman", 65001: "utf-8", 1361: "johab", 708: "cp1256", 0: "cp1252"}
_CHARSETS: Final = {  # of \fcharset; RTF 1.9.1, "Font Table"
    77: 10000, 128: 932, 129: 949, 130: 1361, 134: 936, 136: 950, 161: 1253, 162: 1254, 163: 1258, 177: 1255,
    178: 1256, 186: 1257, 204: 1251, 222: 874, 238: 1250, 254: 437, 255: 850,
}  # fmt: skip
_EAST: Final = frozenset((932, 936, 949, 950, 1361, 65001))
SYMBOL: Final = 2  # \fcharset of fonts of signs
LATIN: Final = 0


def encoding(code_page: int) -> str:
    """Answers Python's name of a code page; cp1252 for one that nobody knows."""
    name = _CODE_PAGES.get(code_page, f"cp{code_page}")
    try:
        return codecs.lookup(name).name
    except LookupError:
        return "cp1252"


@dataclass(slots=True)
class Font:
    """One font of the table."""

    charset: int | None = None
    code_page: int | None = None
    name: str = ""


@dataclass(slots=True)
class Fonts:
    """The font table."""

    code_page: int = 1252
    """Of the file (\\ansicpg)."""
    table: dict[int, Font] = field(default_factory=dict)
    default: int = 0
    _known: dict[int, tuple[str, str]] = field(default_factory=dict)

    def look(self, number: int) -> tuple[str, str]:
        """Answers the encoding of a font, and its name if it is one of signs."""
        if number not in self._known:
            self._known[number] = self._found(number)
        return self._known[number]

    def changed(self) -> None:
        """Takes notice of a new entry."""
        self._known.clear()

    def _found(self, number: int) -> tuple[str, str]:
        font = self.table.get(number)
        if font is None:
            return encoding(self.code_page), ""
        if font.charset == SYMBOL:
            return "latin-1", font.name or "symbol"
        if font.code_page:
            return encoding(font.code_page), ""
        page = _CHARSETS.get(font.charset if font.charset is not None else -1, self.code_page)
        if font.charset == LATIN:
            page = self._latin()
        return encoding(page), ""

    def _latin(self) -> int:
        """Answers the code page of fonts that claim Western letters.

        Some programs claim that of all fonts and mean the code page of the file; then no font claims that page.
        """
        claimed = {_CHARSETS.get(font.charset) for font in self.table.values() if font.charset is not None}
        return self.code_page if self.code_page in _EAST or self.code_page not in claimed else 1252
