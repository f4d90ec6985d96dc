"""The client against every real service."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from difyrpc.files.v1 import files_pb2, files_pb2_grpc
from difyrpc_client import (
    Aborted,
    AlreadyExists,
    AsyncDify,
    Dify,
    DifyrpcError,
    File,
    InvalidArgument,
    NotFound,
    Observation,
    OutOfRange,
    ParseSummary,
    Query,
    SearchResult,
    Unauthenticated,
    channel,
    connect,
    connect_async,
    field,
)
from difyrpc_client.testing import FakeDifyrpc

MB = 1024 * 1024
CONTRACT = """\
SUPPLY AGREEMENT

Article 1. Delivery
The seller delivers the goods within thirty days. Late delivery makes the seller liable.

Article 2. Price
The buyer pays the price within ten days of the invoice.
"""


@pytest.fixture
async def dify(house_server) -> AsyncIterator[AsyncDify]:
    async with connect_async(house_server.target) as client:
        yield client


@pytest.fixture
def blocking(house_server) -> Callable[..., Any]:
    """Runs a function with a synchronous client in a thread, beside the server's loop."""

    async def run(work: Callable[[Dify], Any]) -> Any:
        def inside() -> Any:
            with connect(house_server.target) as client:
                return work(client)

        return await asyncio.to_thread(inside)

    return run


async def test_a_file_goes_up_and_comes_back_with_the_synchronous_client(blocking, tmp_path: Path) -> None:
    content = os.urandom(5 * MB + 3)
    source, target = tmp_path / "contract.bin", tmp_path / "copy.bin"
    source.write_bytes(content)
    told: list[tuple[int, int]] = []

    def work(dify: Dify) -> None:
        file = dify.files.upload(source, tags=["law"], metadata={"year": 2021}, progress=lambda *now: told.append(now))
        assert (file.display_name, file.size_bytes, file.metadata) == ("contract.bin", len(content), {"year": 2021})
        assert dify.files.download(file, target) == file
        assert dify.files.read(file, offset=-10, limit=4) == content[-10:-6]
        assert dify.files.get(file.name) == file

    await blocking(work)
    assert target.read_bytes() == content
    assert told[-1] == (len(content), len(content))


async def test_files_are_listed_changed_copied_and_deleted(dify: AsyncDify) -> None:
    for name in ("b/2", "a/1", "a/2"):
        await dify.files.upload(name.encode(), name=name)
    listed = [file async for file in dify.files.list(prefix="a/", page_size=1)]
    assert [file.display_name for file in listed] == ["a/1", "a/2"]
    changed = await dify.files.update(listed[0], display_name="c/1", metadata={"n": 1.5}, etag=listed[0].etag)
    assert (changed.display_name, changed.metadata) == ("c/1", {"n": 1.5})
    copy = await dify.files.copy(changed, name="c/2")
    assert await dify.files.read(copy) == b"a/1"
    await dify.files.delete(copy)
    with pytest.raises(NotFound) as caught:
        await dify.files.get(copy)
    assert (caught.value.reason, caught.value.metadata["name"]) == ("FILE_NOT_FOUND", copy.name)
    assert (await dify.files.quota()).used_bytes == 9


async def test_an_empty_file_and_a_range_past_the_end(dify: AsyncDify) -> None:
    file = await dify.files.upload(b"", name="empty")
    assert await dify.files.read(file) == b""
    with pytest.raises(OutOfRange):
        await dify.files.read(file, offset=1)


async def test_a_refused_name_says_which_field(dify: AsyncDify) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await dify.files.upload(b"x", name="a\\b")
    assert caught.value.field_violations[0].field.startswith("spec")
    assert caught.value.request_id


async def test_a_contract_is_parsed_from_bytes_from_a_file_and_as_a_stream(dify: AsyncDify) -> None:
    parsed = await dify.documents.parse(CONTRACT.encode(), name="contract.txt")
    assert [clause.normal_number for clause in parsed.clauses if clause.kind == "article"] == ["1", "2"]
    assert "Late delivery" in parsed.text
    file = await dify.files.upload(CONTRACT.encode(), name="contract.txt")
    stored = await dify.documents.parse(file)
    assert [clause.text for clause in stored.clauses] == [clause.text for clause in parsed.clauses]
    parts = [part async for part in dify.documents.parse_stream(CONTRACT.encode(), name="contract.txt")]
    assert isinstance(parts[-1], ParseSummary)
    assert "text" in {format_.name for format_ in await dify.documents.list_formats()}


