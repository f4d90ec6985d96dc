"""The errors of a deployment, in its words, with its reasons and metadata."""

from __future__ import annotations

from typing import TypeVar

from difyrpc_client._errors import (
    Aborted,
    AlreadyExists,
    DifyrpcError,
    FailedPrecondition,
    FieldViolation,
    InvalidArgument,
    NotFound,
    OutOfRange,
    Unimplemented,
)

E = TypeVar("E", bound=DifyrpcError)

MAX_K = 1000  # hits of one search
MAX_DISPLAY_NAME = 255  # characters


def no_file(name: str) -> NotFound:
    """Answers the error for a file that is not there."""
    return _made(NotFound, "FILE_NOT_FOUND", "there is no file {name}", name=name)


def file_exists(name: str) -> AlreadyExists:
    """Answers the error for a display name that another file has."""
    return _made(AlreadyExists, "FILE_EXISTS", "there is a file called {display_name}", display_name=name)


def nameless(field: str) -> InvalidArgument:
    """Answers the error for a file without a display name."""
    fault = f"has 0 characters; 1 to {MAX_DISPLAY_NAME} are allowed"
    return _made(InvalidArgument, "INVALID_DISPLAY_NAME", "the display name {fault}", field, fault=fault)


def other_generation(name: str, generation: int, wanted: int) -> FailedPrecondition:
    """Answers the error for a file of another generation than the wanted one."""
    template = "{name} is of generation {generation}, not {wanted}"
    return _made(FailedPrecondition, "GENERATION_MISMATCH", template, name=name, generation=generation, wanted=wanted)


def file_changed(name: str, etag: str) -> Aborted:
    """Answers the error for a file that changed since the etag."""
    return _made(Aborted, "ETAG_MISMATCH", "{name} changed; its etag is {etag}", name=name, etag=etag)


def no_upload(name: str) -> NotFound:
    """Answers the error for an upload that is not there."""
    return _made(NotFound, "UPLOAD_NOT_FOUND", "there is no upload {upload}: unknown, given up or expired", upload=name)


def upload_incomplete(committed: int, size: int) -> FailedPrecondition:
    """Answers the error for finishing too early."""
    template = "{committed_bytes} of {size_bytes} bytes are here; go on writing"
    return _made(FailedPrecondition, "UPLOAD_INCOMPLETE", template, committed_bytes=committed, size_bytes=size)


def other_checksum(found: str, declared: str) -> InvalidArgument:
    """Answers the error for bytes that are not those that were declared."""
    template = "the bytes that came have sha256 {sha256}, declared was {declared}"
    return _made(InvalidArgument, "CHECKSUM_MISMATCH", template, sha256=found, declared=declared)


def past_end(offset: int, have: int, what: str) -> OutOfRange:
    """Answers the error for an offset behind the end; `what` is committed_bytes or size_bytes."""
    template = "offset {offset} is past the end, which is {" + what + "}"
    return _made(OutOfRange, "OFFSET_PAST_END", template, **{"offset": offset, what: have})


def no_collection(name: str) -> NotFound:
    """Answers the error for a collection that is not there."""
    return _made(NotFound, "COLLECTION_NOT_FOUND", "there is no collection {collection}", collection=name)


def collection_exists(name: str) -> AlreadyExists:
    """Answers the error for a collection that is there already."""
    return _made(AlreadyExists, "COLLECTION_EXISTS", "there is a collection {name} already", name=name)


def collection_changed(name: str) -> Aborted:
    """Answers the error for a collection that changed since the etag."""
    template = "collection {collection} was changed meanwhile; read it again"
    return _made(Aborted, "ETAG_MISMATCH", template, collection=name)


def too_many_hits(k: int) -> InvalidArgument:
    """Answers the error for a limit that cannot be."""
    return _made(InvalidArgument, "K_OUT_OF_RANGE", "k is {k}; it may be 1 to {limit}", "k", k=k, limit=MAX_K)


def no_content() -> InvalidArgument:
    """Answers the error for a document without bytes."""
    return _made(InvalidArgument, "EMPTY_CONTENT", "the document has no bytes", "content")


def no_urls() -> Unimplemented:
    """Answers the error for a URL."""
    return _made(Unimplemented, "URL_SOURCES_OFF", "this server reads no URLs; send the bytes or name a stored file")


def _made(kind: type[E], reason: str, template: str, field: str = "", /, **values: object) -> E:
    metadata = {name: str(value) for name, value in values.items()}
    message = template.format_map(metadata)
    violations = [FieldViolation(field=field, description=message)] if field else []
    return kind(message, reason=reason, metadata=metadata, field_violations=violations)
