"""The client over HTTP against every real service, through a Connect endpoint."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from connect_endpoint import ConnectEndpoint, connect_endpoint

from difyrpc_client import (
    Dify,
    InvalidArgument,
    NotFound,
    Observation,
    OutOfRange,
    ParseSummary,
    Query,
    SearchResult,
    Unauthenticated,
    connect,
    field,
)

MB = 1024 * 1024
CONTRACT = """\
SUPPLY AGREEMENT

Article 1. Delivery
The seller delivers the goods within thirty days. Late delivery makes the seller liable.

Article 2. Price
The buyer pays the price within ten days of the invoice.
"""
Run = Callable[..., Awaitable[Any]]


@pytest.fixture
async def gateway(house_server) -> AsyncIterator[tuple[str, ConnectEndpoint]]:
    async with connect_endpoint(house_server.target, prefix="/rpc") as served:
        yield served


@pytest.fixture(params=["proto", "json"])
def blocking(gateway, request) -> Run:
    """Runs a function with a client in a thread, beside the server's loop."""

    async def run(work: Callable[[Dify], Any]) -> Any:
        def inside() -> Any:
            with connect(gateway[0], env={"DIFYRPC_HTTP_CODEC": request.param}) as client:
                return work(client)

        return await asyncio.to_thread(inside)

    return run


async def test_a_file_goes_up_and_comes_back(blocking: Run, tmp_path: Path) -> None:
    content = os.urandom(5 * MB + 3)
    source, target = tmp_path / "contract.bin", tmp_path / "copy.bin"
    source.write_bytes(content)
    told: list[tuple[int, int]] = []

    def work(dify: Dify) -> None:
        file = dify.files.upload(source, tags=["law"], metadata={"year": 2021}, progress=lambda *now: told.append(now))
        assert (file.display_name, file.size_bytes, file.metadata) == ("contract.bin", len(content), {"year": 2021})
        assert dify.files.download(file, target) == file
        assert dify.files.read(file, offset=-10, limit=4) == content[-10:-6]
        assert [each.name for each in dify.files.list()] == [file.name]

    await blocking(work)
    assert target.read_bytes() == content
    assert told[-1] == (len(content), len(content))


async def test_documents_are_parsed_whole_and_as_streams(blocking: Run) -> None:
    content = ("The seller delivers the goods. " * 40 + "\n\n").encode() * 3000

    def work(dify: Dify) -> None:
        parsed = dify.documents.parse(CONTRACT.encode(), name="contract.txt")
        assert [clause.normal_number for clause in parsed.clauses if clause.kind == "article"] == ["1", "2"]
        assert isinstance(list(dify.documents.parse_stream(CONTRACT.encode(), name="contract.txt"))[-1], ParseSummary)
        long = dify.documents.parse(content, name="long.txt", outputs=["text"])
        assert (long.info.content_bytes, long.text.count("delivers")) == (len(content), 120_000)

    await blocking(work)


async def test_points_are_stored_and_found(blocking: Run) -> None:
    points = [
        ("case-1", "The seller is liable for late delivery.", {"year": 2021}),
        ("case-2", "The buyer must pay the price in time.", {"year": 2018}),
    ]

    def work(dify: Dify) -> None:
        stored = dify.vectors.upsert("default", points)
        found = dify.vectors.search("default", "late delivery of goods", limit=2, read_token=stored.read_token)
        assert (found[0].case_id, found[0].metadata["year"]) == ("case-1", 2021)
        assert dify.vectors.count("default", filter=field("year") >= 2020) == 1
        outcomes = dify.vectors.batch_search("default", ["price", Query(query="delivery", limit=1)])
        assert [len(one) for one in outcomes if isinstance(one, SearchResult)] == [2, 1]

    await blocking(work)


async def test_usage_is_recorded_and_summed(blocking: Run) -> None:
    def work(dify: Dify) -> None:
        with dify.metrics.writer() as writer:
            writer.add(*(Observation(app="crm", model="m", input_tokens=number) for number in range(1, 101)))
        report = dify.metrics.query_usage(group_by=["model"], where={"app": "crm"})
        assert [(series.labels, series.total.calls) for series in report.series] == [(("m",), 100)]

    await blocking(work)


async def test_errors_come_with_their_reason_their_fields_and_the_id_of_the_call(blocking: Run) -> None:
    def work(dify: Dify) -> None:
        with pytest.raises(NotFound) as missing:
            dify.with_options(request_id="r-1").files.get("files/none")
        assert (missing.value.reason, missing.value.metadata["name"]) == ("FILE_NOT_FOUND", "files/none")
        assert missing.value.request_id == "r-1"
        with pytest.raises(InvalidArgument) as wrong:
            dify.files.upload(b"x", name="a\\b")
        assert wrong.value.field_violations[0].field.startswith("spec")
        file = dify.files.upload(b"x", name="x")
        with pytest.raises(OutOfRange):
            dify.files.read(file, offset=9)

    await blocking(work)


async def test_a_token_opens_its_own_tenant_alone(tenants_server) -> None:
    def work(url: str) -> None:
        tokens = tenants_server.tokens
        with connect(url, token=tokens["a"]) as one, connect(url, token=lambda: tokens["b"]) as other:
            file = one.files.upload(b"mine", name="x")
            assert one.files.read(file) == b"mine"
            with pytest.raises(NotFound):
                other.files.get(file)
        with connect(url) as nobody, pytest.raises(Unauthenticated):
            nobody.files.get(file)

    async with connect_endpoint(tenants_server.target) as (url, _):
        await asyncio.to_thread(work, url)


async def test_what_the_contract_says_about_a_call_reaches_the_endpoint(gateway) -> None:
    url, endpoint = gateway

    def work() -> None:
        with connect(url, app="crm", user="ä", metadata={"x-own": "1"}, timeout=7) as dify:
            list(dify.files.list())

    await asyncio.to_thread(work)
    seen = endpoint.seen[-1]
    assert endpoint.calls == ["/difyrpc.files.v1.FileStorage/ListFiles"]
    assert (seen["x-difyrpc-app"], seen["x-difyrpc-user"], seen["x-own"]) == ("crm", "%C3%A4", "1")
    assert (seen["connect-protocol-version"], seen["content-type"]) == ("1", "application/proto")
    assert 6000 < int(seen["connect-timeout-ms"]) <= 7000


async def test_leaving_a_stream_early_cancels_it_at_the_server(gateway) -> None:
    url, endpoint = gateway

    def work() -> None:
        with connect(url) as dify:
            file = dify.files.upload(bytes(20 * MB), name="large")
            with closing(dify.files.iter_bytes(file)) as pieces:
                next(pieces)

    await asyncio.to_thread(work)
    await asyncio.wait_for(endpoint.left.wait(), 30)
