"""Rules over names and values: each answers what is kept, or raises InvalidArgument naming the field."""

from __future__ import annotations

import json
import math
import mimetypes
import re
import secrets
import unicodedata
from collections.abc import Iterable
from datetime import datetime

from difyrpc_services.files.core.values import Changes, FileSpec, Metadata, Value
from difyrpc_services.runtime.errors import InvalidArgument

MAX_DISPLAY_NAME = 255  # characters; files.proto, FileSpec.display_name
MAX_TAGS, MAX_TAG = 64, 128  # tags and characters; files.proto, File.tags
MAX_ENTRIES, MAX_KEY, MAX_METADATA_BYTES = 64, 128, 16 * 1024  # files.proto, File.metadata
MAX_LIST = 1000  # value.proto, ListValue.values
DEFAULT_MEDIA_TYPE = "application/octet-stream"
MUTABLE = frozenset({"display_name", "media_type", "metadata", "tags", "expire_time"})

# Characters that cannot be seen or turn the direction of text: a name must look like what it is. The joiners
# U+200C and U+200D stay, since Persian and emoji need them.
DECEPTIVE = frozenset("\u00ad\u061c\u200b\u200e\u200f\u2028\u2029\u2060\ufeff") | {
    chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
}
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_WORD = r"[A-Za-z0-9!#$&^_.+-]{1,127}"
_MEDIA_TYPE = re.compile(rf"{_WORD}/{_WORD}(\s*;[\x20-\x7e]*)?")
_GUESSES = mimetypes.MimeTypes(filenames=())  # the built-in table, the same on every machine


def new_file_id(now: datetime) -> str:
    """Makes an id that sorts by time, so that new rows lie together in an index."""
    return f"{int(now.timestamp() * 1000):012x}{secrets.token_hex(10)}"


def new_upload_id() -> str:
    """Makes an id that cannot be guessed."""
    return secrets.token_hex(24)


def new_key() -> str:
    """Makes the key of bytes in the store."""
    return secrets.token_hex(16)


def resource_id(name: str, kind: str, field: str) -> str:
    """Answers the id in `files/{id}` or `uploads/{id}`."""
    folder, _, found = name.partition("/")
    if folder == kind and _ID.fullmatch(found):
        return found
    raise InvalidArgument("INVALID_NAME", "{name} is not a name of the form {form}", field=field, name=_shown(name),
                          form=f"{kind}/{{id}}")  # fmt: skip


def checked_spec(spec: FileSpec, now: datetime, max_bytes: int) -> FileSpec:
    """Answers the spec as it is kept."""
    _check_conditions(spec)
    if spec.size_bytes is not None:
        check_size(spec.size_bytes, max_bytes, "spec.size_bytes")
    name = spec.display_name
    return FileSpec(
        display_name=display_name(name, "spec.display_name") if name or not spec.replace else "",
        media_type=media_type(spec.media_type, "spec.media_type"),
        size_bytes=spec.size_bytes,
        sha256=sha256(spec.sha256, "spec.sha256"),
        metadata=metadata(spec.metadata, "spec.metadata"),
        tags=tags(spec.tags, "spec.tags"),
        expire_time=expiry(spec.expire_time, now, "spec.expire_time"),
        replace=spec.replace,
        if_absent=spec.if_absent,
        if_generation_match=spec.if_generation_match,
    )


def checked_changes(changes: Changes, now: datetime) -> Changes:
    """Answers the changes as they are kept."""
    unknown = sorted(changes.fields - MUTABLE)
    if unknown or not changes.fields:
        raise InvalidArgument(
            "UPDATE_MASK_INVALID", "update_mask names {found}; it may name {known}", field="update_mask",
            found=_shown(", ".join(unknown)) or "nothing", known=", ".join(sorted(MUTABLE)),
        )  # fmt: skip
    named = "display_name" in changes.fields
    return Changes(
        fields=changes.fields,
        display_name=display_name(changes.display_name, "file.display_name") if named else "",
        media_type=media_type(changes.media_type, "file.media_type"),
        metadata=metadata(changes.metadata, "file.metadata"),
        tags=tags(changes.tags, "file.tags"),
        expire_time=expiry(changes.expire_time, now, "file.expire_time"),
    )


def display_name(text: str, field: str) -> str:
    """Answers the name in Unicode NFC."""
    name = unicodedata.normalize("NFC", text)
    wrong = _name_fault(name)
    if wrong:
        raise InvalidArgument("INVALID_DISPLAY_NAME", "the display name {fault}", field=field, fault=wrong)
    return name


def _name_fault(name: str) -> str:
    if not 1 <= len(name) <= MAX_DISPLAY_NAME:
        return f"has {len(name)} characters; 1 to {MAX_DISPLAY_NAME} are allowed"
    if any(unicodedata.category(char) in {"Cc", "Cs"} or char in DECEPTIVE for char in name):
        return "holds control characters or characters that cannot be seen"
    if "\\" in name or any(part.strip() in {"", ".", ".."} for part in name.split("/")):
        return "looks like a path: no backslash, no slash at an end, no empty, . or .. parts"
    return "" if name == name.strip() else "begins or ends with white space"


