"""Finds what is drawn on a page: straight lines, which make tables, and pictures."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, field
from typing import Any, Final

import pypdfium2.raw as pdfium

from difyrpc_services.documents.formats.pdf.text import View

THIN: Final = 2.5  # points: a rectangle at most this thick is a line
SHORT: Final = 8.0  # points: shorter lines are part of a drawing
MOST_OBJECTS: Final = 20_000  # drawings beyond it are charts or maps, not tables
MOST_SEGMENTS: Final = 400  # of one path


@dataclass(slots=True)
class Drawing:
    """Lines as (position, from, to), and pictures, in our coordinates."""

    horizontal: list[tuple[float, float, float]] = field(default_factory=list)
    """y, left, right."""
    vertical: list[tuple[float, float, float]] = field(default_factory=list)
    """x, top, bottom."""
    pictures: list[tuple[float, float, float, float]] = field(default_factory=list)
    """left, top, right, bottom."""
    paths: int = 0


def drawing_of(page: Any, view: View) -> Drawing:
    """Looks through the objects of a pypdfium2 page."""
    found = Drawing()
    count = pdfium.FPDFPage_CountObjects(page.raw)
    for index in range(min(count, MOST_OBJECTS)):
        item = pdfium.FPDFPage_GetObject(page.raw, index)
        kind = pdfium.FPDFPageObj_GetType(item)
        if kind == pdfium.FPDF_PAGEOBJ_PATH:
            found.paths += 1
            _add_path(found, item, view)
        elif kind == pdfium.FPDF_PAGEOBJ_IMAGE:
            found.pictures.append(_bounds(item, view))
        elif kind == pdfium.FPDF_PAGEOBJ_FORM:
            _add_form(found, item, view)
    return found


def _add_form(found: Drawing, form: Any, view: View) -> None:
    """Counts the pictures inside a form; scanners wrap them so."""
    for index in range(min(pdfium.FPDFFormObj_CountObjects(form), 50)):
        item = pdfium.FPDFFormObj_GetObject(form, index)
        if pdfium.FPDFPageObj_GetType(item) == pdfium.FPDF_PAGEOBJ_IMAGE:
            found.pictures.append(_bounds(form, view))


def _bounds(item: Any, view: View) -> tuple[float, float, float, float]:
    left, bottom, right, top = ctypes.c_float(), ctypes.c_float(), ctypes.c_float(), ctypes.c_float()
    pdfium.FPDFPageObj_GetBounds(item, left, bottom, right, top)
    return view.place(left.value, bottom.value, right.value, top.value)


def _add_path(found: Drawing, item: Any, view: View) -> None:
    left, top, right, bottom = _bounds(item, view)
    if bottom - top <= THIN and right - left >= SHORT:
        found.horizontal.append(((top + bottom) / 2, left, right))
    elif right - left <= THIN and bottom - top >= SHORT:
        found.vertical.append(((left + right) / 2, top, bottom))
    elif right - left > THIN and bottom - top > THIN:
        _add_segments(found, item, view)


def _add_segments(found: Drawing, item: Any, view: View) -> None:
    """Adds the straight lines of a path that encloses an area, if it is stroked: a box or a whole grid."""
    mode, stroke = ctypes.c_int(), ctypes.c_int()
    if not pdfium.FPDFPath_GetDrawMode(item, mode, stroke) or not stroke.value:
        return
    points = _points(item, view)
    if points is None:
        return
    for (x1, y1), (x2, y2) in points:
        if abs(y1 - y2) <= 1 and abs(x1 - x2) >= SHORT:
            found.horizontal.append(((y1 + y2) / 2, min(x1, x2), max(x1, x2)))
        elif abs(x1 - x2) <= 1 and abs(y1 - y2) >= SHORT:
            found.vertical.append(((x1 + x2) / 2, min(y1, y2), max(y1, y2)))


def _points(item: Any, view: View) -> list[tuple[tuple[float, float], tuple[float, float]]] | None:
    """Answers the straight segments of a path; None if it has too many or is curved."""
    matrix = pdfium.FS_MATRIX()
    pdfium.FPDFPageObj_GetMatrix(item, matrix)
    count = pdfium.FPDFPath_CountSegments(item)
    if not 0 < count <= MOST_SEGMENTS:
        return None
    found: list[tuple[tuple[float, float], tuple[float, float]]] = []
    begin = last = (0.0, 0.0)
    x, y = ctypes.c_float(), ctypes.c_float()
    for index in range(count):
        segment = pdfium.FPDFPath_GetPathSegment(item, index)
        kind = pdfium.FPDFPathSegment_GetType(segment)
        if kind == pdfium.FPDF_SEGMENT_BEZIERTO or not pdfium.FPDFPathSegment_GetPoint(segment, x, y):
            return None
        here = _shown(
            matrix.a * x.value + matrix.c * y.value + matrix.e, matrix.b * x.value + matrix.d * y.value + matrix.f, view
        )
        if kind == pdfium.FPDF_SEGMENT_MOVETO:
            begin = here
        else:
            found.append((last, here))
        last = here
        if pdfium.FPDFPathSegment_GetClose(segment):
            found.append((here, begin))
            last = begin
    return found


def _shown(x: float, y: float, view: View) -> tuple[float, float]:
    left, top, _, _ = view.place(x, y, x, y)
    return left, top
