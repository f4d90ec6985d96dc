"""Long files: where memory grows with the length of a document, it shows here."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from benchmarks.documents.cases import Truth
from benchmarks.documents.corpus import word
from benchmarks.documents.corpus.markup import html
from benchmarks.documents.corpus.prose import Prose
from benchmarks.documents.corpus.reportlab_pages import Look, printed, registered
from benchmarks.documents.corpus.story import Made, Story

PARTS = 60  # reports of nine sections, one after the other
ROWS = 20_000


def make(seed: int) -> Iterator[Made]:
    """Yields the files."""
    registered()
    for language, look in (("en", Look()), ("zh", Look(face="STSong-Light", bold="STSong-Light"))):
        prose = Prose(f"{seed} large {language}", language)
        blocks = [block for _ in range(PARTS) for block in prose.story("", 9).blocks]
        story = Story(name=f"long-{language}", blocks=blocks, language=language)
        yield printed(story, look)
        yield Made(name=f"{story.name}.docx", data=word.written(story), truth=story.truth(counting_on=True))
        yield Made(name=f"{story.name}.html", data=html(story).encode(), truth=story.truth(numbers=False))
    table = Prose(f"{seed} large rows").table(ROWS)
    buffer = io.StringIO()
    csv.writer(buffer).writerows([cell or "" for cell in row] for row in table.rows)
    text = "\n".join("\t".join(cell or "" for cell in row) for row in table.rows)
    yield Made(name="rows.csv", data=buffer.getvalue().encode(), truth=Truth(text=text))
