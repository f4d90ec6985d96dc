"""Tasks and parts as bytes, between the server and a worker.

JSON rows, not pickle: what comes from a worker is not to be trusted. A picture is raw bytes behind its JSON.
Printed lines stay in the worker; only the finding of clauses needs them.
"""

from __future__ import annotations

import dataclasses
import gc
import json
from collections.abc import Callable, Iterator
from typing import Any, Final, cast

from difyrpc_services.documents.chunking import Chunk, Chunking
from difyrpc_services.documents.elements import Box, Cell, Clause, Element, Table
from difyrpc_services.documents.formats.reading import Notice
from difyrpc_services.documents.ocr.values import OcrPlan
from difyrpc_services.documents.pipeline import perform
from difyrpc_services.documents.values import (
    Attachment,
    ChunkPart,
    ClausePart,
    Finished,
    Highlight,
    Info,
    Limits,
    PagePart,
    ParseOptions,
    ParseTask,
    Part,
    PassedOnPart,
    PicturePart,
    Progress,
    RenderTask,
    SplitTask,
    Task,
    TextPart,
)

GARBAGE_AFTER: Final = 50_000
"""New values after which Python looks for circles of them; parsing makes many values and few circles."""
JOB: Final = "difyrpc_services.documents.wire:work"


def work(content: memoryview, options: bytes) -> Iterator[bytes]:
    """Does a packed task and yields packed parts: the job that workers run."""
    gc.set_threshold(GARBAGE_AFTER, 20, 20)
    for part in perform(content, unpack_task(options)):
        yield pack(part)


def pack_task(task: Task) -> bytes:
    """Answers a task as bytes."""
    return json.dumps({"task": type(task).__name__, **dataclasses.asdict(task)}).encode()


def unpack_task(data: bytes) -> Task:
    """Reads a task."""
    value = json.loads(data)
    kind = value.pop("task")
    if kind == "RenderTask":
        value["highlights"] = tuple(Highlight(**one) for one in value["highlights"])
        return RenderTask(**value)
    if kind == "SplitTask":
        value["chunking"] = Chunking(**value["chunking"])
        return SplitTask(**value)
    options = value["options"]
    options["chunking"] = Chunking(**options["chunking"])
    options["limits"] = Limits(**options["limits"])
    options["pages"] = tuple((first, last) for first, last in options["pages"])
    options["outputs"] = tuple(options["outputs"])
    options["ocr_languages"] = tuple(options["ocr_languages"])
    return ParseTask(
        name=value["name"],
        media_type=value["media_type"],
        options=ParseOptions(**options),
        ocr=_read_plan(value["ocr"]),
    )


def _read_plan(value: dict[str, Any] | None) -> OcrPlan | None:
    return OcrPlan(**{**value, "languages": tuple(value["languages"])}) if value else None


def pack(part: Part) -> bytes:
    """Answers a part as bytes."""
    if isinstance(part, PagePart):
        return _json("PagePart", [part.page, [_element(element) for element in part.elements]])
    if isinstance(part, ClausePart):
        return _json("ClausePart", [[*_fields(clause, _CLAUSE), _boxes(clause.boxes)] for clause in part.clauses])
    if isinstance(part, ChunkPart):
        return _json("ChunkPart", [_fields(chunk, _CHUNK) for chunk in part.chunks])
    if isinstance(part, PicturePart):
        return _json("PicturePart", [part.width, part.height, part.scale, part.page_count]) + b"\n" + part.image
    value = dataclasses.asdict(part)
    if isinstance(part, Info):
        del value["sha256"], value["attachments"]
    return _json(type(part).__name__, value)


