"""Page tokens: an opaque text that says where the next page begins and which listing it belongs to.

A token is bound to what was asked (filter, order, tenant): used with another question it is refused instead
of answering a wrong page. A token holds no secret and grants nothing; the listing is done anew with every page.
"""

from __future__ import annotations

import binascii
import hashlib
import json
import math
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

from difyrpc_services.runtime.errors import InvalidArgument

BOUND_BYTES = 8  # of the hash over what the token is bound to
MAX_TOKEN = 4096  # characters; a position is a few short values

Scalar = str | int | float | bool | None


def encode(position: Mapping[str, Scalar], bound_to: Any) -> str:
    """Makes the token of the page that begins after `position`.

    `bound_to` is everything that must be the same with the next page, as values that JSON knows; what JSON
    does not know counts by its `str`.
    """
    text = json.dumps(dict(position), separators=(",", ":"), ensure_ascii=False)
    return urlsafe_b64encode(_fingerprint(bound_to) + text.encode()).decode().rstrip("=")


def decode(token: str, bound_to: Any, *, field: str = "page_token") -> dict[str, Any] | None:
    """Reads the position out of a token; None for the empty token, which is the first page.

    InvalidArgument `INVALID_PAGE_TOKEN` if this server never made such a token, `PAGE_TOKEN_MISMATCH` if it
    belongs to another listing.
    """
    if not token:
        return None
    raw = _raw(token, field)
    position = _position(raw[BOUND_BYTES:])
    if position is None:
        raise invalid_token(field)
    if raw[:BOUND_BYTES] != _fingerprint(bound_to):
        raise InvalidArgument(
            "PAGE_TOKEN_MISMATCH",
            "the page token belongs to a listing with another filter or order; begin again without a token",
            field=field,
        )
    return position


def invalid_token(field: str = "page_token") -> InvalidArgument:
    """Answers the error for a token whose position is not one that this listing makes."""
    return InvalidArgument(
        "INVALID_PAGE_TOKEN", "the page token is not one that this server made; begin again without one", field=field
    )


def _raw(token: str, field: str) -> bytes:
    if len(token) > MAX_TOKEN:
        raise invalid_token(field)
    try:
        return urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
    except (UnicodeEncodeError, binascii.Error, ValueError):
        raise invalid_token(field) from None


def _position(data: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or not all(_storable(value) for value in found.values()):
        return None
    return found


def _storable(value: Any) -> bool:
    """Answers whether a database can compare with it, whoever wrote the token."""
    if isinstance(value, str):
        return "\0" not in value and value.encode(errors="replace").decode() == value
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    return value is None or (isinstance(value, float) and math.isfinite(value))


def _fingerprint(bound_to: Any) -> bytes:
    text = json.dumps(bound_to, sort_keys=True, default=str, ensure_ascii=True)
    return hashlib.blake2s(text.encode(), digest_size=BOUND_BYTES).digest()
