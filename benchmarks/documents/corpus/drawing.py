"""Draws lines of text on a page of ReportLab."""

from __future__ import annotations

from collections.abc import Sequence

from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen.canvas import Canvas

LEFT, TOP, LEADING = 70.0, 770.0, 13.0  # points
FACE, SIZE = "Times-Roman", 10.5


def wrapped(text: str, width: float, size: float = SIZE, face: str = FACE) -> list[str]:
    """Answers a text in lines of a width in points."""
    lines, line = [], ""
    for word in text.split():
        longer = f"{line} {word}".strip()
        if line and stringWidth(longer, face, size) > width:
            lines.append(line)
            line = word
        else:
            line = longer
    return [*lines, line]


def column(canvas: Canvas, lines: Sequence[str], x: float, y: float, leading: float = LEADING) -> float:
    """Draws lines; answers where the next one stands."""
    for line in lines:
        canvas.drawString(x, y, line)
        y -= leading
    return y
