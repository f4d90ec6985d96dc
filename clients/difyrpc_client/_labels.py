"""What calls carry beside their message: labels, ids and tokens, in what a header can hold."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote

from difyrpc_client._errors import ConfigurationError

NAMED = {"app": "x-difyrpc-app", "user": "x-difyrpc-user"}  # the server decodes their percent signs
PLAIN = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")  # what stands for itself in them
_KEY = re.compile(r"[0-9a-z_.-]+")

Labels = tuple[tuple[str, str], ...]


def labels(app: str | None, user: str | None, metadata: Mapping[str, str] | None) -> Labels:
    """Answers the metadata that all calls share; ConfigurationError names what no header can hold."""
    named = {NAMED[name]: _quoted(name, text) for name, text in (("app", app), ("user", user)) if text}
    return tuple({**named, **_own(metadata)}.items())


def checked_value(name: str, value: str) -> str:
    """Answers a value that a header can hold; ConfigurationError names the argument and never shows the value."""
    if not isinstance(value, str):
        raise ConfigurationError(f"{name} is of type {type(value).__name__}; give text")
    if not value.isascii() or not value.isprintable():
        raise ConfigurationError(f"{name} holds characters that no header can; give printable ASCII")
    return value


def bearer(token: str) -> str:
    """Answers the value of `authorization`; ConfigurationError for a token that no header can hold."""
    if not isinstance(token, str):
        raise ConfigurationError(f"the token is of type {type(token).__name__}; give text, or what answers text")
    if not token or not token.isascii() or not token.isprintable():
        raise ConfigurationError("the token is empty or holds characters that a header cannot; it is not shown here")
    return f"Bearer {token}"


def _quoted(name: str, text: str) -> str:
    if not isinstance(text, str):
        raise ConfigurationError(f"{name}={text!r} is of type {type(text).__name__}; give text")
    try:
        return quote(text, safe=PLAIN)
    except UnicodeEncodeError:
        raise ConfigurationError(f"{name}={text!r} holds half a surrogate pair; give whole characters") from None


def _own(metadata: Mapping[str, str] | None) -> dict[str, str]:
    if metadata is not None and not isinstance(metadata, Mapping):
        raise ConfigurationError(f"metadata is of type {type(metadata).__name__}; give a mapping of text to text")
    return {_key(key): checked_value(f"metadata[{key!r}]", value) for key, value in (metadata or {}).items() if value}


def _key(key: object) -> str:
    lower = key.lower() if isinstance(key, str) else ""
    if not _KEY.fullmatch(lower) or lower.startswith("grpc-") or lower.endswith("-bin"):
        raise ConfigurationError(
            f"metadata[{key!r}] is no key that can be sent; give letters, digits, `-`, `_` and `.`, "
            "without grpc- in front and without -bin at the end"
        )
    return lower
