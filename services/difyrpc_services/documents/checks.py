"""What may be asked: options, sizes and hashes that no document could satisfy are refused before any work."""

from __future__ import annotations

import re
from typing import Final

from difyrpc_services.documents.chunking import Chunking, tokenizers
from difyrpc_services.documents.values import ParseOptions, RenderTask, Source
from difyrpc_services.runtime.errors import FailedPrecondition, InvalidArgument

MOST_RANGES: Final = 100  # options.proto, ParseOptions.pages
MOST_LANGUAGES: Final = 8  # options.proto, OcrOptions.languages
_TAG: Final = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8}){0,4}")  # BCP 47, as far as OCR needs it
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
    """Refuses options that no document could satisfy; BAD_OPTION."""
    if len(options.ocr_languages) > MOST_LANGUAGES:
        raise bad_option("options.ocr.languages", f"there may be {MOST_LANGUAGES}")
    for place, tag in enumerate(options.ocr_languages):
        if not _TAG.fullmatch(tag):
            raise bad_option(f"options.ocr.languages[{place}]", "it is a BCP 47 tag")
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
    """Refuses sizes out of range and tokenizers that are not here; BAD_OPTION, TOKENIZER_NOT_INSTALLED."""
    if not 20 <= chunking.size <= 100_000:
        raise bad_option(f"{field}.size", "it is 20 to 100000")
    if not 0 <= chunking.overlap <= chunking.size // 2:
        raise bad_option(f"{field}.overlap", "it is 0 to half of size")
    if chunking.mode == "parent_child":
        _check_children(chunking, field)
    if chunking.boundary == "separator" and not 0 < len(chunking.separator) <= 100:
        raise bad_option(f"{field}.separator", "it has 1 to 100 characters")
    _check_tokenizer(chunking, field)


def _check_children(chunking: Chunking, field: str) -> None:
    if not 5 <= chunking.child_size <= chunking.size:
        raise bad_option(f"{field}.child_size", "it is 5 to size")
    if chunking.overlap > chunking.child_size // 2:
        raise bad_option(f"{field}.overlap", "it is 0 to half of child_size")
    if len(chunking.child_separator) > 100:
        raise bad_option(f"{field}.child_separator", "it has 100 characters at most")


def _check_tokenizer(chunking: Chunking, field: str) -> None:
    if chunking.unit == "tokens" and not chunking.tokenizer:
        raise bad_option(f"{field}.tokenizer", "tokens need one, as ListFormats names them")
    if chunking.tokenizer and chunking.tokenizer not in tokenizers.installed():
        raise FailedPrecondition(
            "TOKENIZER_NOT_INSTALLED",
            "the tokenizer {tokenizer} is not installed here; there are: {tokenizers}",
            field=f"{field}.tokenizer",
            tokenizer=chunking.tokenizer,
            tokenizers=", ".join(tokenizers.installed()) or "none",
        )


def check_render(task: RenderTask) -> None:
    """Refuses a resolution out of range; BAD_OPTION."""
    if not 18 <= task.dpi <= 600:
        raise bad_option("dpi", "it is 18 to 600")
    if len(task.highlights) > MOST_HIGHLIGHTS:
        raise bad_option("highlights", f"there may be {MOST_HIGHLIGHTS}")


def bad_option(field: str, rule: str) -> InvalidArgument:
    """Answers the error for an option outside of its range."""
    return InvalidArgument("BAD_OPTION", "{option}: {rule}", field=field, option=field, rule=rule)
