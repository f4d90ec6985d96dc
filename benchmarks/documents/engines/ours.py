"""Our own parser: what a worker does, from the packed task to the packed parts."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, cast

from benchmarks.documents.engines import Output, Reader
from difyrpc_services.documents import wire
from difyrpc_services.documents.backends import workers
from difyrpc_services.documents.elements import Element
from difyrpc_services.documents.formats.reading import Tables
from difyrpc_services.documents.values import ClausePart, Limits, PagePart, ParseOptions, ParseTask, TextPart
from difyrpc_services.documents.values import Output as Asked

PAGES, EXPANDED_BYTES = 5_000, 256 * 1024 * 1024  # what a server allows that is not told otherwise


def ours(outputs: tuple[Asked, ...] = ("text", "elements"), tables: Tables = "aligned") -> Reader:
    """Loads what workers load before they are forked."""
    for module in workers.PRELOAD:
        __import__(module)

    limits = Limits(pages=PAGES, expanded_bytes=EXPANDED_BYTES)

    def packed(path: Path, asked: tuple[Asked, ...]) -> list[bytes]:
        task = ParseTask(
            name=path.name, media_type="", options=ParseOptions(outputs=asked, tables=tables, limits=limits)
        )
        return list(wire.work(memoryview(path.read_bytes()), wire.pack_task(task)))

    def clauses(path: Path) -> dict[str, int]:
        parts = map(wire.unpack, packed(path, ("clauses",)))
        return Counter(clause.kind for part in parts if isinstance(part, ClausePart) for clause in part.clauses)

    return Reader(read=lambda path: packed(path, outputs), output=_output, clauses=clauses)


def _output(packed: Any) -> Output:
    parts = [wire.unpack(part) for part in cast("list[bytes]", packed)]
    elements = [element for part in parts if isinstance(part, PagePart) for element in part.elements]
    return Output(
        text="".join(part.text for part in parts if isinstance(part, TextPart) and not part.markdown),
        tables=_tables(elements) if any(isinstance(part, PagePart) for part in parts) else None,
    )


def _tables(elements: list[Element]) -> list[list[list[str]]]:
    return [element.table.grid() for element in elements if element.table is not None]
