"""Values → contract, nothing else."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from typing import Any, Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from difyrpc.documents.v1 import documents_pb2 as pb
from difyrpc.documents.v1 import element_pb2 as elements_pb
from difyrpc.documents.v1 import options_pb2 as options_pb
from difyrpc_services.documents.chunking import Chunk, tokenizers
from difyrpc_services.documents.elements import Box, Clause, Element, Table
from difyrpc_services.documents.formats import FORMATS
from difyrpc_services.documents.formats.reading import Notice
from difyrpc_services.documents.ocr.installed import InstalledEngine
from difyrpc_services.documents.requests import BOUNDARIES, MODES
from difyrpc_services.documents.values import (
    Attachment,
    ChunkPart,
    ClausePart,
    Info,
    Limits,
    PagePart,
    Parsed,
    Part,
    Progress,
    Summary,
    TextPart,
    Usage,
)

PARSER_VERSION: Final = "2"  # raised whenever the same bytes and options give another answer


def parsed_message(parsed: Parsed) -> pb.ParseResponse:
    """Answers a whole document."""
    return pb.ParseResponse(
        info=info_message(parsed.info),
        text=_text(parsed.text),
        markdown=_text(parsed.markdown),
        elements=map(element_message, parsed.elements),
        clauses=map(clause_message, parsed.clauses),
        chunks=map(chunk_message, parsed.chunks),
        warnings=map(warning_message, parsed.notices),
        usage=usage_message(parsed.usage),
    )


def part_message(part: Part | Summary) -> pb.ParseStreamResponse:
    """Answers one part of a stream."""
    match part:
        case Info():
            return pb.ParseStreamResponse(info=info_message(part))
        case PagePart():
            page = pb.PageElements(page=part.page, elements=map(element_message, part.elements))
            return pb.ParseStreamResponse(page=page)
        case TextPart(markdown=True):
            return pb.ParseStreamResponse(markdown=pb.TextPart(page=part.page, text=_text(part.text)))
        case TextPart():
            return pb.ParseStreamResponse(text=pb.TextPart(page=part.page, text=_text(part.text)))
        case ClausePart():
            return pb.ParseStreamResponse(clauses=pb.ClausePart(clauses=map(clause_message, part.clauses)))
        case ChunkPart():
            return pb.ParseStreamResponse(chunks=pb.ChunkPart(chunks=map(chunk_message, part.chunks)))
        case Progress():
            return pb.ParseStreamResponse(progress=pb.ParseProgress(pages_done=part.done, pages_total=part.total))
        case Notice():
            return pb.ParseStreamResponse(warning=warning_message(part))
        case Summary():
            return pb.ParseStreamResponse(summary=_summary(part))
    raise TypeError(f"{type(part).__name__} is no part of a stream")


def _summary(summary: Summary) -> pb.ParseSummary:
    return pb.ParseSummary(
        usage=usage_message(summary.usage),
        elements=summary.elements,
        clauses=summary.clauses,
        chunks=summary.chunks,
        warnings=summary.notices,
        info=info_message(summary.info),
    )


def info_message(info: Info) -> elements_pb.DocumentInfo:
    """Answers what is known of a document."""
    message = elements_pb.DocumentInfo(
        format=info.format,
        media_type=FORMATS[info.format].media_types[0] if info.format in FORMATS else "",
        page_count=info.page_count,
        content_bytes=info.content_bytes,
        sha256=info.sha256,
        language=info.language,
        title=_text(info.metadata.get("title", "")),
        author=_text(info.metadata.get("author", "")),
        create_time=_time(info.metadata.get("created", "")),
        update_time=_time(info.metadata.get("modified", "")),
        encrypted=info.encrypted,
        page_labels=map(_text, info.page_labels),
        attachments=map(_attachment, info.attachments),
        parser_version=PARSER_VERSION,
    )
    for name, text in info.metadata.items():
        if name not in ("title", "author", "created", "modified"):
            message.metadata[_text(name)].string_value = _text(text)
    return message


def _attachment(attachment: Attachment) -> elements_pb.Attachment:
    return elements_pb.Attachment(
        id=attachment.id,
        name=_text(attachment.name),
        media_type=_text(attachment.media_type),
        size_bytes=attachment.size_bytes,
        parsed=attachment.parsed,
    )


def _time(text: str) -> Timestamp | None:
    """Answers the time that a file states; None for none, or for one that no calendar has."""
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    message = Timestamp()
    try:
        message.FromDatetime(moment)
    except (ValueError, OverflowError):
        return None
    return message


def element_message(element: Element) -> elements_pb.Element:
    """Answers one element."""
    return elements_pb.Element(
        id=element.id,
        kind=elements_pb.ElementKind.Value(f"ELEMENT_KIND_{element.kind.upper()}"),
        text=_text(element.written),
        page=element.page,
        boxes=map(box_message, element.boxes),
        level=element.level,
        heading_path=map(_text, element.heading_path),
        table=None if element.table is None else _table(element.table),
        source=elements_pb.TextSource.Value(f"TEXT_SOURCE_{element.source.upper()}"),
        confidence=element.confidence,
        number=element.number,
        contents_entry=element.contents_entry,
        code_language=_text(element.style) if element.kind == "code" else "",
        style="" if element.kind == "code" else _text(element.style),
        attachment_id=element.attachment_id,
    )


def box_message(box: Box) -> elements_pb.Box:
    """Answers one box."""
    return elements_pb.Box(page=box.page, left=box.left, top=box.top, right=box.right, bottom=box.bottom)


def _table(table: Table) -> elements_pb.Table:
    cells = (
        elements_pb.Cell(
            row=cell.row,
            column=cell.column,
            row_span=cell.row_span,
            column_span=cell.column_span,
            text=_text(cell.text),
            header=cell.header,
        )
        for cell in table.cells
    )
    return elements_pb.Table(cells=cells, rows=table.rows, columns=table.columns, header_rows=table.header_rows)


def clause_message(clause: Clause) -> elements_pb.Clause:
    """Answers one clause."""
    return elements_pb.Clause(
        id=clause.id,
        kind=elements_pb.ClauseKind.Value(f"CLAUSE_KIND_{clause.kind.upper()}"),
        number=_text(clause.number),
        normal_number=clause.normal_number,
        title=_text(clause.title),
        text=_text(clause.text),
        parent_id=clause.parent_id,
        pages=clause.pages,
        boxes=map(box_message, clause.boxes),
        element_ids=clause.element_ids,
    )


def chunk_message(chunk: Chunk) -> elements_pb.Chunk:
    """Answers one chunk."""
    text = _text(chunk.text)
    return elements_pb.Chunk(
        id=chunk.id,
        text=text,
        characters=len(text),
        tokens=chunk.tokens,
        heading_path=map(_text, chunk.heading_path),
        pages=chunk.pages,
        element_ids=chunk.element_ids,
        clause_ids=chunk.clause_ids,
        parent_id=chunk.parent_id,
        answer=_text(chunk.answer),
    )


def warning_message(notice: Notice) -> elements_pb.Warning:
    """Answers one warning."""
    return elements_pb.Warning(reason=notice.reason, message=notice.message, page=notice.page)


def usage_message(usage: Usage) -> pb.ParseUsage:
    """Answers what a call cost."""
    return pb.ParseUsage(
        time=_duration(usage.seconds),
        waiting_time=_duration(usage.waiting_seconds),
        cpu_time=_duration(usage.cpu_seconds),
        pages=usage.pages,
        cached=usage.cached,
    )


def formats_message(
    limits: Limits, *, memory_bytes: int, message_bytes: int, engine: InstalledEngine | None, urls: bool
) -> pb.ListFormatsResponse:
    """Answers what can be read."""
    return pb.ListFormatsResponse(
        formats=(
            pb.Format(
                name=format_.name,
                media_types=format_.media_types,
                extensions=format_.extensions,
                paged=format_.paged,
                boxes=format_.boxes,
                renderable=format_.renderable,
                needs_ocr=format_.needs_ocr,
            )
            for format_ in FORMATS.values()
        ),
        limits=options_pb.ParseLimits(
            content_bytes=limits.content_bytes,
            pages=limits.pages,
            time=_duration(limits.seconds),
            expanded_bytes=limits.expanded_bytes,
            memory_bytes=memory_bytes,
        ),
        ocr_engines=[pb.OcrEngine(name=engine.name, languages=engine.languages)] if engine else [],
        tokenizers=tokenizers.installed(),
        chunk_modes=_stated(MODES),
        chunk_boundaries=_stated(BOUNDARIES),
        image_formats=[pb.IMAGE_FORMAT_PNG],
        url_sources=urls,
        message_bytes=message_bytes,
        parser_version=PARSER_VERSION,
    )


def _stated(table: Mapping[int, object]) -> Iterable[Any]:
    return (number for number in table if number)


def _duration(seconds: float) -> Duration:
    message = Duration()
    message.FromNanoseconds(round(seconds * 1e9))
    return message


def _text(text: str) -> str:
    """Answers text that UTF-8 can hold: halves of surrogate pairs, which broken files have, are replaced."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode("utf-8")
    return text
