"""Reads the text sources of the sample contracts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "examples" / "contracts"


def source_lines(name: str) -> Iterator[str]:
    """Yields the paragraphs of a source; a line that begins with `~` is joined to the one before by a newline."""
    held: str | None = None
    for line in (FOLDER / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("~ "):
            held = f"{held}\n{line[2:]}"
            continue
        if held is not None:
            yield held
        held = line
    if held is not None:
        yield held