def plain(text: str, field: str, most: int) -> str:
    """Answers a short text without NUL, or refuses it."""
    if len(text) > most or "\0" in text:
        raise InvalidArgument("INVALID_TEXT", "a text has NUL or more than {most} characters", field=field, most=most)
    return text


def media_type(text: str, field: str) -> str:
    """Answers the media type; empty stays empty."""
    if text and (len(text) > 255 or not _MEDIA_TYPE.fullmatch(text)):
        raise InvalidArgument(
            "INVALID_MEDIA_TYPE", "{value} is not a media type such as application/pdf", field=field, value=_shown(text)
        )
    return text


def guessed_media_type(name: str) -> str:
    """Answers the media type by the ending of a name."""
    return _GUESSES.guess_type("x" + name.rpartition("/")[2])[0] or DEFAULT_MEDIA_TYPE


def sha256(text: str, field: str) -> str:
    """Answers the digest in small letters; empty stays empty."""
    if text and not _SHA256.fullmatch(text):
        raise InvalidArgument("INVALID_SHA256", "a sha256 has 64 hexadecimal digits", field=field)
    return text.lower()


def check_size(size: int, max_bytes: int, field: str) -> None:
    """Refuses sizes that cannot be."""
    if size < 0:
        raise InvalidArgument("INVALID_SIZE", "{size_bytes} bytes cannot be", field=field, size_bytes=size)
    if size > max_bytes:
        raise InvalidArgument(
            "FILE_TOO_LARGE", "{size_bytes} bytes are more than the {max_file_bytes} that a file may have",
            field=field, size_bytes=size, max_file_bytes=max_bytes,
        )  # fmt: skip


def tags(found: Iterable[str], field: str) -> tuple[str, ...]:
    """Answers the tags sorted, each once."""
    kept = tuple(sorted(set(found)))
    for tag in kept:
        if not 1 <= len(tag) <= MAX_TAG or any(unicodedata.category(char) in {"Cc", "Cs"} for char in tag):
            raise InvalidArgument(
                "INVALID_TAG", "a tag has 1 to {most} characters, none of them a control character", field=field,
                most=MAX_TAG,
            )  # fmt: skip
    if len(kept) > MAX_TAGS:
        raise InvalidArgument(
            "TOO_MANY_TAGS", "{count} tags are more than {most}", field=field, count=len(kept), most=MAX_TAGS
        )
    return kept


def metadata(found: Metadata, field: str) -> Metadata:
    """Answers the metadata if it is within its limits."""
    for key, value in found.items():
        where = f"{field}[{_shown(key)}]"
        if not 1 <= len(key) <= MAX_KEY or "\0" in key:
            raise _metadata_error(where, f"a key has 1 to {MAX_KEY} characters without NUL")
        _check_value(value, where)
    if len(found) > MAX_ENTRIES:
        raise _metadata_error(field, f"{len(found)} entries are more than {MAX_ENTRIES}")
    size = len(json.dumps(found, default=str, ensure_ascii=False).encode(errors="replace"))
    if size > MAX_METADATA_BYTES:
        raise _metadata_error(field, f"{size} bytes are more than {MAX_METADATA_BYTES}")
    return found


def _check_value(value: Value, where: str) -> None:
    if isinstance(value, tuple):
        if len(value) > MAX_LIST:
            raise _metadata_error(where, f"{len(value)} values are more than {MAX_LIST}")
        for item in value:
            _check_value(item, where)
    elif isinstance(value, str) and "\0" in value:
        raise _metadata_error(where, "text must not hold NUL")
    elif isinstance(value, float) and not math.isfinite(value):
        raise _metadata_error(where, "a number must be finite")


def expiry(time: datetime | None, now: datetime, field: str) -> datetime | None:
    """Answers the time if it is to come."""
    if time is not None and time <= now:
        raise InvalidArgument("INVALID_EXPIRY", "{time} is past", field=field, time=time.isoformat())
    return time


def _check_conditions(spec: FileSpec) -> None:
    if spec.replace and spec.if_absent:
        raise InvalidArgument(
            "CONDITIONS_CONTRADICT", "if_absent cannot hold for a file that is replaced", field="spec.if_absent"
        )
    if spec.if_generation_match is not None and not spec.replace:
        raise InvalidArgument(
            "CONDITIONS_CONTRADICT", "if_generation_match needs a file to replace", field="spec.if_generation_match"
        )


def _metadata_error(field: str, fault: str) -> InvalidArgument:
    return InvalidArgument("INVALID_METADATA", "metadata: {fault}", field=field, fault=fault)


def _shown(text: str) -> str:
    """Cuts and cleans a caller's text so that an error can carry it."""
    return "".join(char if char.isprintable() else "?" for char in text[:80])
