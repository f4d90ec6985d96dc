"""API keys: what they are, and where they are kept."""

from __future__ import annotations

from difyrpc_services.runtime.keys._stores import DatabaseKeys, KeyStore, MemoryKeys
from difyrpc_services.runtime.keys._tokens import (
    Key,
    Now,
    allows,
    check_scopes,
    check_tenant,
    make_token,
    opens,
    parse_token,
    utc_now,
)

__all__ = [
    "DatabaseKeys",
    "Key",
    "KeyStore",
    "MemoryKeys",
    "Now",
    "allows",
    "check_scopes",
    "check_tenant",
    "make_token",
    "opens",
    "parse_token",
    "utc_now",
]
