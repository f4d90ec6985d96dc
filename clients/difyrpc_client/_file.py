"""Stored files as values, and the requests about them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, Final, Literal

from google.protobuf import field_mask_pb2

from difyrpc.files.v1 import files_pb2
from difyrpc_client._errors import InvalidArgument
from difyrpc_client._message import make, shown, wrong
from difyrpc_client._shape import made
from difyrpc_client._values import (
    Metadata,
    read_metadata,
    read_optional_time,
    read_time,
    write_metadata,
    write_time,
)

FileOrder = Literal["name", "created", "updated", "size"]


class Unchanged(Enum):
    """The type of UNCHANGED."""

    UNCHANGED = "unchanged"


UNCHANGED: Final = Unchanged.UNCHANGED
"""Leaves a part of a thing as it is, where None would clear it."""


@dataclass(frozen=True, kw_only=True)
class File:
    """One stored file."""

    name: str
    """`files/{id}`, made by the server."""
    display_name: str
    """What people call it; slashes may group files."""
    size_bytes: int
    """Length of the content."""
    sha256: str
    """Hash of the content, 64 hexadecimal digits."""
    media_type: str
    """Such as `application/pdf`."""
    generation: int
    """Grows by one with every change of the content, from 1."""
    etag: str
    """Differs after every change of the content or of anything here."""
    create_time: datetime
    """When it was made, in UTC."""
    update_time: datetime
    """When anything was last changed, in UTC."""
    expire_time: datetime | None = None
    """When it ceases to exist, in UTC; None for never."""
    tags: tuple[str, ...] = ()
    """Short labels to find it by, sorted."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """What its owner wants to remember."""


@dataclass(frozen=True, kw_only=True)
class Quota:
    """What the tenant stores and may store."""

    used_bytes: int
    """Bytes of all files."""
    reserved_bytes: int
    """Bytes that uploads under way have reserved."""
    limit_bytes: int
    """What both may be together; 0 for no limit."""


def read_file(file: files_pb2.File) -> File:
    """Answers a file as a value."""
    return made(
        File,
        {
            "name": file.name,
            "display_name": file.display_name,
            "size_bytes": file.size_bytes,
            "sha256": file.sha256,
            "media_type": file.media_type,
            "generation": file.generation,
            "etag": file.etag,
            "create_time": read_time(file.create_time),
            "update_time": read_time(file.update_time),
            "expire_time": read_optional_time(file, "expire_time"),
            "tags": tuple(file.tags),
            "metadata": read_metadata(file.metadata),
        },
    )


def file_name(file: File | str) -> str:
    """Answers the name of a file that is given by its name or as a value."""
    if isinstance(file, File):
        return file.name
    if not isinstance(file, str):
        raise wrong("file", file, "a File or its name files/…")
    return file


def write_spec(
    *,
    display_name: str,
    media_type: str = "",
    metadata: Metadata | None = None,
    tags: Iterable[str] = (),
    expire_time: datetime | None = None,
    replace: File | str = "",
    if_absent: bool = False,
    if_generation_match: int | None = None,
) -> files_pb2.FileSpec:
    """Makes what is said about a file when it is stored."""
    return make(
        files_pb2.FileSpec,
        display_name=display_name,
        media_type=media_type,
        metadata=write_metadata(metadata),
        tags=tags,
        expire_time=write_time(expire_time, "expire_time") if expire_time else None,
        replace=file_name(replace),
        if_absent=if_absent,
        if_generation_match=if_generation_match,
    )


def list_request(
    *, prefix: str, tags: Iterable[str], order: FileOrder, descending: bool, page_size: int
) -> files_pb2.ListFilesRequest:
    """Asks for the first page of files; InvalidArgument for an order that there is not."""
    if order not in _ORDERS:
        raise InvalidArgument(f"order={shown(order)} is not one of {', '.join(_ORDERS)}")
    return make(
        files_pb2.ListFilesRequest,
        prefix=prefix,
        tags=tags,
        order=_ORDERS[order],
        descending=descending,
        page_size=page_size,
    )


_ORDERS: dict[str, files_pb2.FileOrder.ValueType] = {
    "name": files_pb2.FILE_ORDER_DISPLAY_NAME,
    "created": files_pb2.FILE_ORDER_CREATE_TIME,
    "updated": files_pb2.FILE_ORDER_UPDATE_TIME,
    "size": files_pb2.FILE_ORDER_SIZE,
}


def update_request(
    file: File | str,
    *,
    display_name: str | Unchanged,
    media_type: str | Unchanged,
    metadata: Metadata | Unchanged | None,
    tags: Iterable[str] | Unchanged,
    expire_time: datetime | Unchanged | None,
    etag: str,
    if_absent: bool,
) -> files_pb2.UpdateFileRequest:
    """Asks to change what is not UNCHANGED."""
    new = make(files_pb2.File, name=file_name(file), etag=etag)
    changes: dict[str, Any] = {
        "display_name": display_name,
        "media_type": media_type,
        "metadata": metadata if metadata is UNCHANGED else write_metadata(metadata),
        "tags": tags,
        "expire_time": expire_time if expire_time in (None, UNCHANGED) else write_time(expire_time, "expire_time"),
    }
    changed = {name: value for name, value in changes.items() if value is not UNCHANGED}
    new.MergeFrom(make(files_pb2.File, **changed))
    mask = make(field_mask_pb2.FieldMask, paths=list(changed))
    return make(files_pb2.UpdateFileRequest, file=new, update_mask=mask, if_absent=if_absent)


def delete_request(
    file: File | str, *, etag: str, allow_missing: bool, if_generation_match: int | None
) -> files_pb2.DeleteFileRequest:
    """Asks to delete a file."""
    return make(
        files_pb2.DeleteFileRequest,
        name=file_name(file),
        etag=etag,
        allow_missing=allow_missing,
        if_generation_match=if_generation_match,
    )


def read_quota(quota: files_pb2.GetQuotaResponse) -> Quota:
    """Answers the quota as a value."""
    return Quota(used_bytes=quota.used_bytes, reserved_bytes=quota.reserved_bytes, limit_bytes=quota.limit_bytes)


def name_of_source(source: object, name: str | None) -> str:
    """Answers the display name of what is uploaded: the one given, else that of the file; else empty."""
    if name is not None:
        return name
    if isinstance(source, str | os.PathLike):
        return os.path.basename(os.fspath(source))
    found = getattr(source, "name", "")
    return os.path.basename(found) if isinstance(found, str) else ""
