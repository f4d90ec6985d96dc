"""PDFs by groff, whose lines are filled, hyphenated and drawn word by word."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.documents.corpus.programs import program, run
from benchmarks.documents.corpus.prose import Prose
from benchmarks.documents.corpus.story import Block, Figure, Heading, Items, Made, Story, Text, written

LOOKS = {"one-column": "", "two-columns": ".2C\n"}


def make(seed: int) -> Iterator[Made]:
    """Yields the files."""
    groff = program("groff")
    for name, columns in LOOKS.items():
        story = Prose(f"{seed} groff {name}").story(name, 6)
        story = Story(name=name, blocks=[block for block in story.blocks if not hasattr(block, "rows")])
        with tempfile.TemporaryDirectory() as folder:
            text = source(story, columns).encode()
            data = run((groff, "-k", "-ms", "-Tpdf", "-dpaper=a4", "-P-pa4"), folder=Path(folder), given=text)
        yield Made(name=f"{name}.pdf", data=data, truth=story.truth())


def source(story: Story, columns: str) -> str:
    """Answers a story for the ms macros."""
    title, *rest = story.blocks
    assert isinstance(title, Heading)
    return f".ds CH\n.TL\n{title.text}\n{columns}" + "\n".join(map(_block, rest)) + "\n"


def _block(block: Block) -> str:
    if isinstance(block, Heading):
        return f".SH\n{_escaped(block.text)}"
    if isinstance(block, Items):
        marks = (f"{place}." if block.ordered else r"\(bu" for place in range(1, len(block.texts) + 1))
        return "\n".join(f".IP {mark} 3\n{_escaped(text)}" for mark, text in zip(marks, block.texts, strict=True))
    if isinstance(block, Text | Figure):
        return "\n".join(f".PP\n{_escaped(line)}" for line in written(block).split("\n"))
    raise TypeError(block)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq") if text[:1] not in ".'" else "\\&" + text
