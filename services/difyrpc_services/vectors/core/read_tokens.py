"""Read tokens: what a write answers, so that a later read sees it.

The engines here show every acknowledged write to every later read, so a token has nothing to wait for; it is held to
its collection all the same, so that callers cannot come to rely on tokens that mean nothing.
"""

from __future__ import annotations

from difyrpc_services.runtime import pages
from difyrpc_services.runtime.errors import InvalidArgument
from difyrpc_services.vectors.core.values import Collection


def read_token(collection: Collection) -> str:
    """Makes the token of a write to a collection."""
    return pages.encode({"collection": collection.key}, ["read", collection.tenant])


def check_read_token(token: str, collection: Collection | None) -> None:
    """Refuses a token that does not come from this collection."""
    if token and (collection is None or token != read_token(collection)):
        raise InvalidArgument(
            "READ_TOKEN_INVALID",
            "the read token does not come from a write to this collection",
            field="read_token",
        )
