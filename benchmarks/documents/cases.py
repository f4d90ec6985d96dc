"""The files that are measured, and what is known of each.

Truth lies beside a file: `NAME.EXT.truth.json`, or `NAME.txt` or `NAME.md` with the text alone. The JSON may hold
`text`; `tables`, a list of rows of cells each, null where a span covers the place; `ruled`, whether each table has
rules; `clauses`, a number or numbers by kind; and `running`, lines of running headers and footers, which no engine
gains or loses by.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SAME = {
    "htm": "html", "xhtml": "html", "markdown": "md", "text": "txt", "log": "txt", "docm": "docx", "tiff": "tif",
    "jpeg": "jpg",
}  # fmt: skip
TRUTH = ".truth.json"
Grid = Sequence[Sequence[str | None]]


@dataclass(frozen=True, kw_only=True)
class Truth:
    """What a file holds; None where it is not known."""

    text: str | None = None
    tables: Sequence[Grid] | None = None
    ruled: Sequence[bool] = ()
    """Whether each table is printed with rules; empty = unknown."""
    clauses: int | dict[str, int] | None = None
    running: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Case:
    """One file."""

    name: str
    """Its path below the folder that was given."""
    path: Path
    kind: str
    """Its ending, of several for the same format the usual one."""
    pages: int
    """Pages of a PDF; else 1, the document."""
    truth: Truth = field(default_factory=Truth)


def cases_in(folder: Path) -> Iterator[Case]:
    """Yields the files of a folder and of those below it, with their truth; files that are truth are none."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.startswith(".") and not _is_truth(path):
            kind = path.suffix[1:].lower()
            yield Case(
                name=str(path.relative_to(folder)),
                path=path,
                kind=SAME.get(kind, kind),
                pages=_pages(path) if kind == "pdf" else 1,
                truth=truth_of(path),
            )


def truth_of(path: Path) -> Truth:
    """Reads what lies beside a file."""
    beside = path.with_name(path.name + TRUTH)
    if beside.exists():
        found: dict[str, Any] = json.loads(beside.read_text(encoding="utf-8"))
        return Truth(**{key: value for key, value in found.items() if key in Truth.__dataclass_fields__})
    for ending in (".txt", ".md"):
        plain = path.with_suffix(ending)
        if plain != path and plain.exists():
            return Truth(text=plain.read_text(encoding="utf-8-sig"))
    return Truth()


def _is_truth(path: Path) -> bool:
    """Answers whether a file is the truth of another one."""
    if path.name.endswith(TRUTH):
        return True
    if path.suffix not in (".txt", ".md") or path.with_name(path.name + TRUTH).exists():
        return False
    return any(
        other.stem == path.stem and other.suffix not in (".txt", ".md") and not other.name.endswith(TRUTH)
        for other in path.parent.glob(path.stem.replace("[", "[[]") + ".*")
    )


def _pages(path: Path) -> int:
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError:
        return 1
    try:
        return max(1, len(document))
    finally:
        document.close()
