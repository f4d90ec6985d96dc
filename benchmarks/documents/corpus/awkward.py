"""PDFs drawn string by string: text that is hard to put in order, and papers of offices."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator

from reportlab.lib.pagesizes import A4, landscape
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen.canvas import Canvas

from benchmarks.documents.cases import Truth
from benchmarks.documents.corpus.drawing import FACE, LEADING, LEFT, SIZE, TOP, column, wrapped
from benchmarks.documents.corpus.papers import form, invoice, letter
from benchmarks.documents.corpus.prose import Prose
from benchmarks.documents.corpus.reportlab_pages import registered
from benchmarks.documents.corpus.story import Made

Draw = Callable[[Canvas, Prose], str]
"""Draws a page and answers its text as a reader would read it."""


def make(seed: int) -> Iterator[Made]:
    """Yields the files."""
    registered()
    drawn: dict[str, Draw] = {
        "words-placed": words_placed,
        "letters-placed": letters_placed,
        "out-of-order-lines": shuffled_lines,
        "out-of-order-columns": rows_across_columns,
        "footnotes-two-columns": footnotes_in_columns,
        "letter": letter,
        "form": form,
        "watermark": watermark,
        "drop-capital": drop_capital,
        "full-width-between": full_width_between,
        "poster": poster,
        "dense-two-columns": dense_columns,
        "side-note": side_note,
    }
    for name, draw in drawn.items():
        prose = Prose(f"{seed} awkward {name}")
        buffer = io.BytesIO()
        canvas = Canvas(buffer, pagesize=landscape(A4) if name == "poster" else A4, invariant=1)
        texts = []
        for _ in range(3):
            canvas.setFont(FACE, SIZE)
            texts.append(draw(canvas, prose))
            canvas.showPage()
        canvas.save()
        yield Made(name=f"{name}.pdf", data=buffer.getvalue(), truth=Truth(text="\n".join(texts)))
    for language in ("en", "zh"):
        yield invoice(Prose(f"{seed} invoice {language}", language))
    yield without_unicode(Prose(f"{seed} without unicode"))


def words_placed(canvas: Canvas, prose: Prose) -> str:
    """Each word is placed by itself and lines are justified, with no space anywhere."""
    y, texts = TOP, [prose.text() for _ in range(6)]
    for text in texts:
        lines = wrapped(text, 440)
        for line in lines:
            words = line.split()
            spare = 440 - sum(stringWidth(word, FACE, SIZE) for word in words)
            gap = spare / max(1, len(words) - 1) if line is not lines[-1] else 3.0
            x = LEFT
            for word in words:
                canvas.drawString(x, y, word)
                x += stringWidth(word, FACE, SIZE) + gap
            y -= LEADING
        y -= LEADING / 2
    return "\n".join(texts)


def letters_placed(canvas: Canvas, prose: Prose) -> str:
    """Each letter is placed by itself, spaces left out."""
    y, texts = TOP, [prose.text() for _ in range(5)]
    for text in texts:
        for line in wrapped(text, 440):
            x = LEFT
            for letter_ in line:
                if letter_ != " ":
                    canvas.drawString(x, y, letter_)
                x += stringWidth(letter_, FACE, SIZE) + 0.15
            y -= LEADING
        y -= LEADING / 2
    return "\n".join(texts)


def shuffled_lines(canvas: Canvas, prose: Prose) -> str:
    """Lines of one column are drawn in no order."""
    texts = [prose.text() for _ in range(5)]
    placed, y = [], TOP
    for text in texts:
        for line in wrapped(text, 440):
            placed.append((y, line))
            y -= LEADING
        y -= LEADING / 2
    prose.random.shuffle(placed)
    for place, line in placed:
        canvas.drawString(LEFT, place, line)
    return "\n".join(texts)


def rows_across_columns(canvas: Canvas, prose: Prose) -> str:
    """Two columns are drawn row by row, as typesetting by line does."""
    left, right = ([prose.text(2, 3) for _ in range(4)] for _ in range(2))
    columns = [[line for text in texts for line in wrapped(text, 215)] for texts in (left, right)]
    for row in range(max(map(len, columns))):
        for place, lines in enumerate(columns):
            if row < len(lines):
                canvas.drawString(LEFT + place * 235, TOP - row * LEADING, lines[row])
    return "\n".join([*left, *right])


def footnotes_in_columns(canvas: Canvas, prose: Prose) -> str:
    """A title over two columns, a footnote under the first."""
    title = prose.topic() + " of " + prose.topic().lower()
    canvas.setFont("Times-Bold", 16)
    canvas.drawCentredString(A4[0] / 2, TOP, title)
    canvas.setFont(FACE, SIZE)
    body = [[prose.text(2, 3) for _ in range(4)] for _ in range(2)]
    note = f"1 {prose.sentence()}"
    for place, texts in enumerate(body):
        y = TOP - 40
        for text in texts:
            y = column(canvas, wrapped(text, 215), LEFT + place * 235, y) - 6
    canvas.line(LEFT, 130, LEFT + 80, 130)
    canvas.setFont(FACE, 8)
    column(canvas, wrapped(note, 215, 8), LEFT, 118, 10)
    return "\n".join([title, *body[0], note, *body[1]])


def watermark(canvas: Canvas, prose: Prose) -> str:
    """A pale word runs across the page; it is read before the text."""
    canvas.saveState()
    canvas.setFillGray(0.85)
    canvas.translate(180, 300)
    canvas.rotate(50)
    canvas.setFont("Helvetica-Bold", 90)
    canvas.drawString(0, 0, "DRAFT")
    canvas.restoreState()
    return "DRAFT\n" + plain(canvas, prose)


def plain(canvas: Canvas, prose: Prose, count: int = 6) -> str:
    """Paragraphs in one column."""
    texts, y = [prose.text() for _ in range(count)], TOP
    for text in texts:
        y = column(canvas, wrapped(text, 440), LEFT, y) - 6
    return "\n".join(texts)


def drop_capital(canvas: Canvas, prose: Prose) -> str:
    """The first letter is as high as three lines."""
    texts = [prose.text(5, 5) for _ in range(4)]
    canvas.setFont(FACE, 44)
    canvas.drawString(LEFT, TOP - 30, texts[0][0])
    canvas.setFont(FACE, SIZE)
    indent = stringWidth(texts[0][0], FACE, 44) + 1
    words = texts[0][1:].split()
    near: list[str] = []
    while len(near) < 3:
        count = next(
            n for n in range(len(words), 0, -1) if stringWidth(" ".join(words[:n]), FACE, SIZE) <= 440 - indent
        )
        near.append(" ".join(words[:count]))
        words = words[count:]
    y = column(canvas, near, LEFT + indent, TOP)
    y = column(canvas, wrapped(" ".join(words), 440), LEFT, y) - 6
    for text in texts[1:]:
        y = column(canvas, wrapped(text, 440), LEFT, y) - 6
    return "\n".join(texts)


def full_width_between(canvas: Canvas, prose: Prose) -> str:
    """Two columns, a heading over both, two columns again."""
    said, y = [], TOP
    for _ in range(2):
        heading = prose.topic().upper() + " AND " + prose.topic().upper()
        canvas.setFont("Helvetica-Bold", 13)
        canvas.drawString(LEFT, y, heading)
        canvas.setFont(FACE, SIZE)
        said.append(heading)
        lowest, top = y, y - 24
        for place in range(2):
            at = top
            for text in (prose.text(3, 3), prose.text(3, 3)):
                at = column(canvas, wrapped(text, 215), LEFT + place * 235, at) - 6
                said.append(text)
            lowest = min(lowest, at)
        y = lowest - 24
    return "\n".join(said)


def poster(canvas: Canvas, prose: Prose) -> str:
    """Four columns across a turned sheet, each under its heading."""
    said = []
    for place in range(4):
        heading, texts = prose.topic(), [prose.text(2, 3) for _ in range(3)]
        x, y = 40 + place * 197, 540.0
        canvas.setFont("Helvetica-Bold", 11)
        canvas.drawString(x, y, heading)
        canvas.setFont("Helvetica", 8.5)
        y -= 18
        for text in texts:
            y = column(canvas, wrapped(text, 175, 8.5, "Helvetica"), x, y, 10.5) - 6
        said.extend([heading, *texts])
    return "\n".join(said)


def dense_columns(canvas: Canvas, prose: Prose) -> str:
    """Two columns with a gutter of nine points."""
    said = []
    canvas.setFont(FACE, 9)
    for place in range(2):
        y = TOP
        for text in [prose.text(2, 4) for _ in range(6)]:
            y = column(canvas, wrapped(text, 224, 9), LEFT + place * 233, y, 10.5) - 4
            said.append(text)
    return "\n".join(said)


def side_note(canvas: Canvas, prose: Prose) -> str:
    """A narrow note beside the body; it is read after the paragraphs."""
    texts = [prose.text(3, 4) for _ in range(5)]
    note = prose.text(2, 2)
    y = TOP
    for text in texts:
        y = column(canvas, wrapped(text, 320), LEFT, y) - 6
    canvas.setFont("Helvetica-Oblique", 8)
    column(canvas, wrapped(note, 95, 8, "Helvetica"), LEFT + 350, TOP - 60, 10)
    return "\n".join([*texts, note])


def without_unicode(prose: Prose) -> Made:
    """An embedded subset font of which nothing says which letters it has but the font itself."""
    from benchmarks.documents.corpus.reportlab_pages import Look, printed

    story = prose.story("no-unicode-map", 3, rich=False)
    made = printed(story, Look(face="Latin", bold="Latin"))
    data = re.sub(rb"/ToUnicode \d+ 0 R", lambda found: b" " * len(found.group()), made.data)
    return Made(name=made.name, data=data, truth=Truth(text=None))
