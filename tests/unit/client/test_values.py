"""Values go through the contract and back unchanged."""

from __future__ import annotations

from array import array
from datetime import UTC, datetime, timedelta, timezone

import pytest

from difyrpc.vectors.v1 import point_pb2
from difyrpc_client import InvalidArgument, Point
from difyrpc_client._point import read_vector, write_point, write_vector
from difyrpc_client._values import read_seconds, read_value, write_seconds, write_value


@pytest.mark.parametrize(
    "value",
    ["text", "", 0, -(2**63), 2**63 - 1, 1.5, True, False, None, ["a", 1, None], datetime(2024, 5, 1, tzinfo=UTC)],
)
def test_a_value_comes_back_as_it_was(value: object) -> None:
    back = read_value(write_value(value))
    assert back == value
    assert type(back) is type(value)


def test_times_come_back_in_utc() -> None:
    moment = datetime(2024, 5, 1, 12, tzinfo=timezone(timedelta(hours=8)))
    assert read_value(write_value(moment)).isoformat() == "2024-05-01T04:00:00+00:00"


def test_seconds_are_exact_to_the_microsecond() -> None:
    assert read_seconds(write_seconds(1.000001)) == pytest.approx(1.000001, abs=1e-9)
    assert read_seconds(write_seconds(timedelta(days=2))) == 172_800


def test_a_vector_is_sent_as_little_endian_floats() -> None:
    numbers = [1.0, -2.5, 0.0]
    assert write_vector(numbers).f32_le == b"\x00\x00\x80?\x00\x00 \xc0\x00\x00\x00\x00"
    assert write_vector(array("f", numbers).tobytes()) == write_vector(numbers)
    assert read_vector(write_vector(numbers)) == (1.0, -2.5, 0.0)
    assert read_vector(point_pb2.Vector(floats=point_pb2.FloatList(values=numbers))) == (1.0, -2.5, 0.0)


def test_a_numpy_vector_is_sent_as_it_is() -> None:
    numpy = pytest.importorskip("numpy")
    assert write_vector(numpy.array([1, -2.5, 0])) == write_vector([1.0, -2.5, 0.0])


def test_points_are_tuples_or_points() -> None:
    long = write_point(("a", "text", {"year": 2021}))
    assert (long.id, long.text, long.metadata["year"].int64_value) == ("a", "text", 2021)
    assert write_point(("a", "text")) == write_point(Point(id="a", text="text"))
    for wrong in (("a",), "a", 7):
        with pytest.raises(InvalidArgument, match="point"):
            write_point(wrong)
