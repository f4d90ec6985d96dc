"""Vectors at the door: what is refused, and what a score is."""

from __future__ import annotations

import numpy as np

from difyrpc_services.runtime.errors import InvalidArgument
from difyrpc_services.vectors.core.values import Floats, Metadata, Metric


def check_vector(vector: Floats, dimension: int, *, path: str) -> Floats:
    """Answers the vector; InvalidArgument for a wrong dimension, NaN, infinities, and zeros only."""
    if vector.size != dimension:
        raise InvalidArgument(
            "VECTOR_DIMENSION_MISMATCH",
            "the vector has {given} dimensions, the collection {expected}",
            field=path,
            given=vector.size,
            expected=dimension,
        )
    # One pass finds all three: the sum of squares is NaN or infinite exactly when a number is, or would overflow
    # in the engine, and zero when the vector has no direction that 32-bit arithmetic can see.
    with np.errstate(all="ignore"):
        length = float(np.dot(vector, vector))
    if not np.isfinite(length):
        raise InvalidArgument("VECTOR_NOT_FINITE", "the vector holds NaN, or numbers too large to compare", field=path)
    if length == 0.0:
        raise InvalidArgument("VECTOR_ZERO", "the vector is zero everywhere, so it has no direction", field=path)
    return vector


def score_of(metric: Metric, measured: float) -> float:
    """Answers the contract's score out of a similarity (COSINE, DOT) or a distance (EUCLIDEAN)."""
    if metric is Metric.COSINE:
        return max(-1.0, min(1.0, measured))
    return measured if metric is Metric.DOT else 1.0 / (1.0 + measured)


def case_id_of(point_id: str, metadata: Metadata) -> str:
    """Answers the metadata field `case_id` as text, else the point's id."""
    case = metadata.get("case_id")
    return point_id if case is None or isinstance(case, list) else str(case)