async def test_a_long_document_travels_as_a_stream(dify: AsyncDify) -> None:
    content = ("The seller delivers the goods. " * 40 + "\n\n").encode() * 3000
    parsed = await dify.documents.parse(content, name="long.txt", outputs=["text"])
    assert parsed.info.content_bytes == len(content)
    assert parsed.text.count("delivers") == 120_000


async def test_precedents_are_found_by_meaning_and_by_filter(dify: AsyncDify) -> None:
    await dify.vectors.create_collection("precedents", exist_ok=True)
    await dify.vectors.create_collection("precedents", exist_ok=True)
    with pytest.raises(AlreadyExists):
        await dify.vectors.create_collection("precedents")
    points = [
        ("case-1", "The seller is liable for late delivery.", {"year": 2021, "topic": "delivery"}),
        ("case-2", "The buyer must pay the price in time.", {"year": 2018, "topic": "payment"}),
        ("case-3", "卖方迟延交付货物的，应当承担违约责任。", {"year": 2023, "topic": "delivery"}),
    ]
    stored = await dify.vectors.upsert("precedents", points)
    assert stored.count == 3
    found = await dify.vectors.search("precedents", "late delivery of goods", limit=2, read_token=stored.read_token)
    assert found[0].case_id == "case-1"
    assert found[0].metadata["year"] == 2021
    recent = (field("year") >= 2020) & field("topic").is_in(["delivery"])
    filtered = await dify.vectors.search("precedents", "price", filter=recent)
    assert {hit.id for hit in filtered} == {"case-1", "case-3"}
    by_vector = await dify.vectors.get("precedents", ["case-2"], with_vectors=True)
    again = await dify.vectors.search("precedents", vector=by_vector[0].vector, limit=1)
    assert again[0].id == "case-2"
    outcomes = await dify.vectors.batch_search("precedents", ["price", Query(query="delivery", limit=1)])
    assert [len(one) for one in outcomes if isinstance(one, SearchResult)] == [3, 1]


async def test_points_are_counted_listed_changed_and_deleted(blocking) -> None:
    def work(dify: Dify) -> None:
        dify.vectors.upsert("default", [(f"p{number:04}", f"text {number}", {"n": number}) for number in range(30)])
        assert dify.vectors.count("default", filter=field("n") >= 20) == 10
        assert [point.id for point in dify.vectors.scroll("default", page_size=7)] == [f"p{n:04}" for n in range(30)]
        assert dify.vectors.update_metadata("default", ids=["p0001"], set={"m": "x"}, remove=["n"]) == 1
        assert dify.vectors.get("default", ["p0001"])[0].metadata == {"m": "x"}
        assert dify.vectors.delete("default", filter=field("n").exists()) == 29
        assert dify.vectors.count("default") == 1
        embedded = dify.vectors.embed(["late delivery"], purpose="query")
        assert len(embedded.vectors[0]) == embedded.dimension
        names = [collection.name for collection in dify.vectors.list_collections()]
        assert names == ["collections/default"]
        dify.vectors.delete_collection("default")
        dify.vectors.delete_collection("default", allow_missing=True)

    await blocking(work)


async def test_usage_is_recorded_once_and_summed(blocking) -> None:
    def work(dify: Dify) -> None:
        with dify.metrics.writer() as writer:
            for number in range(1, 1001):
                writer.add(Observation(app="crm", model="m", input_tokens=number, seconds=number / 1000))
        recorded = dify.metrics.record(Observation(app="crm", model="other", status="error", error_type="timeout"))
        assert recorded.committed_sequence == 1
        report = dify.metrics.query_usage(group_by=["model"], where={"app": "crm"}, percentiles=[50])
        calls = {series.labels[0]: series.total.calls for series in report.series}
        assert calls == {"m": 1000, "other": 1}
        first = next(series.total for series in report.series if series.labels == ("m",))
        assert first.tokens is not None
        assert first.tokens.input == 500_500
        assert first.duration is not None
        assert first.duration.percentiles[0].seconds == pytest.approx(0.5, rel=0.06)

    await blocking(work)


