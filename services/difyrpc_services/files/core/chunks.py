"""Pieces of content on the wire: their greatest size and their checksum."""

from __future__ import annotations

import google_crc32c

from difyrpc_services.runtime.errors import InvalidArgument

MAX_CHUNK = 2 << 20  # bytes; files.proto, Chunk.data


def checked(data: bytes, crc32c: int | None) -> bytes:
    """Answers the bytes if they are not too many and their CRC-32C is the given one, if one is given."""
    if len(data) > MAX_CHUNK:
        raise InvalidArgument(
            "CHUNK_TOO_LARGE", "a chunk of {size_bytes} bytes is larger than {limit_bytes}", field="chunk.data",
            size_bytes=len(data), limit_bytes=MAX_CHUNK,
        )  # fmt: skip
    if crc32c is not None and checksum(data) != crc32c:
        raise InvalidArgument(
            "CHUNK_DAMAGED", "a chunk of {size_bytes} bytes is not what its crc32c says; send it again",
            field="chunk.crc32c", size_bytes=len(data),
        )  # fmt: skip
    return data


def checksum(data: bytes) -> int:
    """Answers the CRC-32C (Castagnoli) of the bytes."""
    return int(google_crc32c.value(data))
