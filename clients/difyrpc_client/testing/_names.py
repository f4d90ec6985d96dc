"""The names that tests give to calls."""

from __future__ import annotations

from functools import cache

from difyrpc.documents.v1 import documents_pb2
from difyrpc.files.v1 import files_pb2
from difyrpc.metrics.v1 import metrics_pb2
from difyrpc.vectors.v1 import vectors_pb2

CONTRACTS = (documents_pb2, files_pb2, metrics_pb2, vectors_pb2)


def call_name(name: str) -> str:
    """Answers `vectors.Search` for that, `vectors.search` and `VectorSearch.Search`; ValueError lists what there is."""
    found = _by_any_name().get(_plain(name))
    if found is None:
        raise ValueError(f"there is no call {name!r}; there are {', '.join(_choices(name))}")
    return found


def _choices(name: str) -> list[str]:
    names = sorted(set(_by_any_name().values()))
    near = [one for one in names if one.partition(".")[0] == name.partition(".")[0]]
    return near or names


@cache
def _by_any_name() -> dict[str, str]:
    names: dict[str, str] = {}
    for contract in CONTRACTS:
        package = contract.DESCRIPTOR.package.split(".")[1]
        for service in contract.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                for holder in (package, service.name):
                    names[_plain(f"{holder}.{method.name}")] = f"{package}.{method.name}"
    return names


def _plain(name: str) -> str:
    return name.replace("_", "").lower()
