"""Calls every public method of the client that it finds: `python story.py sync|async|look TARGET TOKEN FOLDER`.

Runs with the client of either release, so it keeps to what the last one has. Prints what it called, as JSON.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import difyrpc
import difyrpc_client
from difyrpc_client import (
    NotFound,
    Observation,
    ParseSummary,
    Query,
    SearchResult,
    Unauthenticated,
    connect,
    connect_async,
    field,
)

SERVICES = ("documents", "files", "metrics", "vectors")
CONTRACT = "Article 1. Delivery\nThe seller delivers within thirty days.\n\nArticle 2. Price\nThe buyer pays in time.\n"
PDF = Path(__file__).parents[2] / "examples/contracts/supply-agreement.pdf"
CONTENT = bytes(range(256)) * 8192 + b"end"  # 2 MB and a little, so that it takes several messages
KEPT = "kept for the next release"
Run = Callable[[Any], Any]


class Blocking:
    """A client of either kind whose methods block; notes what is called."""

    def __init__(self, inner: Any, run: Run, called: set[str], name: str = "") -> None:
        self._inner, self._run, self._called, self._name = inner, run, called, name

    def __getattr__(self, name: str) -> Any:
        found, path = getattr(self._inner, name), f"{self._name}.{name}".lstrip(".")
        if not inspect.isroutine(found):
            return Blocking(found, self._run, self._called, path)

        def call(*given: Any, **named: Any) -> Any:
            self._called.add(path)
            answer = self._run(found(*given, **named))
            return Blocking(answer, self._run, self._called, path) if "Writer" in type(answer).__name__ else answer

        return call


def waiting(runner: asyncio.Runner) -> Run:
    """Answers what turns the answers of the asynchronous client into those of the other."""

    def run(answer: Any) -> Any:
        if inspect.isawaitable(answer):
            return runner.run(_awaited(answer))
        return runner.run(_listed(answer)) if hasattr(answer, "__aiter__") else answer

    return run


async def _awaited(answer: Any) -> Any:
    return await answer


async def _listed(answers: Any) -> list[Any]:
    return [answer async for answer in answers]


def public_methods(dify: Any) -> set[str]:
    """Answers the names of all methods of the services, `files.upload`."""
    return {
        f"{service}.{name}"
        for service in SERVICES
        for name, _ in inspect.getmembers(type(getattr(dify, service)), inspect.isroutine)
        if not name.startswith("_")
    }


def files(dify: Any, folder: Path) -> None:
    stored = dify.files.upload(CONTENT, name="story/a.bin", tags=["story"], metadata={"year": 2021})
    assert dify.files.read(stored) == CONTENT
    assert dify.files.read(stored, offset=-3) == b"end"
    assert b"".join(dify.files.iter_bytes(stored, limit=1000)) == CONTENT[:1000]
    assert dify.files.download(stored, folder / "a.bin") == stored
    assert (folder / "a.bin").read_bytes() == CONTENT
    changed = dify.files.update(stored, display_name="story/b.bin", etag=stored.etag)
    assert dify.files.get(stored.name) == changed
    copy = dify.files.copy(changed, name="story/c.bin")
    assert [file.display_name for file in dify.files.list(prefix="story/", page_size=1)] == [
        "story/b.bin",
        "story/c.bin",
    ]
    for file in (changed, copy):
        dify.files.delete(file)
    assert refusal(NotFound, dify.files.get, copy) == ("FILE_NOT_FOUND", {"name": copy.name})
    assert dify.files.quota().used_bytes >= 0


def documents(dify: Any, folder: Path) -> None:
    parsed = dify.documents.parse(CONTRACT.encode(), name="contract.txt")
    assert [clause.normal_number for clause in parsed.clauses] == ["1", "2"]
    parts = list(dify.documents.parse_stream(PDF, outputs=["text"]))
    assert isinstance(parts[-1], ParseSummary)
    assert dify.documents.render_page(PDF, 1, dpi=36).image.startswith(b"\x89PNG")
    assert "thirty days" in dify.documents.split_text(CONTRACT)[0].text
    assert {"text", "pdf"} <= {one.name for one in dify.documents.list_formats()}


def vectors(dify: Any, folder: Path) -> None:
    assert dify.vectors.list_engines().engines
    made = dify.vectors.create_collection("story", metadata={"a": 1})
    assert dify.vectors.update_collection("story", description="law", etag=made.etag).description == "law"
    assert dify.vectors.get_collection("story").metadata == {"a": 1}
    assert "collections/story" in [one.name for one in dify.vectors.list_collections()]
    points = [("case-1", "Late delivery of goods.", {"year": 2021}), ("case-2", "The price is due.", {"year": 2018})]
    token = dify.vectors.upsert("story", points).read_token
    found = dify.vectors.search("story", "goods that come too late", limit=1, read_token=token)
    assert [hit.id for hit in found] == ["case-1"]
    outcomes = dify.vectors.batch_search("story", ["price", Query(query="delivery", limit=1)])
    assert [len(one) for one in outcomes if isinstance(one, SearchResult)] == [2, 1]
    assert dify.vectors.update_metadata("story", ids=["case-1"], set={"m": "x"}, remove=["year"]) == 1
    assert dify.vectors.get("story", ["case-1"])[0].metadata == {"m": "x"}
    assert [point.id for point in dify.vectors.scroll("story", page_size=1)] == ["case-1", "case-2"]
    assert dify.vectors.delete("story", filter=field("year") < 2020) == 1
    assert dify.vectors.count("story") == 1
    embedded = dify.vectors.embed(["late delivery"], purpose="query")
    assert len(embedded.vectors[0]) == embedded.dimension
    dify.vectors.delete_collection("story")


def metrics(dify: Any, folder: Path) -> None:
    app = folder.name  # of its own, since a story may be told twice to one server
    writer = dify.metrics.writer()
    for number in range(1, 101):
        writer.add(Observation(app=app, model="m", input_tokens=number, seconds=number / 100))
    writer.close()
    assert dify.metrics.record(Observation(app=app, model="other", status="error")).committed_sequence == 1
    report = dify.metrics.query_usage(group_by=["model"], where={"app": app})
    assert {series.labels[0]: series.total.calls for series in report.series} == {"m": 100, "other": 1}


def keep(dify: Any) -> None:
    """Leaves something for the next release."""
    dify.files.upload(KEPT.encode(), name="kept.txt", metadata={"since": "before"})
    dify.vectors.create_collection("kept", exist_ok=True)
    dify.vectors.upsert("kept", [("case-1", KEPT, {"n": 1})])
    dify.metrics.record(Observation(app="kept", model="m", input_tokens=7))


def look(dify: Any) -> None:
    """Finds what was left."""
    kept = next(file for file in dify.files.list(prefix="kept.txt"))
    assert (dify.files.read(kept), kept.metadata) == (KEPT.encode(), {"since": "before"})
    assert [(hit.id, hit.metadata) for hit in dify.vectors.search("kept", KEPT)] == [("case-1", {"n": 1})]
    total = dify.metrics.query_usage(where={"app": "kept"}).total
    assert (total.calls, total.tokens.input) == (1, 7)


def refusal(kind: type[Exception], call: Callable[..., Any], *given: Any) -> tuple[str, dict[str, str]]:
    """Answers the reason of the error that a call must end with, and what it says of it."""
    try:
        call(*given)
    except kind as error:
        return error.reason, dict(error.metadata)  # type: ignore[attr-defined]
    raise AssertionError(f"{call} was not refused")


def tell(dify: Any, target: str, folder: Path) -> None:
    for chapter in (files, documents, vectors, metrics):
        chapter(dify, folder)
    with connect(target, token="difyrpc_aaaaaaaaaaaa_wrong") as stranger:
        refusal(Unauthenticated, stranger.files.quota)


def main() -> None:
    what, target, token, folder = sys.argv[1:]
    called: set[str] = set()
    with ExitStack() as stack:
        if what == "async":
            runner = stack.enter_context(asyncio.Runner())
            inner: Any = runner.run(_opened(target, token))
            stack.callback(lambda: runner.run(inner.close()))
            dify = Blocking(inner, waiting(runner), called)
        else:
            inner = stack.enter_context(connect(target, token=token))
            dify = Blocking(inner, lambda answer: answer, called)
        acts = {"keep": keep, "look": look}
        acts[what](dify) if what in acts else tell(dify, target, Path(folder))
        modules = [difyrpc_client.__file__, str(difyrpc.__path__[0])]
        methods = public_methods(inner)
    print(json.dumps({"called": sorted(called & methods), "methods": sorted(methods), "modules": modules}))


async def _opened(target: str, token: str) -> Any:
    return connect_async(target, token=token)


if __name__ == "__main__":
    main()