def unpack(data: bytes) -> Part:
    """Reads a part; ValueError for anything else."""
    head, _, raw = data.partition(b"\n")
    try:
        kind, value = json.loads(head)
        return _READERS[kind](value, raw)
    except (KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        raise ValueError("a part of an unknown form") from error


def _json(kind: str, value: Any) -> bytes:
    return json.dumps([kind, value], ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


_CLAUSE: Final = ("id", "kind", "number", "normal_number", "title", "text", "parent_id", "pages", "element_ids")
_CHUNK: Final = ("id", "text", "heading_path", "pages", "element_ids", "clause_ids", "parent_id", "tokens", "answer")


def _fields(value: Any, names: tuple[str, ...]) -> list[Any]:
    return [getattr(value, name) for name in names]


def _boxes(boxes: tuple[Box, ...]) -> list[list[float]]:
    return [[box.page, box.left, box.top, box.right, box.bottom] for box in boxes]


def _read_boxes(rows: list[list[float]]) -> tuple[Box, ...]:
    return tuple(
        Box(page=int(page), left=float(left), top=float(top), right=float(right), bottom=float(bottom))
        for page, left, top, right, bottom in rows
    )


def _element(element: Element) -> list[Any]:
    table = element.table
    cells = table and [
        table.rows,
        table.columns,
        [[c.row, c.column, c.row_span, c.column_span, c.text, c.header] for c in table.cells],
    ]
    return [
        element.id,
        element.kind,
        element.text,
        element.page,
        _boxes(element.boxes),
        element.level,
        element.heading_path,
        cells,
        element.source,
        element.confidence,
        element.number,
        element.style,
        element.contents_entry,
        element.attachment_id,
    ]


def _read_element(row: list[Any]) -> Element:
    (identity, kind, text, page, boxes, level, path, table, source, confidence, number, style, contents, holder) = row
    return Element(
        id=str(identity),
        kind=kind,
        text=str(text),
        page=int(page),
        boxes=_read_boxes(boxes),
        level=int(level),
        heading_path=tuple(map(str, path)),
        table=_read_table(table) if table else None,
        source=source,
        confidence=float(confidence),
        number=str(number),
        style=str(style),
        contents_entry=bool(contents),
        attachment_id=str(holder),
    )


def _read_table(value: list[Any]) -> Table:
    rows, columns, cells = value
    return Table(
        rows=int(rows),
        columns=int(columns),
        cells=tuple(
            Cell(
                row=int(row),
                column=int(column),
                row_span=int(height),
                column_span=int(width),
                text=str(text),
                header=bool(header),
            )
            for row, column, height, width, text, header in cells
        ),
    )


def _read_clause(row: list[Any]) -> Clause:
    *values, boxes = row
    value = dict(zip(_CLAUSE, values, strict=True))
    value["pages"] = tuple(map(int, value["pages"]))
    value["element_ids"] = tuple(map(str, value["element_ids"]))
    return Clause(**value, boxes=_read_boxes(boxes))


def _read_chunk(row: list[Any]) -> Chunk:
    value = dict(zip(_CHUNK, row, strict=True))
    for name in ("heading_path", "element_ids", "clause_ids"):
        value[name] = tuple(map(str, value[name]))
    value["pages"] = tuple(map(int, value["pages"]))
    return Chunk(**value)


def _read_picture(value: list[Any], raw: bytes) -> PicturePart:
    width, height, scale, page_count = value
    return PicturePart(image=raw, width=int(width), height=int(height), scale=float(scale), page_count=int(page_count))


_READERS: Final = cast(
    "dict[str, Callable[[Any, bytes], Part]]",
    {
        "Info": lambda value, _: Info(**{**value, "page_labels": tuple(map(str, value["page_labels"]))}),
        "PagePart": lambda value, _: PagePart(page=int(value[0]), elements=[_read_element(row) for row in value[1]]),
        "TextPart": lambda value, _: TextPart(**value),
        "ClausePart": lambda value, _: ClausePart(clauses=[_read_clause(row) for row in value]),
        "ChunkPart": lambda value, _: ChunkPart(chunks=[_read_chunk(row) for row in value]),
        "Progress": lambda value, _: Progress(**value),
        "Notice": lambda value, _: Notice(**value),
        "PassedOnPart": lambda value, _: PassedOnPart(**value),
        "Finished": lambda value, _: Finished(
            **{**value, "attachments": tuple(Attachment(**one) for one in value["attachments"])}
        ),
        "PicturePart": _read_picture,
    },
)
