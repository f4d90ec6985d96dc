"""Contract messages ↔ core values; nothing is decided here but what cannot be expressed in the core."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from difyrpc.files.v1 import files_pb2 as pb
from difyrpc.type.v1 import value_pb2
from difyrpc_services.files.core import faults
from difyrpc_services.files.core.chunks import checked, checksum
from difyrpc_services.files.core.rules import resource_id
from difyrpc_services.files.core.values import After, Changes, File, FileSpec, Listing, Order, Scalar, Upload, Value
from difyrpc_services.runtime import pages
from difyrpc_services.runtime.errors import InvalidArgument

DEFAULT_PAGE, MAX_PAGE = 100, 1000  # files.proto, ListFilesRequest.page_size
ORDERS = {
    pb.FILE_ORDER_UNSPECIFIED: Order.DISPLAY_NAME,
    pb.FILE_ORDER_DISPLAY_NAME: Order.DISPLAY_NAME,
    pb.FILE_ORDER_CREATE_TIME: Order.CREATE_TIME,
    pb.FILE_ORDER_UPDATE_TIME: Order.UPDATE_TIME,
    pb.FILE_ORDER_SIZE: Order.SIZE,
}


def file_id(name: str, field: str = "name") -> str:
    """Answers the id in `files/{id}`."""
    return resource_id(name, "files", field)


def upload_id(name: str, field: str = "upload") -> str:
    """Answers the id in `uploads/{id}`."""
    return resource_id(name, "uploads", field)


def spec_of(message: pb.FileSpec) -> FileSpec:
    """Answers the spec in a message."""
    if message.permissions:
        raise faults.not_built("permissions")
    return FileSpec(
        display_name=message.display_name,
        media_type=message.media_type,
        size_bytes=message.size_bytes if message.HasField("size_bytes") else None,
        sha256=message.sha256,
        metadata=metadata_of(message.metadata, "spec.metadata"),
        tags=tuple(message.tags),
        expire_time=time_of(message.expire_time, "spec.expire_time") if message.HasField("expire_time") else None,
        replace=file_id(message.replace, "spec.replace") if message.replace else "",
        if_absent=message.if_absent,
        if_generation_match=message.if_generation_match if message.HasField("if_generation_match") else None,
    )


def changes_of(request: pb.UpdateFileRequest) -> Changes:
    """Answers what an update changes."""
    file = request.file
    if "permissions" in request.update_mask.paths:
        raise faults.not_built("permissions")
    return Changes(
        fields=frozenset(request.update_mask.paths),
        display_name=file.display_name,
        media_type=file.media_type,
        metadata=metadata_of(file.metadata, "file.metadata"),
        tags=tuple(file.tags),
        expire_time=time_of(file.expire_time, "file.expire_time") if file.HasField("expire_time") else None,
    )


def listing_of(request: pb.ListFilesRequest, tenant: str) -> Listing:
    """Answers what to list."""
    if request.page_size < 0:
        raise InvalidArgument(
            "INVALID_PAGE_SIZE", "page_size {page_size} is negative", field="page_size", page_size=request.page_size
        )
    order = ORDERS.get(request.order)
    if order is None:
        raise InvalidArgument(
            "INVALID_ORDER", "order {order} is none of this contract", field="order", order=request.order
        )
    return Listing(
        prefix=request.prefix,
        order=order,
        descending=request.descending,
        tags=tuple(request.tags),
        limit=min(request.page_size or DEFAULT_PAGE, MAX_PAGE),
        after=_after(request, tenant, order),
    )


def page_token(request: pb.ListFilesRequest, tenant: str, last: File) -> str:
    """Answers the token of the page after `last`."""
    order = ORDERS[request.order]
    key = getattr(last, order.value)
    position = {"key": key.isoformat() if isinstance(key, datetime) else key, "id": last.id}
    return pages.encode(position, _bound(request, tenant))


def _after(request: pb.ListFilesRequest, tenant: str, order: Order) -> After | None:
    position = pages.decode(request.page_token, _bound(request, tenant))
    if position is None:
        return None
    key, last = position.get("key"), position.get("id")
    if not isinstance(last, str) or not isinstance(key, int if order is Order.SIZE else str):
        raise pages.invalid_token()
    if order in {Order.CREATE_TIME, Order.UPDATE_TIME}:
        return After(key=_token_time(str(key)), id=last)
    return After(key=key, id=last)


def _token_time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise pages.invalid_token() from None
    if time.tzinfo is None:
        raise pages.invalid_token()
    return time


def _bound(request: pb.ListFilesRequest, tenant: str) -> list[object]:
    return [tenant, request.prefix, request.order, request.descending, sorted(request.tags)]


def chunk_of(message: pb.Chunk) -> bytes:
    """Answers the bytes of a chunk that is as its checksum says."""
    return checked(message.data, message.crc32c if message.HasField("crc32c") else None)


def chunk_message(data: bytes) -> pb.DownloadFileResponse:
    """Answers bytes as a part of a download, filled in place: a chunk made apart would be copied once more."""
    message = pb.DownloadFileResponse()
    message.chunk.data = data
    message.chunk.crc32c = checksum(data)
    return message


def file_message(file: File) -> pb.File:
    """Answers a file as a message."""
    return pb.File(
        name=f"files/{file.id}",
        display_name=file.display_name,
        size_bytes=file.size_bytes,
        sha256=file.sha256,
        media_type=file.media_type,
        generation=file.generation,
        etag=file.etag,
        create_time=timestamp(file.create_time),
        update_time=timestamp(file.update_time),
        tags=file.tags,
        expire_time=timestamp(file.expire_time) if file.expire_time else None,
        metadata={key: value_message(value) for key, value in file.metadata.items()},
    )


def upload_message(upload: Upload) -> pb.Upload:
    """Answers an upload as a message."""
    return pb.Upload(
        name=f"uploads/{upload.id}",
        committed_bytes=upload.committed_bytes,
        expire_time=timestamp(upload.expire_time),
        size_bytes=upload.spec.size_bytes,
    )


def timestamp(time: datetime) -> Timestamp:
    """Answers a time as a message."""
    message = Timestamp()
    message.FromDatetime(time)
    return message


def time_of(message: Timestamp, field: str) -> datetime:
    """Answers a time with its zone."""
    try:
        return message.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise InvalidArgument("INVALID_TIME", "a time is between the years 1 and 9999", field=field) from None


def metadata_of(messages: Mapping[str, value_pb2.Value], field: str) -> dict[str, Value]:
    """Answers metadata as core values."""
    return {key: _value(message, f"{field}[{key[:80]}]") for key, message in messages.items()}


def _value(message: value_pb2.Value, field: str) -> Value:
    if message.WhichOneof("kind") == "list_value":
        return tuple(_scalar(item, field) for item in message.list_value.values)
    return _scalar(message, field)


def _scalar(message: value_pb2.Value, field: str) -> Scalar:
    kind = message.WhichOneof("kind")
    if kind is None or kind == "list_value":
        fault = "a list does not hold a list" if kind else "the value's kind is not set"
        raise InvalidArgument("INVALID_METADATA", "metadata: {fault}", field=field, fault=fault)
    if kind == "null_value":
        return None
    if kind == "time_value":
        return time_of(message.time_value, field)
    found: Scalar = getattr(message, kind)
    return found


def value_message(value: Value) -> value_pb2.Value:
    """Answers a core value as a message."""
    match value:
        case None:
            return value_pb2.Value(null_value=0)  # type: ignore[arg-type]  # the only value of its enum
        case bool():
            return value_pb2.Value(bool_value=value)
        case int():
            return value_pb2.Value(int64_value=value)
        case float():
            return value_pb2.Value(double_value=value)
        case datetime():
            return value_pb2.Value(time_value=timestamp(value))
        case tuple():
            return value_pb2.Value(list_value=value_pb2.ListValue(values=map(value_message, value)))
        case _:
            return value_pb2.Value(string_value=value)
