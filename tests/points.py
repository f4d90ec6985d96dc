"""Points over gRPC: made at random, and read back whole out of the one collection of a test."""

from __future__ import annotations

from typing import Any

import numpy as np

from difyrpc.vectors.v1 import collection_pb2, point_pb2
from difyrpc.vectors.v1 import vectors_pb2 as pb

COLLECTION = "kept"
Points = dict[str, point_pb2.Point]


def random_vector(seed: int, dimension: int) -> point_pb2.Vector:
    numbers = np.random.default_rng(seed).standard_normal(dimension, dtype="<f4")
    return point_pb2.Vector(f32_le=numbers.tobytes())


async def everything(stub: Any) -> Points:
    points: Points = {}
    request = pb.ScrollPointsRequest(
        collection=COLLECTION, page_size=1000, payload=point_pb2.PayloadSelection(vector=True)
    )
    while True:
        page = await stub.ScrollPoints(request)
        points |= {point.id: point for point in page.points}
        if not page.next_page_token:
            return points
        request.page_token = page.next_page_token


async def made(stub: Any, dimension: int) -> None:
    collection = collection_pb2.Collection(name=COLLECTION, dimension=dimension)
    await stub.CreateCollection(pb.CreateCollectionRequest(collection=collection))
