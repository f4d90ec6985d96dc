"""The calls of pdfium that are made for every word or object of a page.

pypdfium2's own declarations want pointers made in Python; these take addresses as numbers, at a third of the cost.
They keep the interpreter's lock: each returns within a microsecond.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any, Final, cast

import pypdfium2.raw as pdfium

_P: Final = ctypes.c_void_p
_I: Final = ctypes.c_int


def _call(function: Any, answer: Any, *arguments: Any) -> Callable[..., Any]:
    address = ctypes.cast(function, ctypes.c_void_p).value or 0
    return cast("Callable[..., Any]", ctypes.PYFUNCTYPE(answer, *arguments)(address))


loose_box: Final = _call(pdfium.FPDFText_GetLooseCharBox, _I, _P, _I, _P)
"""(text page, character, address of 4 floats: left, top, right, bottom) -> whether it has one."""
text_object: Final = _call(pdfium.FPDFText_GetTextObject, _P, _P, _I)
"""(text page, character) -> address of the object; None for what pdfium put in itself."""
font_size: Final = _call(pdfium.FPDFText_GetFontSize, ctypes.c_double, _P, _I)
"""(text page, character) -> size before the matrix."""
text_matrix: Final = _call(pdfium.FPDFText_GetMatrix, _I, _P, _I, _P)
"""(text page, character, address of 6 floats) -> whether it has one."""
font_of: Final = _call(pdfium.FPDFTextObj_GetFont, _P, _P)
"""(text object) -> address of its font."""
unknown_letter: Final = _call(pdfium.FPDFText_HasUnicodeMapError, _I, _P, _I)
"""(text page, character) -> whether no letter is known for it."""
is_generated: Final = _call(pdfium.FPDFText_IsGenerated, _I, _P, _I)
"""(text page, character) -> whether pdfium put it in itself: a space for a gap."""
page_object: Final = _call(pdfium.FPDFPage_GetObject, _P, _P, _I)
"""(page, index) -> address of an object."""
kind_of: Final = _call(pdfium.FPDFPageObj_GetType, _I, _P)
"""(object) -> its kind."""
bounds: Final = _call(pdfium.FPDFPageObj_GetBounds, _I, _P, _P, _P, _P, _P)
"""(object, four addresses of a float: left, bottom, right, top) -> whether it has some."""


def address_of(handle: Any) -> int:
    """Answers the address behind a handle of pypdfium2; 0 for none."""
    return ctypes.cast(handle, ctypes.c_void_p).value or 0
