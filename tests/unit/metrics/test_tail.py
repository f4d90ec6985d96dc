from __future__ import annotations

import asyncio

import pytest
from metrics_world import World, only

from difyrpc_services.metrics.core import tail
from difyrpc_services.metrics.core.values import Labels, Observation
from difyrpc_services.runtime.errors import InvalidArgument


def call(model):
    return Observation(labels=Labels(model=model))


async def taken(listener, count):
    found = []
    messages = aiter(listener)
    while len(found) < count:
        some, _ = await anext(messages)
        found += [stored.series.labels.model for stored in some]
    return found


async def test_a_listener_gets_what_is_recorded_after_it_began(world):
    await world.record(call("before"))

    async with world.collector.listen("a", ()) as listener:
        await world.record(call("after"), call("that"), sequence=2)

        assert await taken(listener, 2) == ["after", "that"]


async def test_a_listener_gets_only_its_tenant_and_what_its_filters_let_through(world):
    async with world.collector.listen("a", [only("model", "m")]) as listener:
        await world.record(call("m"), tenant="b")
        await world.record(call("n"), call("m"))

        assert await taken(listener, 1) == ["m"]


async def test_a_reader_that_is_too_slow_is_told_how_much_it_lost(monkeypatch):
    monkeypatch.setattr(tail, "WAITING", 3)
    world = World()
    async with world.collector.listen("a", ()) as slow, world.collector.listen("a", ()) as listener:
        await world.record(*(call(f"m{i}") for i in range(10)))
        await taken(listener, 3)

        found, lost = await anext(aiter(slow))
        assert (len(found), lost) == (3, 7)


async def test_nobody_looks_when_nobody_listens(world):
    before = asyncio.all_tasks()
    async with world.collector.listen("a", ()):
        assert len(asyncio.all_tasks()) == len(before) + 1

    assert asyncio.all_tasks() == before


async def test_a_wrong_filter_is_refused(world):
    with pytest.raises(InvalidArgument):
        world.collector.listen("a", [only("model")])
