from __future__ import annotations

import csv
import io

from metrics_world import NOW, by, only

from difyrpc_services.metrics.core import export
from difyrpc_services.metrics.core.collector import Wanted
from difyrpc_services.metrics.core.periods import HOUR, Steps
from difyrpc_services.metrics.core.usage import Quantity
from difyrpc_services.metrics.core.values import MICROS, Labels, Observation


async def read(parts):
    *chunks, count = [part async for part in parts]
    rows = list(csv.DictReader(io.StringIO(b"".join(chunks).decode(), newline="")))
    assert count == len(rows)
    return rows


async def test_usage_has_one_row_a_series_and_step(world):
    await world.record(
        Observation(time=NOW - HOUR, labels=Labels(model="m"), input=7, duration=MICROS),
        Observation(time=NOW - 3 * HOUR, labels=Labels(model="m"), input=5),
    )
    fields = by("model")
    answer = await world.query(group_by=fields, steps=Steps(fixed=HOUR))

    rows = await read(export.export_usage(answer, fields))

    assert [(row["model"], row["calls"], row["input_tokens"]) for row in rows] == [("m", "1", "5"), ("m", "1", "7")]
    assert rows[1]["duration_p50_seconds"] == "1.0"
    assert rows[0]["duration_p50_seconds"] == ""


async def test_tokens_by_type_have_one_column(world):
    await world.record(Observation(input=7, output=2))
    fields = by("token_type")
    answer = await world.query(group_by=fields, quantities=[Quantity.TOKENS])

    rows = await read(export.export_usage(answer, fields))

    assert {row["token_type"]: row["tokens"] for row in rows} == {
        "input": "7",
        "output": "2",
        "cached_input": "0",
        "reasoning_output": "0",
    }


async def test_observations_have_one_row_each_in_the_order_of_time(world):
    await world.record(
        Observation(time=NOW, labels=Labels(model="late", custom=(("team", "x"),))),
        Observation(time=NOW - HOUR, labels=Labels(model="early"), error_type="timeout"),
    )

    rows = await read(export.export_observations(await world.collector.observations("a", Wanted(end=NOW + HOUR))))

    assert [(row["model"], row["status"], row["custom"]) for row in rows] == [
        ("early", "error", ""),
        ("late", "ok", "team=x"),
    ]
    assert rows[1]["time"].endswith("Z")


async def test_observations_are_filtered_and_stay_in_their_tenant(world):
    await world.record(Observation(time=NOW, labels=Labels(model="m")), Observation(time=NOW, labels=Labels(model="n")))
    wanted = Wanted(start=NOW, end=NOW + 1, tests=[only("model", "m")])

    assert len(await read(export.export_observations(await world.collector.observations("a", wanted)))) == 1
    assert await read(export.export_observations(await world.collector.observations("b", wanted))) == []


async def test_a_cell_never_begins_like_a_formula(world):
    await world.record(Observation(time=NOW, labels=Labels(model="=1+1", app="-x")))

    (row,) = await read(export.export_observations(await world.collector.observations("a", Wanted(end=NOW + 1))))

    assert (row["model"], row["app"]) == ("'=1+1", "'-x")


async def test_long_files_come_in_parts(world, monkeypatch):
    monkeypatch.setattr(export, "CHUNK", 100)
    await world.record(*(Observation(time=NOW) for _ in range(20)))

    parts = [
        part async for part in export.export_observations(await world.collector.observations("a", Wanted(end=NOW + 1)))
    ]

    assert len(parts) > 5
    assert all(len(part) < 300 for part in parts[:-1])
    assert parts[-1] == 20
