"""The errors that several parts of the core raise, each made in one place."""

from __future__ import annotations

from typing import Any

from difyrpc_services.files.core.values import File, Limits, Upload, Usage
from difyrpc_services.runtime.errors import (
    Aborted,
    AlreadyExists,
    DataLoss,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    OutOfRange,
    ResourceExhausted,
    Unavailable,
    Unimplemented,
)


def no_file(file_id: str) -> NotFound:
    """Answers the error for a file that the tenant does not have."""
    return NotFound("FILE_NOT_FOUND", "there is no file {name}", name=f"files/{file_id}")


def no_upload(upload_id: str) -> NotFound:
    """Answers the error for an upload that the tenant does not have, or no longer."""
    return NotFound(
        "UPLOAD_NOT_FOUND", "there is no upload {upload}: unknown, given up or expired", upload=f"uploads/{upload_id}"
    )


def upload_forgotten() -> Unavailable:
    """Answers the error for a one-call upload whose record, which is not waited for, went down with the database."""
    return Unavailable(
        "DATABASE_UNAVAILABLE", "the database restarted and forgot this upload; nothing is stored", retry_after=1.0
    )


def damaged(file: File) -> DataLoss:
    """Answers the error for a file whose bytes are not all there."""
    return DataLoss("FILE_DAMAGED", "the stored bytes of {name} are missing or cut", name=f"files/{file.id}")


def upload_finished(upload: Upload) -> FailedPrecondition:
    """Answers the error for writing to, or giving up, what is a file already."""
    return FailedPrecondition(
        "UPLOAD_FINISHED", "{upload} is finished and became {name}", upload=f"uploads/{upload.id}",
        name=f"files/{upload.file_id}",
    )  # fmt: skip


def writer_replaced(upload_id: str) -> Aborted:
    """Answers the error for a call that lost its upload to a later one."""
    return Aborted("WRITER_REPLACED", "another call took over {upload}", upload=f"uploads/{upload_id}")


def upload_busy(key: str) -> Aborted:
    """Answers the error for bytes that another process writes at this moment."""
    return Aborted(
        "UPLOAD_BUSY", "another server still writes these bytes ({key}); try again", key=key[:8], retry_after=1.0
    )


def past_end(offset: int, have: int, what: str) -> OutOfRange:
    """Answers the error for an offset behind the end; `what` names the count: committed_bytes or size_bytes."""
    counts: dict[str, Any] = {"offset": offset, what: have}
    return OutOfRange("OFFSET_PAST_END", "offset {offset} is past the end, which is {" + what + "}", **counts)


def file_exists(display_name: str) -> AlreadyExists:
    """Answers the error for a display name that another file has."""
    return AlreadyExists("FILE_EXISTS", "there is a file called {display_name}", display_name=display_name)


def disk_full(what: str) -> ResourceExhausted:
    """Answers the error for a store without room."""
    return ResourceExhausted("DISK_FULL", "there is no room left in {store}", store=what)


def not_built(feature: str) -> Unimplemented:
    """Answers the error for what this release does not do."""
    return Unimplemented("FEATURE_NOT_SUPPORTED", "this server does not have {feature} yet", feature=feature)


def check_generation(file: File, wanted: int | None) -> None:
    """Refuses a file of another generation than the wanted one, if one is wanted."""
    if wanted is not None and wanted != file.generation:
        raise FailedPrecondition(
            "GENERATION_MISMATCH", "{name} is of generation {generation}, not {wanted}", name=f"files/{file.id}",
            generation=file.generation, wanted=wanted,
        )  # fmt: skip


def check_etag(file: File, wanted: str) -> None:
    """Refuses a file that changed since the etag, if one is given."""
    if wanted and wanted != file.etag:
        raise Aborted("ETAG_MISMATCH", "{name} changed; its etag is {etag}", name=f"files/{file.id}", etag=file.etag)


def check_quota(usage: Usage, more: int, limits: Limits) -> None:
    """Refuses more bytes than the tenant may have."""
    if usage.used_bytes + usage.reserved_bytes + more > limits.quota_bytes:
        raise ResourceExhausted(
            "QUOTA_EXCEEDED",
            "{more_bytes} bytes more are over the limit of {limit_bytes}: {used_bytes} are used and {reserved_bytes} "
            "reserved by uploads; delete files or ask for a higher limit",
            more_bytes=more, used_bytes=usage.used_bytes, reserved_bytes=usage.reserved_bytes,
            limit_bytes=limits.quota_bytes, limit="DIFYRPC_FILES_QUOTA_BYTES",
        )  # fmt: skip


def check_total(size: int, digest: str, size_wanted: int | None, sha256_wanted: str) -> None:
    """Refuses content that is not what was declared."""
    if size_wanted is not None and size != size_wanted:
        raise InvalidArgument(
            "SIZE_MISMATCH", "{stored_bytes} bytes came, {size_bytes} were declared", stored_bytes=size,
            size_bytes=size_wanted,
        )  # fmt: skip
    if sha256_wanted and digest != sha256_wanted:
        raise InvalidArgument(
            "CHECKSUM_MISMATCH", "the bytes that came have sha256 {sha256}, declared was {declared}", sha256=digest,
            declared=sha256_wanted,
        )  # fmt: skip
