"""What may be asked: options, sizes and hashes that no document could satisfy are refused before any work."""

from __future__ import annotations

from typing import Final

from difyrpc_services.documents.chunking import Chunking
from difyrpc_services.documents.values import ParseOptions, RenderTask, Source
from difyrpc_services.runtime.errors import FailedPrecondition, InvalidArgument

MOST_RANGES: Final = 100  # options.proto, ParseOptions.pages
MOST_HIGHLIGHTS: Final = 1_000  # documents.proto, RenderPageRequest.highlights


def check_stated(source: Source, size: int, sha256: bytes) -> None:
    """Refuses bytes that are not what the caller said they would be; SIZE_DIFFERS, SHA256_DIFFERS."""
    if source.size_bytes is not None and source.size_bytes != size:
        raise InvalidArgument(
            "SIZE_DIFFERS",
            "{found} bytes came, {stated} were stated",
            field="spec.size_bytes",
            found=size,
            stated=source.size_bytes,
        )
    if source.sha256 and source.sha256 != sha256:
        raise InvalidArgument(
            "SHA256_DIFFERS",
            "the bytes have the SHA-256 {found}, {stated} was stated",
            field="spec.sha256",
            found=sha256.hex(),
            stated=source.sha256.hex(),
        )


def check_options(options: ParseOptions) -> None:
    """Refuses options that no document could satisfy; BAD_OPTION, OCR_NOT_INSTALLED."""
    if options.ocr == "always":
        raise FailedPrecondition("OCR_NOT_INSTALLED", "no optical character recognition is installed here")
    if len(set(options.outputs)) < len(options.outputs):
        raise bad_option("options.outputs", "each output may be named once")
    if len(options.pages) > MOST_RANGES:
        raise bad_option("options.pages", f"there may be {MOST_RANGES} ranges")
    end = 0
    for place, (first, last) in enumerate(options.pages):
        if first <= end or (last and last < first) or end < 0:
            raise bad_option(f"options.pages[{place}]", "ranges begin at 1, rise and do not touch what is before")
        end = last or -1
    check_chunking(options.chunking, "options.chunking")


def check_chunking(chunking: Chunking, field: str) -> None:
    """Refuses sizes out of range; BAD_OPTION."""
    if not 20 <= chunking.size <= 100_000:
        raise bad_option(f"{field}.size", "it is 20 to 100000")
    if not 0 <= chunking.overlap <= chunking.size // 2:
        raise bad_option(f"{field}.overlap", "it is 0 to half of size")
    if chunking.mode == "parent_child" and not 5 <= chunking.child_size <= chunking.size:
        raise bad_option(f"{field}.child_size", "it is 5 to size")
    if chunking.mode == "parent_child" and chunking.overlap > chunking.child_size // 2:
        raise bad_option(f"{field}.overlap", "it is 0 to half of child_size")
    if chunking.boundary == "separator" and not 0 < len(chunking.separator) <= 100:
        raise bad_option(f"{field}.separator", "it has 1 to 100 characters")


def check_render(task: RenderTask) -> None:
    """Refuses a resolution out of range; BAD_OPTION."""
    if not 18 <= task.dpi <= 600:
        raise bad_option("dpi", "it is 18 to 600")
    if len(task.highlights) > MOST_HIGHLIGHTS:
        raise bad_option("highlights", f"there may be {MOST_HIGHLIGHTS}")


def bad_option(field: str, rule: str) -> InvalidArgument:
    """Answers the error for an option outside of its range."""
    return InvalidArgument("BAD_OPTION", "{option}: {rule}", field=field, option=field, rule=rule)
