"""Core values as JSON for the database: typed, so that integers, numbers and times come back as they were."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from difyrpc_services.files.core.values import FileSpec, Metadata, Value


def pack_metadata(metadata: Metadata) -> dict[str, Any]:
    """Answers metadata as JSON values: `{"year": {"i": "2021"}}`."""
    return {key: _packed(value) for key, value in metadata.items()}


def unpack_metadata(packed: Mapping[str, Any]) -> dict[str, Value]:
    """Answers what `pack_metadata` packed."""
    return {key: _unpacked(value) for key, value in packed.items()}


def pack_spec(spec: FileSpec) -> dict[str, Any]:
    """Answers a spec as JSON values."""
    return {
        "display_name": spec.display_name,
        "media_type": spec.media_type,
        "size_bytes": spec.size_bytes,
        "sha256": spec.sha256,
        "metadata": pack_metadata(spec.metadata),
        "tags": list(spec.tags),
        "expire_time": spec.expire_time.isoformat() if spec.expire_time else None,
        "replace": spec.replace,
        "if_absent": spec.if_absent,
        "if_generation_match": spec.if_generation_match,
    }


def unpack_spec(packed: Mapping[str, Any]) -> FileSpec:
    """Answers what `pack_spec` packed."""
    values = dict(packed)
    values["metadata"] = unpack_metadata(values["metadata"])
    values["tags"] = tuple(values["tags"])
    if values["expire_time"]:
        values["expire_time"] = datetime.fromisoformat(values["expire_time"])
    return FileSpec(**values)


def _packed(value: Value) -> dict[str, Any]:
    match value:
        case None:
            return {"n": None}
        case bool():
            return {"b": value}
        case int():
            return {"i": str(value)}
        case float():
            return {"d": value}
        case datetime():
            return {"t": value.isoformat()}
        case tuple():
            return {"l": [_packed(item) for item in value]}
        case _:
            return {"s": value}


def _unpacked(packed: Mapping[str, Any]) -> Any:
    ((kind, value),) = packed.items()
    match kind:
        case "i":
            return int(value)
        case "d":
            return float(value)
        case "t":
            return datetime.fromisoformat(value)
        case "l":
            return tuple(_unpacked(item) for item in value)
        case _:
            return value
