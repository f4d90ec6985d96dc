"""Contract → values, nothing else."""

from __future__ import annotations

from typing import Final, TypeVar

from difyrpc.documents.v1 import documents_pb2 as pb
from difyrpc.documents.v1 import options_pb2 as options_pb
from difyrpc_services.documents.checks import bad_option
from difyrpc_services.documents.chunking import SIZE, SIZE_TOKENS, Boundary, Chunking, Mode, Unit
from difyrpc_services.documents.formats.reading import Tables
from difyrpc_services.documents.values import (
    DEFAULT_OUTPUTS,
    CachePolicy,
    ClauseProfile,
    Highlight,
    Limits,
    OcrPolicy,
    Output,
    ParseOptions,
    RenderTask,
    SplitTask,
)
from difyrpc_services.runtime.errors import Unimplemented

YELLOW: Final = 0xFFE94B99  # documents.proto, Highlight.color

_OUTPUTS: Final[dict[int, Output]] = {
    options_pb.OUTPUT_TEXT: "text",
    options_pb.OUTPUT_MARKDOWN: "markdown",
    options_pb.OUTPUT_ELEMENTS: "elements",
    options_pb.OUTPUT_CLAUSES: "clauses",
    options_pb.OUTPUT_CHUNKS: "chunks",
}
_OCR: Final[dict[int, OcrPolicy]] = {
    options_pb.OCR_POLICY_UNSPECIFIED: "default",
    options_pb.OCR_POLICY_NEVER: "never",
    options_pb.OCR_POLICY_AUTO: "auto",
    options_pb.OCR_POLICY_ALWAYS: "always",
}
_TABLES: Final[dict[int, Tables]] = {
    options_pb.TABLE_POLICY_UNSPECIFIED: "aligned",
    options_pb.TABLE_POLICY_NONE: "none",
    options_pb.TABLE_POLICY_RULED: "ruled",
    options_pb.TABLE_POLICY_ALIGNED: "aligned",
}
_CLAUSES: Final[dict[int, ClauseProfile]] = {
    options_pb.CLAUSE_PROFILE_UNSPECIFIED: "auto",
    options_pb.CLAUSE_PROFILE_AUTO: "auto",
    options_pb.CLAUSE_PROFILE_ZH: "zh",
    options_pb.CLAUSE_PROFILE_EN: "en",
    options_pb.CLAUSE_PROFILE_NONE: "none",
}
MODES: Final[dict[int, Mode]] = {
    options_pb.CHUNK_MODE_UNSPECIFIED: "general",
    options_pb.CHUNK_MODE_GENERAL: "general",
    options_pb.CHUNK_MODE_PARENT_CHILD: "parent_child",
    options_pb.CHUNK_MODE_QA: "qa",
}
_UNITS: Final[dict[int, Unit]] = {
    options_pb.CHUNK_UNIT_UNSPECIFIED: "characters",
    options_pb.CHUNK_UNIT_CHARACTERS: "characters",
    options_pb.CHUNK_UNIT_TOKENS: "tokens",
}
BOUNDARIES: Final[dict[int, Boundary]] = {
    options_pb.CHUNK_BOUNDARY_UNSPECIFIED: "structure",
    options_pb.CHUNK_BOUNDARY_STRUCTURE: "structure",
    options_pb.CHUNK_BOUNDARY_CLAUSES: "clauses",
    options_pb.CHUNK_BOUNDARY_PAGES: "pages",
    options_pb.CHUNK_BOUNDARY_SEPARATOR: "separator",
}
_SCOPES: Final[dict[int, bool]] = {
    options_pb.PARENT_SCOPE_UNSPECIFIED: False,
    options_pb.PARENT_SCOPE_PARAGRAPHS: False,
    options_pb.PARENT_SCOPE_DOCUMENT: True,
}
_CACHE: Final[dict[int, CachePolicy]] = {
    options_pb.CACHE_POLICY_UNSPECIFIED: "use",
    options_pb.CACHE_POLICY_USE: "use",
    options_pb.CACHE_POLICY_REFRESH: "refresh",
    options_pb.CACHE_POLICY_BYPASS: "bypass",
}

Value = TypeVar("Value")