async def test_generated_stubs_work_over_the_pooled_channel(house_server) -> None:
    stub = files_pb2_grpc.FileStorageStub(channel(house_server.target))
    answer = await asyncio.to_thread(stub.ListFiles, files_pb2.ListFilesRequest(), timeout=10)
    assert list(answer.files) == []


async def test_a_token_opens_its_own_tenant_alone(tenants_server) -> None:
    tokens = tenants_server.tokens
    async with (
        connect_async(tenants_server.target, token=tokens["a"]) as one,
        connect_async(tenants_server.target, token=lambda: tokens["b"]) as other,
        connect_async(tenants_server.target) as nobody,
    ):
        file = await one.files.upload(b"mine", name="x")
        assert await one.files.read(file) == b"mine"
        with pytest.raises(NotFound):
            await other.files.get(file)
        with pytest.raises(Unauthenticated):
            await nobody.files.get(file)


async def test_a_cancelled_upload_gives_its_quota_back(dify: AsyncDify) -> None:
    began = asyncio.Event()
    task = asyncio.create_task(
        dify.files.upload(os.urandom(40 * MB), name="x", progress=lambda done, _: began.set() if done else None)
    )
    await asyncio.wait_for(began.wait(), 30)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await dify.files.quota()).reserved_bytes == 0


async def test_a_collection_is_changed_and_engines_are_listed(dify: AsyncDify) -> None:
    offered = await dify.vectors.list_engines()
    assert offered.engines[0].is_default
    assert "dense" in offered.engines[0].features
    assert "cosine" in offered.engines[0].metrics
    made = await dify.vectors.create_collection("changed", metadata={"a": 1})
    assert made.dimension == offered.models[0].dimension
    changed = await dify.vectors.update_collection("changed", description="law", etag=made.etag)
    assert (changed.description, changed.metadata) == ("law", {"a": 1})
    with pytest.raises(Aborted):
        await dify.vectors.update_collection("changed", metadata=None, etag=made.etag)


Mistake = Callable[[AsyncDify, File], Awaitable[object]]
MISTAKES: dict[str, Mistake] = {
    "no file": lambda dify, file: dify.files.get("files/none"),
    "no content": lambda dify, file: dify.documents.parse(b""),
    "past the end": lambda dify, file: dify.files.read(file, offset=9),
    "other generation": lambda dify, file: dify.files.read(file, if_generation_match=7),
    "file exists": lambda dify, file: dify.files.upload(b"x", name=file.display_name, if_absent=True),
    "no upload": lambda dify, file: dify.files.upload(b"x", resume="uploads/none"),
    "file changed": lambda dify, file: dify.files.update(file, media_type="a/b", etag="other"),
    "no collection": lambda dify, file: dify.vectors.search("none", "x"),
    "no collection to delete": lambda dify, file: dify.vectors.delete_collection("none"),
    "collection exists": lambda dify, file: dify.vectors.create_collection("there"),
    "collection changed": lambda dify, file: dify.vectors.update_collection("there", description="x", etag="other"),
    "no hits": lambda dify, file: dify.vectors.search("there", "x", limit=0),
    "too many hits": lambda dify, file: dify.vectors.search("there", "x", limit=1001),
}


@pytest.mark.parametrize("mistake", MISTAKES)
async def test_the_fake_errs_as_a_deployment_does(dify: AsyncDify, mistake: str) -> None:
    seen = [await _error(client, MISTAKES[mistake]) for client in (dify, FakeDifyrpc().asynchronous)]
    assert seen[0] == seen[1]


async def _error(dify: AsyncDify, mistake: Mistake) -> tuple[object, ...]:
    """Answers what a caller sees of the error; what differs from file to file is named alike."""
    file = await dify.files.upload(b"x", name="x")
    await dify.vectors.create_collection("there")
    with pytest.raises(DifyrpcError) as caught:
        await mistake(dify, file)
    error = caught.value
    same = {file.name: "files/1", file.etag: "etag"}
    message = error.message.replace(file.name, "files/1").replace(f"is {file.etag}", "is etag")
    metadata = {name: same.get(value, value) for name, value in error.metadata.items()}
    return type(error), error.reason, message, metadata, [one.field for one in error.field_violations]
