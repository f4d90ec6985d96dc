"""Letters, forms and invoices, drawn on pages of ReportLab."""

from __future__ import annotations

import io

from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

from benchmarks.documents.cases import Truth
from benchmarks.documents.corpus.drawing import LEFT, TOP, column, wrapped
from benchmarks.documents.corpus.prose import Prose
from benchmarks.documents.corpus.story import Made
from benchmarks.documents.corpus.vocabulary import PLACES


def letter(canvas: Canvas, prose: Prose) -> str:
    """A letter with the sender on the right and the date on its own."""
    sender = ["Harbour Works Ltd.", "12 Quay Street", f"{prose.random.choice(PLACES)} 3011"]
    to = ["Ms. A. Offenbach", "Field Office Four", "98 Flint Avenue"]
    y = column(canvas, sender, 400, TOP)
    y = column(canvas, to, LEFT, y - 20)
    canvas.drawRightString(LEFT + 440, y - 10, "3 March 2024")
    texts = ["Dear Ms. Offenbach,", *(prose.text() for _ in range(4)), "Yours faithfully,", "B. Flynn, Finance Officer"]
    y -= 50
    for text in texts:
        y = column(canvas, wrapped(text, 440), LEFT, y) - 8
    return "\n".join([*sender, *to, "3 March 2024", *texts])


def form(canvas: Canvas, prose: Prose) -> str:
    """Labels with answers beside them, two pairs a row, and boxes to tick."""
    said, y = [], TOP
    labels = ["Name", "Date of birth", "Street", "Town", "Telephone", "E-mail", "Profession", "Office"]
    for place in range(0, len(labels), 2):
        pairs = []
        for column_, label in enumerate(labels[place : place + 2]):
            answer = prose.random.choice((*PLACES, "12 May 1981", "0171 555 0199", "office@example.com"))
            x = LEFT + column_ * 240
            canvas.drawString(x, y, f"{label}:")
            canvas.drawString(x + 85, y, answer)
            canvas.line(x + 82, y - 3, x + 220, y - 3)
            pairs.append(f"{label}: {answer}")
        said.append(" ".join(pairs))
        y -= 26
    for number in range(1, 7):
        text = prose.short()
        canvas.rect(LEFT, y - 2, 9, 9)
        canvas.drawString(LEFT + 16, y, text)
        said.append(text)
        y -= 20 + number
    return "\n".join(said)


def invoice(prose: Prose) -> Made:
    """An invoice: an address, a ruled table, a sum."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=A4, invariant=1)
    english = prose.language == "en"
    face = "Times-Roman" if english else "Song"
    table = prose.table(12)
    head = (
        ["Invoice 2024-0815", "Harbour Works Ltd., 12 Quay Street"]
        if english
        else ["增值税发票 2024-0815", "华东水务集团有限公司"]
    )
    tail = "Payable within 30 days without deduction." if english else "请于三十日内付清全部款项。"
    canvas.setFont(face, 16)
    canvas.drawString(LEFT, TOP, head[0])
    canvas.setFont(face, 10)
    canvas.drawString(LEFT, TOP - 20, head[1])
    widths, y = (40.0, 190.0, 60.0, 80.0, 85.0), TOP - 50
    for row, texts in enumerate(table.rows):
        x = LEFT
        for width, text in zip(widths, texts, strict=True):
            canvas.rect(x, y - row * 18, width, 18)
            canvas.drawString(x + 4, y - row * 18 + 5, text or "")
            x += width
    canvas.drawString(LEFT, y - len(table.rows) * 18 - 20, tail)
    canvas.save()
    text = "\n".join([*head, *("\t".join(cell or "" for cell in row) for row in table.rows), tail])
    truth = Truth(text=text, tables=[table.rows], ruled=[True])
    return Made(name=f"invoice-{prose.language}.pdf", data=buffer.getvalue(), truth=truth)