def options_of(message: options_pb.ParseOptions) -> ParseOptions:
    """Reads options; BAD_OPTION for an unknown enum value, errors for what this build does not have."""
    if message.limits.memory_bytes:
        raise Unimplemented("LIMIT_NOT_SETTABLE", "the memory of workers cannot be set by a call")
    outputs = tuple(_known(_OUTPUTS, number, "options.outputs") for number in message.outputs)
    return ParseOptions(
        outputs=outputs or DEFAULT_OUTPUTS,
        pages=tuple((range_.first, range_.last) for range_ in message.pages),
        password=message.password,
        ocr=_known(_OCR, message.ocr.policy, "options.ocr.policy"),
        ocr_languages=tuple(message.ocr.languages),
        tables=_known(_TABLES, message.tables, "options.tables"),
        clauses=_known(_CLAUSES, message.clauses, "options.clauses"),
        chunking=chunking_of(message.chunking, "options.chunking"),
        running=message.headers_in_text,
        cache=_known(_CACHE, message.cache, "options.cache"),
        limits=_limits_of(message.limits),
    )


def _limits_of(message: options_pb.ParseLimits) -> Limits:
    seconds = message.time.seconds + message.time.nanos / 1e9
    if message.content_bytes < 0 or message.expanded_bytes < 0 or seconds < 0:
        raise bad_option("options.limits", "limits are not negative")
    return Limits(
        content_bytes=message.content_bytes,
        pages=message.pages,
        seconds=seconds,
        expanded_bytes=message.expanded_bytes,
    )


def chunking_of(message: options_pb.Chunking, field: str) -> Chunking:
    """Reads how chunks are cut."""
    unit = _known(_UNITS, message.unit, f"{field}.unit")
    size = message.size if message.HasField("size") else SIZE_TOKENS if unit == "tokens" else SIZE
    return Chunking(
        mode=_known(MODES, message.mode, f"{field}.mode"),
        unit=unit,
        size=size,
        overlap=message.overlap,
        tokenizer=message.tokenizer,
        boundary=_known(BOUNDARIES, message.boundary, f"{field}.boundary"),
        separator=message.separator.replace("\\n", "\n"),
        prepend_headings=message.prepend_headings,
        whole_document=_known(_SCOPES, message.parent_scope, f"{field}.parent_scope"),
        child_size=message.child_size if message.HasField("child_size") else max(5, size // 5),
        child_separator=message.child_separator.replace("\\n", "\n"),
        collapse_spaces=message.collapse_spaces,
        remove_contacts=message.remove_urls_emails,
    )


def _known(table: dict[int, Value], number: int, field: str) -> Value:
    if number not in table:
        raise bad_option(field, "the value is not known")
    return table[number]


def render_task_of(message: pb.RenderPageRequest) -> RenderTask:
    """Reads what is to be rendered; IMAGE_FORMAT_NOT_AVAILABLE."""
    if message.image_format == pb.IMAGE_FORMAT_WEBP:
        raise Unimplemented("IMAGE_FORMAT_NOT_AVAILABLE", "pictures are PNG here")
    if message.image_format not in (pb.IMAGE_FORMAT_UNSPECIFIED, pb.IMAGE_FORMAT_PNG):
        raise bad_option("image_format", "the value is not known")
    page = message.page or 1
    return RenderTask(
        name=message.name,
        page=page,
        dpi=message.dpi if message.HasField("dpi") else 144.0,
        max_width=message.max_width_pixels,
        highlights=tuple(_highlight(one) for one in message.highlights if one.box.page == page),
        password=message.password,
    )


def _highlight(message: pb.Highlight) -> Highlight:
    box = message.box
    return Highlight(left=box.left, top=box.top, right=box.right, bottom=box.bottom, color=message.color or YELLOW)


def split_task_of(message: pb.SplitTextRequest) -> SplitTask:
    """Reads how a text is to be cut."""
    if message.text_format not in pb.TextFormat.values():
        raise bad_option("text_format", "the value is not known")
    return SplitTask(
        markdown=message.text_format == pb.TEXT_FORMAT_MARKDOWN,
        clauses=_known(_CLAUSES, message.clauses, "clauses"),
        chunking=chunking_of(message.chunking, "chunking"),
    )
