"""Finds what readers put into a page: values of form fields, typed text, and notes."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import pypdfium2
import pypdfium2.raw as pdfium

from difyrpc_services.documents.elements import Box, Element
from difyrpc_services.documents.formats.pdf.fragments import Face, Fragment
from difyrpc_services.documents.formats.pdf.view import View

MOST: Final = 2_000  # annotations of one page
LONGEST: Final = 20_000  # bytes of one
BEHIND: Final = 10_000_000  # place in the order of the file: after all text
LINE: Final = 14.0  # points; a field of one line is hardly higher
_WITH_TEXT: Final = frozenset({pdfium.FPDF_ANNOT_FREETEXT, pdfium.FPDF_ANNOT_WIDGET})
_NOTES: Final = frozenset(
    {
        pdfium.FPDF_ANNOT_TEXT,
        pdfium.FPDF_ANNOT_HIGHLIGHT,
        pdfium.FPDF_ANNOT_UNDERLINE,
        pdfium.FPDF_ANNOT_STRIKEOUT,
        pdfium.FPDF_ANNOT_SQUIGGLY,
        pdfium.FPDF_ANNOT_CARET,
    }
)
_VALUED: Final = frozenset(
    {pdfium.FPDF_FORMFIELD_TEXTFIELD, pdfium.FPDF_FORMFIELD_COMBOBOX, pdfium.FPDF_FORMFIELD_LISTBOX}
)


@dataclass(slots=True)
class Notes:
    """What readers put into one page."""

    typed: list[Fragment] = field(default_factory=list)
    """Stands on the page as text does."""
    remarks: list[Element] = field(default_factory=list)
    """Stands beside it."""


def notes_of(page: Any, form: Any, view: View, number: int) -> Notes:
    """Answers what was put into a pypdfium2 page; `form` is the handle of the document's form or None."""
    found = Notes()
    for index in range(min(pdfium.FPDFPage_GetAnnotCount(page.raw), MOST)):
        annotation = pdfium.FPDFPage_GetAnnot(page.raw, index)
        if annotation:
            try:
                _add(found, annotation, form, view, number)
            finally:
                pdfium.FPDFPage_CloseAnnot(annotation)
    return found


def form_of(document: pypdfium2.PdfDocument) -> Any:
    """Answers the handle of the document's form; None without one."""
    if pdfium.FPDF_GetFormType(document.raw) == pdfium.FORMTYPE_NONE:
        return None
    document.init_forms()
    return document.formenv.raw if document.formenv else None


def _add(found: Notes, annotation: Any, form: Any, view: View, number: int) -> None:
    kind = pdfium.FPDFAnnot_GetSubtype(annotation)
    if kind in _WITH_TEXT:
        text = _value(annotation, form) if kind == pdfium.FPDF_ANNOT_WIDGET else _contents(annotation)
        place = _place(annotation, view)
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        height = (place[3] - place[1]) / max(1, len(lines))
        for row, line in enumerate(lines):
            top = place[1] + row * height
            found.typed.append(
                Fragment(
                    line,
                    place[0],
                    top,
                    place[2],
                    top + height,
                    Face(min(height, LINE) * 0.75 or 1.0),
                    BEHIND + len(found.typed),
                    [(line, place[0], top, place[2], top + height)],
                )
            )
    elif kind in _NOTES:
        text = " ".join(_contents(annotation).split())
        if text:
            left, top, right, bottom = (round(edge, 2) for edge in _place(annotation, view))
            box = Box(page=number, left=left, top=top, right=right, bottom=bottom)
            found.remarks.append(Element(id="", kind="footnote", text=text, page=number, boxes=(box,), style="note"))


def _value(annotation: Any, form: Any) -> str:
    if form is None:
        return ""
    kind = pdfium.FPDFAnnot_GetFormFieldType(form, annotation)
    if kind in (pdfium.FPDF_FORMFIELD_CHECKBOX, pdfium.FPDF_FORMFIELD_RADIOBUTTON):
        return "☑" if pdfium.FPDFAnnot_IsChecked(form, annotation) else ""
    if kind not in _VALUED:
        return ""
    return _text(lambda buffer, size: pdfium.FPDFAnnot_GetFormFieldValue(form, annotation, buffer, size))


def _contents(annotation: Any) -> str:
    return _text(lambda buffer, size: pdfium.FPDFAnnot_GetStringValue(annotation, b"Contents", buffer, size))


def _text(ask: Callable[[Any, int], int]) -> str:
    length = min(ask(None, 0), LONGEST)
    if length <= 2:
        return ""
    buffer = ctypes.create_string_buffer(length)
    ask(ctypes.cast(buffer, ctypes.POINTER(ctypes.c_ushort)), length)
    return buffer.raw.decode("utf-16-le", "replace").split("\x00", 1)[0].replace("\r", "\n")


def _place(annotation: Any, view: View) -> tuple[float, float, float, float]:
    edges = pdfium.FS_RECTF()
    pdfium.FPDFAnnot_GetRect(annotation, edges)
    return view.place(edges.left, min(edges.bottom, edges.top), edges.right, max(edges.bottom, edges.top))
