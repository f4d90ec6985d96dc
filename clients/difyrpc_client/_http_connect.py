"""The Connect protocol in pure functions: headers, envelopes, errors. Knows neither sockets nor HTTP clients."""

from __future__ import annotations

import binascii
import json
import math
import struct
import zlib
from base64 import b64decode
from email.message import Message
from email.utils import parsedate_to_datetime
from time import time
from typing import Any

from google.protobuf import any_pb2
from google.rpc import status_pb2

from difyrpc_client._errors import (
    ConfigurationError,
    DataLoss,
    DifyrpcError,
    ResourceExhausted,
    Unknown,
    from_status,
)
from difyrpc_client._transport import Metadata

# https://connectrpc.com/docs/protocol, "Error Codes"
CODES = {
    "canceled": 1,
    "unknown": 2,
    "invalid_argument": 3,
    "deadline_exceeded": 4,
    "not_found": 5,
    "already_exists": 6,
    "permission_denied": 7,
    "resource_exhausted": 8,
    "failed_precondition": 9,
    "aborted": 10,
    "out_of_range": 11,
    "unimplemented": 12,
    "internal": 13,
    "unavailable": 14,
    "data_loss": 15,
    "unauthenticated": 16,
}
# The same page, "HTTP to Error Code", for answers that state no code: they come from proxies or from another program.
# Beyond it: what a proxy says of itself (407, 408, 411), of sizes (413, 431) and of its own limits (429).
BY_STATUS = {
    400: 13,
    401: 16,
    403: 7,
    404: 12,
    405: 12,
    407: 16,
    408: 14,
    411: 12,
    413: 8,
    415: 12,
    429: 8,
    431: 8,
    499: 1,
    500: 13,
    501: 12,
}
COMPRESSED, LAST = 0b01, 0b10  # flags of an envelope
HEAD = struct.Struct(">BI")  # flags and length of an envelope
MAX_TIMEOUT_MS = 9_999_999_999  # ten digits
SHOWN_CHARACTERS = 200  # of a body that nobody expected
# Belong to HTTP or to the protocol, and would change what a request means.
_TAKEN = frozenset(
    {
        "accept",
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


def headers(codec: str, timeout: float, metadata: Metadata, *, stream: bool) -> dict[str, str]:
    """Answers the headers of a call; ConfigurationError names metadata that would be read as something else."""
    for key, _ in metadata:
        if key in _TAKEN or key.startswith("connect-"):
            raise ConfigurationError(f"metadata {key!r} means something to HTTP; choose another name")
    milliseconds = min(MAX_TIMEOUT_MS, max(1, math.ceil(timeout * 1000)))
    return {
        "User-Agent": "difyrpc-client",
        "Connect-Protocol-Version": "1",
        "Connect-Timeout-Ms": str(milliseconds),
        "Content-Type": content_type(codec, stream=stream),
        "Accept-Encoding": "identity" if stream else "gzip",
        **({"Connect-Accept-Encoding": "gzip"} if stream else {}),
        **dict(metadata),
    }


def content_type(codec: str, *, stream: bool) -> str:
    """Answers what the messages of a call are announced as."""
    return f"application/connect+{codec}" if stream else f"application/{codec}"


def envelope(message: bytes) -> bytes:
    """Wraps one message of a stream."""
    return HEAD.pack(0, len(message)) + message


def inflated(data: bytes, limit: int) -> bytes:
    """Unpacks gzip up to `limit` bytes; ResourceExhausted for more, DataLoss for what is no gzip."""
    unpacking = zlib.decompressobj(16 + zlib.MAX_WBITS)  # 16: with gzip's header
    try:
        plain = unpacking.decompress(data, limit + 1)
    except zlib.error as error:
        raise DataLoss("the answer says that it is gzip and is not") from error
    if len(plain) > limit:
        raise too_large(limit)
    if not unpacking.eof:
        raise DataLoss("the answer is gzip that ends too early")
    return plain


def too_large(limit: int) -> ResourceExhausted:
    """Answers the error of a message that is larger than what the client accepts."""
    return ResourceExhausted(
        f"the answer is larger than {limit} bytes; ask for less, or raise max_message_bytes",
        metadata={"max_message_bytes": str(limit)},
    )


def stated_error(text: bytes, request_id: str = "") -> DifyrpcError | None:
    """Answers the error that the JSON of a failed call states, None where it states none."""
    try:
        return error_of(json.loads(text), request_id)
    except (ValueError, RecursionError):
        return None


def end_of_stream(text: bytes, request_id: str = "") -> DifyrpcError | None:
    """Answers the error that the last envelope of a stream states, None where the stream ended well."""
    try:
        end = json.loads(text)
    except (ValueError, RecursionError):
        end = None
    if not isinstance(end, dict):
        return Unknown("the stream ended with something that is no end of a stream", request_id=request_id)
    if "error" not in end:
        return None
    stated = error_of(end["error"], request_id)
    return stated or Unknown("the stream ended with an error that has no known code", request_id=request_id)


def error_of(stated: Any, request_id: str) -> DifyrpcError | None:
    """Answers the error of a decoded JSON object, None where it has no known code."""
    name = stated.get("code") if isinstance(stated, dict) else None
    code = CODES.get(name) if isinstance(name, str) else None
    if code is None:
        return None
    message, details = stated.get("message"), stated.get("details")
    status = status_pb2.Status(details=_details(details if isinstance(details, list) else []))
    return from_status(code, message if isinstance(message, str) else "", status.SerializeToString(), request_id)


def _details(stated: list[Any]) -> list[any_pb2.Any]:
    found = []
    for detail in stated:
        kind, value = (detail.get("type"), detail.get("value")) if isinstance(detail, dict) else (None, None)
        if isinstance(kind, str) and isinstance(value, str):
            try:
                data = b64decode(value + "=" * (-len(value) % 4))
            except (binascii.Error, ValueError):
                continue
            found.append(any_pb2.Any(type_url=f"type.googleapis.com/{kind.rpartition('/')[2]}", value=data))
    return found


def answered_error(
    status: int, reason: str, answer: Message, body: bytes, *, where: str, request_id: str
) -> DifyrpcError:
    """Answers the error of a response that is not 200: the one that its body states, else what its status means.

    `where` says who was asked, for the message; `answer` are its headers.
    """
    stated = stated_error(body, request_id)
    error = stated or from_status(
        BY_STATUS.get(status, 14 if status >= 500 else 2),
        f"{where} answered {status} {reason}{_explanation(status, answer, body)}",
        request_id=request_id,
    )
    if error.retry_after is None:
        error.retry_after = retry_after(answer.get("retry-after", ""))
    return error


def _explanation(status: int, answer: Message, body: bytes) -> str:
    """Answers what a response says of itself beside its status, with what joins it to the sentence before."""
    if 300 <= status < 400:
        return f": it has moved to {answer.get('location', 'an address that it does not name')}; give that address"
    if found := answer.get("x-squid-error"):
        return f": a proxy says {found}"
    if "html" in answer.get("content-type", "html"):
        return ""
    text = " ".join(body[:SHOWN_CHARACTERS].decode("utf-8", "replace").split())
    return f": {text}" if text.isprintable() and text else ""


def retry_after(value: str) -> float | None:
    """Answers the seconds that a `Retry-After` asks for, None where it asks for none."""
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time()) if value else None
    except ValueError:
        return None
