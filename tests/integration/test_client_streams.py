"""Streams of points and observations against the real services."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from connect_endpoint import connect_endpoint

from difyrpc_client import (
    AsyncDify,
    Dify,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    Observation,
    Point,
    Upserted,
    connect,
    connect_async,
)


@pytest.fixture
async def dify(house_server) -> AsyncIterator[AsyncDify]:
    async with connect_async(house_server.target) as client:
        await client.vectors.create_collection("cases", dimension=4)
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


def points(count: int) -> list[Point]:
    return [Point(id=f"{number:04}", vector=[1.0, number, 0, 0]) for number in range(count)]


async def test_points_of_a_generator_are_stored_and_found_at_once(dify: AsyncDify, blocking) -> None:
    told: list[int] = []
    stored = await blocking(
        lambda sync: sync.vectors.upsert_stream("cases", iter(points(1001)), batch_size=100, progress=told.append)
    )
    assert stored.count == 1001
    assert told == [*range(100, 1001, 100), 1001]
    assert await dify.vectors.count("cases") == 1001
    found = await dify.vectors.search("cases", vector=[1.0, 0, 0, 0], limit=1, read_token=stored.read_token)
    assert found[0].id == "0000"


async def test_texts_are_embedded_and_their_usage_is_added_up(dify: AsyncDify) -> None:
    await dify.vectors.create_collection("texts")
    texts = [(str(number), f"clause {number} of the contract") for number in range(12)]
    stored = await dify.vectors.upsert_stream("texts", texts, batch_size=5)
    assert (stored.count, stored.usage.texts) == (12, 12)
    assert stored.usage.tokens > 0


async def test_a_load_that_was_given_up_goes_on_where_it_stood(dify: AsyncDify) -> None:
    every = points(500)

    async def torn() -> AsyncIterator[Point]:
        for point in every[:350]:
            yield point
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        await dify.vectors.upsert_stream("cases", torn(), stream_id="load", batch_size=50)
    before = await dify.vectors.count("cases")
    assert before % 50 == 0
    told: list[int] = []
    stored = await dify.vectors.upsert_stream("cases", every, stream_id="load", batch_size=50, progress=told.append)
    assert (stored.count, told[-1]) == (500, 500)
    assert [point.id async for point in dify.vectors.scroll("cases", page_size=1000)] == [one.id for one in every]


@pytest.mark.parametrize("place", [0, 149])
async def test_a_point_that_is_refused_is_named_and_what_came_before_its_batch_stays(
    dify: AsyncDify, place: int
) -> None:
    every = points(200)
    every[place] = Point(id="wrong", vector=[1.0, 2.0])
    with pytest.raises(InvalidArgument) as caught:
        await dify.vectors.upsert_stream("cases", every, batch_size=40)
    error, durable = caught.value, place // 40 * 40
    assert (error.metadata["index"], error.metadata["durable_points"]) == (str(place), str(durable))
    assert error.field_violations[0].field.startswith(f"points[{place}]")
    assert await dify.vectors.count("cases") == durable


async def test_an_id_that_comes_twice_in_a_batch_is_named(dify: AsyncDify) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await dify.vectors.upsert_stream("cases", [*points(60), points(60)[55]], batch_size=50)
    assert (caught.value.reason, caught.value.metadata["index"]) == ("POINT_ID_REPEATED", "60")


async def test_a_stream_into_nothing_is_not_found(dify: AsyncDify) -> None:
    with pytest.raises(NotFound) as caught:
        await dify.vectors.upsert_stream("none", points(3))
    assert caught.value.reason == "COLLECTION_NOT_FOUND"


async def test_a_stream_id_with_other_letters_is_refused(dify: AsyncDify) -> None:
    with pytest.raises(InvalidArgument):
        await dify.vectors.upsert_stream("cases", points(3), stream_id="a b")


async def test_a_collection_that_was_made_anew_meanwhile_has_a_gap(dify: AsyncDify) -> None:
    async def interrupted() -> AsyncIterator[Point]:
        for number, point in enumerate(points(400)):
            if number == 200:
                await dify.vectors.delete_collection("cases")
                await dify.vectors.create_collection("cases", dimension=4)
            yield point

    with pytest.raises((FailedPrecondition, NotFound)):
        await dify.vectors.upsert_stream("cases", interrupted(), batch_size=20)


async def test_a_writer_records_many_batches_by_one_stream_exactly_once(
    house_server, dify: AsyncDify, blocking
) -> None:
    def work(sync: Dify) -> None:
        with sync.metrics.writer() as writer:
            writer.add(*(Observation(app="crm", input_tokens=number) for number in range(6000)))
            writer.add(Observation(app="crm", input_tokens=1))

    await blocking(work)
    total = (await dify.metrics.query_usage(where={"app": "crm"})).total
    assert (total.calls, total.tokens.input) == (6001, sum(range(6000)) + 1)


async def test_over_http_where_answers_come_after_all_messages_the_batches_go_by_several_streams(
    house_server, dify: AsyncDify
) -> None:
    def work(url: str) -> Upserted:
        with connect(url) as sync:
            with sync.metrics.writer() as writer:
                writer.add(*(Observation(app="crm", input_tokens=number) for number in range(6000)))
            return sync.vectors.upsert_stream("cases", points(1001), batch_size=100)

    async with connect_endpoint(house_server.target) as (url, endpoint):
        stored = await asyncio.to_thread(work, url)
    assert stored.count == 1001
    assert await dify.vectors.count("cases") == 1001
    assert (await dify.metrics.query_usage(where={"app": "crm"})).total.calls == 6000
    assert 1 < sum(call.endswith("UpsertPointsStream") for call in endpoint.calls) < 11


async def test_an_observation_that_is_refused_takes_only_its_batch_with_it(dify: AsyncDify) -> None:
    seen = [Observation(app="crm") for _ in range(2000)]
    seen[700] = Observation(app="crm", input_tokens=-1)
    writer = dify.metrics.writer()
    with pytest.raises(InvalidArgument):
        await writer.add(*seen)
    await writer.flush()
    assert (await dify.metrics.query_usage(where={"app": "crm"})).total.calls == 1500
