"""What pdfium knows of the fonts of a document, asked once a font."""

from __future__ import annotations

import ctypes
import re
from dataclasses import dataclass
from typing import Any, Final

import pypdfium2.raw as pdfium

from difyrpc_services.documents.formats.pdf import native

BOLD_WEIGHT: Final = 600
FIXED_PITCH: Final = 1  # PDF 32000-1, table 123
FORCE_BOLD: Final = 1 << 18  # PDF 32000-1, table 123
_BOLD_NAME: Final = re.compile(rb"bold|black|heavy|semibold|demi|simhei|heiti|cmbx", re.IGNORECASE)
_MONO_NAME: Final = re.compile(
    rb"mono|courier|consol|menlo|inconsolata|typewriter|cmtt|sourcecode|source-code|firacode|letter ?gothic|"
    rb"lmtt|lucidasanstypewriter|andale",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Font:
    """One font."""

    bold: bool = False
    mono: bool = False


class Fonts:
    """The fonts of one page; their handles are not to be used for another."""

    def __init__(self) -> None:
        self._known: dict[int, Font] = {}
        self._name = ctypes.create_string_buffer(128)

    def of(self, item: int) -> Font:
        """Answers the font of the text object at an address."""
        address = native.font_of(item)
        if not address:
            return Font()
        font = self._known.get(address)
        if font is None:
            font = self._known[address] = self._asked(ctypes.cast(address, pdfium.FPDF_FONT))
        return font

    def _asked(self, handle: Any) -> Font:
        length = pdfium.FPDFFont_GetBaseFontName(handle, self._name, len(self._name))
        name = self._name.value if 0 < length <= len(self._name) else b""
        flags = max(0, pdfium.FPDFFont_GetFlags(handle))
        return Font(
            bold=bool(flags & FORCE_BOLD)
            or pdfium.FPDFFont_GetWeight(handle) >= BOLD_WEIGHT
            or _BOLD_NAME.search(name) is not None,
            mono=bool(flags & FIXED_PITCH) or _MONO_NAME.search(name) is not None,
        )
