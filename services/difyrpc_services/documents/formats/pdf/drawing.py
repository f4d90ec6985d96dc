"""Finds what is drawn on a page: straight lines, which make tables, and pictures."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any, Final

import pypdfium2.raw as pdfium

from difyrpc_services.documents.formats.pdf import native
from difyrpc_services.documents.formats.pdf.view import Place, View

THIN: Final = 2.5  # points: a rectangle at most this thick is a line
SHORT: Final = 8.0  # points: shorter lines are part of a drawing
MOST_OBJECTS: Final = 20_000  # drawings beyond it are charts or maps, not tables
MOST_PATHS: Final = 6_000  # likewise
MOST_IN_FORM: Final = 2_000  # objects
MOST_DEPTH: Final = 4  # forms inside of forms
MOST_SEGMENTS: Final = 400  # of one path
MOST_SEGMENTS_IN_ALL: Final = 3_000
LEAST_BOX: Final = 16.0  # points: smaller boxes are signs and parts of a drawing
_EDGES: Final = (ctypes.c_float * 4)()
_CORNERS: Final = [ctypes.addressof(_EDGES) + 4 * place for place in range(4)]


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
    segments: int = 0
    """Of the paths that enclose an area."""


def drawing_of(page: Any, view: View) -> Drawing:
    """Looks through the objects of a pypdfium2 page."""
    found = Drawing()
    address = native.address_of(page.raw)
    count = min(pdfium.FPDFPage_CountObjects(page.raw), MOST_OBJECTS)
    items = list(map(native.page_object, repeat(address), range(count)))
    for item, kind in zip(items, map(native.kind_of, items), strict=True):
        if kind != pdfium.FPDF_PAGEOBJ_TEXT:
            _add(found, ctypes.cast(item, pdfium.FPDF_PAGEOBJECT), kind, _Sight(view, ()), MOST_DEPTH)
    return found


@dataclass(frozen=True, slots=True)
class _Sight:
    """How objects inside of forms are seen: through the view and the matrices of the forms, the inmost first."""

    view: View
    matrices: tuple[tuple[float, float, float, float, float, float], ...]

    def inside(self, form: Any) -> _Sight:
        """Answers how the objects of a form are seen."""
        matrix = pdfium.FS_MATRIX()
        pdfium.FPDFPageObj_GetMatrix(form, matrix)
        here = (matrix.a, matrix.b, matrix.c, matrix.d, matrix.e, matrix.f)
        if here == (1.0, 0.0, 0.0, 1.0, 0.0, 0.0):
            return self
        return _Sight(self.view, (here, *self.matrices))

    def place(self, left: float, bottom: float, right: float, top: float) -> Place:
        """Answers a rectangle of the page as shown."""
        for a, b, c, d, e, f in self.matrices:
            corners = [(a * x + c * y + e, b * x + d * y + f) for x in (left, right) for y in (bottom, top)]
            left, right = min(x for x, _ in corners), max(x for x, _ in corners)
            bottom, top = min(y for _, y in corners), max(y for _, y in corners)
        return self.view.place(left, bottom, right, top)


def _add(found: Drawing, item: Any, kind: int, sight: _Sight, depth: int) -> None:
    if kind == pdfium.FPDF_PAGEOBJ_PATH:
        found.paths += 1
        if found.paths <= MOST_PATHS:
            _add_path(found, item, sight)
    elif kind == pdfium.FPDF_PAGEOBJ_IMAGE:
        found.pictures.append(_bounds(item, sight))
    elif kind == pdfium.FPDF_PAGEOBJ_FORM and depth:
        inner = sight.inside(item)
        for index in range(min(pdfium.FPDFFormObj_CountObjects(item), MOST_IN_FORM)):
            part = pdfium.FPDFFormObj_GetObject(item, index)
            _add(found, part, pdfium.FPDFPageObj_GetType(part), inner, depth - 1)


def _bounds(item: Any, sight: _Sight) -> Place:
    native.bounds(native.address_of(item), *_CORNERS)
    left, bottom, right, top = _EDGES
    return sight.place(left, bottom, right, top)


def _add_path(found: Drawing, item: Any, sight: _Sight) -> None:
    left, top, right, bottom = _bounds(item, sight)
    if bottom - top <= THIN and right - left >= SHORT:
        found.horizontal.append(((top + bottom) / 2, left, right))
    elif right - left <= THIN and bottom - top >= SHORT:
        found.vertical.append(((left + right) / 2, top, bottom))
    elif right - left > THIN and bottom - top > THIN and max(right - left, bottom - top) >= LEAST_BOX:
        _add_segments(found, item, sight)


def _add_segments(found: Drawing, item: Any, sight: _Sight) -> None:
    """Adds the straight lines of a path that encloses an area, if it is stroked: a box or a whole grid."""
    mode, stroke = ctypes.c_int(), ctypes.c_int()
    if not pdfium.FPDFPath_GetDrawMode(item, mode, stroke) or not stroke.value:
        return
    count = pdfium.FPDFPath_CountSegments(item)
    found.segments += max(0, count)
    if not 0 < count <= MOST_SEGMENTS or found.segments > MOST_SEGMENTS_IN_ALL:
        return
    points = _points(item, count, sight)
    if points is None:
        return
    for (x1, y1), (x2, y2) in points:
        if abs(y1 - y2) <= 1 and abs(x1 - x2) >= SHORT:
            found.horizontal.append(((y1 + y2) / 2, min(x1, x2), max(x1, x2)))
        elif abs(x1 - x2) <= 1 and abs(y1 - y2) >= SHORT:
            found.vertical.append(((x1 + x2) / 2, min(y1, y2), max(y1, y2)))


def _points(item: Any, count: int, sight: _Sight) -> list[tuple[tuple[float, float], tuple[float, float]]] | None:
    """Answers the straight segments of a path; None if it is curved or has a slanted one."""
    matrix = pdfium.FS_MATRIX()
    pdfium.FPDFPageObj_GetMatrix(item, matrix)
    found: list[tuple[tuple[float, float], tuple[float, float]]] = []
    begin = last = (0.0, 0.0)
    x, y = ctypes.c_float(), ctypes.c_float()
    for index in range(count):
        segment = pdfium.FPDFPath_GetPathSegment(item, index)
        kind = pdfium.FPDFPathSegment_GetType(segment)
        if kind == pdfium.FPDF_SEGMENT_BEZIERTO or not pdfium.FPDFPathSegment_GetPoint(segment, x, y):
            return None
        here = _shown(
            matrix.a * x.value + matrix.c * y.value + matrix.e,
            matrix.b * x.value + matrix.d * y.value + matrix.f,
            sight,
        )
        if kind == pdfium.FPDF_SEGMENT_MOVETO:
            begin = here
        else:
            if abs(last[0] - here[0]) > 1 and abs(last[1] - here[1]) > 1:
                return None
            found.append((last, here))
        last = here
        if pdfium.FPDFPathSegment_GetClose(segment):
            found.append((here, begin))
            last = begin
    return found


def _shown(x: float, y: float, sight: _Sight) -> tuple[float, float]:
    left, top, _, _ = sight.place(x, y, x, y)
    return left, top
