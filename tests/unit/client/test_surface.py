"""What the package shows to its users."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import difyrpc_client
import difyrpc_client.testing
from difyrpc_client import (
    _calls,
    _client,
    _documents,
    _files,
    _files_async,
    _metrics,
    _sequenced,
    _vectors,
    _vectors_async,
)

TWINS = [
    (_client.Dify, _client.AsyncDify),
    (_documents.Documents, _documents.AsyncDocuments),
    (_files.Files, _files_async.AsyncFiles),
    (_metrics.Metrics, _metrics.AsyncMetrics),
    (_metrics.Writer, _metrics.AsyncWriter),
    (_vectors.Vectors, _vectors_async.AsyncVectors),
    (_sequenced.Line, _sequenced.AsyncLine),
    (_calls.Calls, _calls.AsyncCalls),
]
WIDER = {
    "upload": {"source"},
    "upsert": {"points"},
    "upsert_stream": {"points"},
    "with_options": {"token"},
    "stream": {"requests"},
}


@pytest.mark.parametrize("module", [difyrpc_client, difyrpc_client.testing])
def test_the_public_names_are_sorted_and_exist(module) -> None:
    assert module.__all__ == sorted(set(module.__all__), key=lambda name: (not name.isupper(), name[0].islower(), name))
    assert all(hasattr(module, name) for name in module.__all__)


def test_every_public_name_is_documented() -> None:
    undocumented = [
        name
        for name in difyrpc_client.__all__
        if not isinstance(getattr(difyrpc_client, name), difyrpc_client.Unchanged)
        and not inspect.getdoc(getattr(difyrpc_client, name))
    ]
    assert undocumented == []


@pytest.mark.parametrize(("sync", "asynchronous"), TWINS, ids=lambda kind: kind.__name__)
def test_twins_hold_the_same_methods_with_the_same_arguments(sync: type, asynchronous: type) -> None:
    assert _methods(sync).keys() == _methods(asynchronous).keys()
    for name, method in _methods(sync).items():
        ours, theirs = (inspect.signature(one).parameters for one in (method, _methods(asynchronous)[name]))
        assert list(ours) == list(theirs), name
        for parameter in ours.values():
            twin = theirs[parameter.name]
            assert (parameter.kind, parameter.default) == (twin.kind, twin.default), (name, parameter.name)
            if parameter.name not in WIDER.get(name, ()):
                assert parameter.annotation == twin.annotation, (name, parameter.name)


@pytest.mark.parametrize(("sync", "asynchronous"), TWINS[1:-1], ids=lambda kind: kind.__name__)
def test_twins_say_the_same(sync: type, asynchronous: type) -> None:
    for name, method in _methods(sync).items():
        assert inspect.getdoc(method) == inspect.getdoc(_methods(asynchronous)[name]), name


def test_connect_and_its_twin_take_the_same() -> None:
    ours, theirs = (inspect.signature(one).parameters for one in (_client.connect, _client.connect_async))
    assert list(ours) == list(theirs)
    assert {name: one.default for name, one in ours.items()} == {name: one.default for name, one in theirs.items()}


def test_no_protobuf_type_stands_in_a_public_signature() -> None:
    for sync, asynchronous in TWINS[:-1]:
        for method in [*_methods(sync).values(), *_methods(asynchronous).values()]:
            assert "pb" not in str(inspect.signature(method)), method


@pytest.mark.parametrize("module", ["difyrpc_client", "difyrpc_client.testing"])
def test_importing_does_not_import_grpc(module: str) -> None:
    code = f"import sys, {module}; sys.exit('grpc' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_package_says_that_it_is_typed() -> None:
    folder = difyrpc_client.__path__[0]
    assert inspect.getfile(difyrpc_client).startswith(folder)
    with open(f"{folder}/py.typed", encoding="utf-8") as file:
        assert file.read() == ""


def _methods(kind: type) -> dict[str, object]:
    return {name: value for name, value in vars(kind).items() if not name.startswith("_") and inspect.isfunction(value)}
