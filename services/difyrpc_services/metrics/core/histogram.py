"""Histograms on a logarithmic scale: small, mergeable, and honest about their error.

Each power of two is cut into 8 buckets, so a bucket's bounds differ by the factor 2^(1/8) ≈ 1.0905, and the value that
answers for a bucket, 2·lower·upper / (lower + upper), is at most (2^(1/8) - 1) / (2^(1/8) + 1) ≈ 4.34 % from every
value in it. The scale is laid so that 10 ms · 2^n is a bound for every n: the buckets that OpenTelemetry asks for are
sums of ours, exactly.

A histogram is a dict from bucket to count. A bucket holds what is above its lower bound and at most its upper one;
bucket 0 holds all that is at most 0.61 µs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

Histogram = dict[int, int]

PER_DOUBLING = 8
ORIGIN = 10_000  # microseconds; the bound that bucket ZERO_SHIFT ends at
ZERO_SHIFT = 14 * PER_DOUBLING  # so that a microsecond still has a bucket of its own above 0
RELATIVE_ERROR = (2 ** (1 / PER_DOUBLING) - 1) / (2 ** (1 / PER_DOUBLING) + 1)

DURATION_BOUNDS = tuple(0.01 * 2**n for n in range(14))
"""Seconds; gen_ai.client.operation.duration in the GenAI conventions."""
TOKEN_BOUNDS = tuple(4**n for n in range(14))
"""Tokens; gen_ai.client.token.usage in the GenAI conventions."""

COUNT_BITS = 48  # of a packed bucket; 2^48 calls in one bucket are out of reach
COUNT_MASK = (1 << COUNT_BITS) - 1


def bucket_of(micros: int) -> int:
    """Answers the bucket of a duration in microseconds."""
    if micros <= 0:
        return 0
    return max(0, math.ceil(PER_DOUBLING * math.log2(micros / ORIGIN)) + ZERO_SHIFT)


def upper_bound(bucket: int) -> float:
    """Answers the largest duration of a bucket, in microseconds."""
    return float(ORIGIN * 2 ** ((bucket - ZERO_SHIFT) / PER_DOUBLING))


def value_of(bucket: int) -> float:
    """Answers the duration that stands for a bucket, in microseconds."""
    if bucket == 0:
        return 0.0
    upper, lower = upper_bound(bucket), upper_bound(bucket - 1)
    return 2 * lower * upper / (lower + upper)


def token_bucket_of(tokens: int) -> int:
    """Answers the position of the first token bound that is not below `tokens`; 14 above all."""
    return min(len(TOKEN_BOUNDS), ((tokens - 1).bit_length() + 1) // 2) if tokens > 1 else 0


def merge(into: Histogram, other: Mapping[int, int]) -> None:
    """Adds the counts of `other`."""
    for bucket, count in other.items():
        into[bucket] = into.get(bucket, 0) + count


def percentile(histogram: Mapping[int, int], percent: float, *, least: int, most: int) -> int:
    """Answers the duration at rank ⌈percent / 100 · count⌉, in microseconds.

    Off by at most RELATIVE_ERROR or one microsecond. `least` and `most` are the true extremes.
    """
    rank = max(1, math.ceil(percent / 100 * sum(histogram.values())))
    passed = 0
    for bucket in sorted(histogram):
        passed += histogram[bucket]
        if passed >= rank:
            return min(most, max(least, round(value_of(bucket))))
    raise ValueError("an empty histogram has no percentiles")


def duration_counts(histogram: Mapping[int, int]) -> list[int]:
    """Answers the counts between DURATION_BOUNDS, with one more for what is above the last."""
    counts = [0] * (len(DURATION_BOUNDS) + 1)
    for bucket, count in histogram.items():
        doublings = -((ZERO_SHIFT - bucket) // PER_DOUBLING)  # ⌈(bucket - ZERO_SHIFT) / PER_DOUBLING⌉
        counts[min(max(doublings, 0), len(DURATION_BOUNDS))] += count
    return counts


def token_counts(histogram: Mapping[int, int]) -> list[int]:
    """Answers the counts between TOKEN_BOUNDS, with one more for what is above the last."""
    return [histogram.get(bucket, 0) for bucket in range(len(TOKEN_BOUNDS) + 1)]


def cumulative(bounds: Sequence[float], counts: Sequence[int]) -> list[tuple[str, float]]:
    """Answers the buckets as Prometheus shows them: how many are at most each bound."""
    shown, running = [], 0
    for bound, count in zip([*map(float, bounds), math.inf], counts, strict=True):
        running += count
        shown.append(("+Inf" if bound == math.inf else repr(bound), float(running)))
    return shown


def pack(histogram: Mapping[int, int]) -> list[int]:
    """Answers the histogram as whole numbers, bucket · 2^48 + count: one array in the database."""
    return [(bucket << COUNT_BITS) + count for bucket, count in histogram.items()]


def unpack(packed: Iterable[int]) -> Histogram:
    """Reads what `pack` wrote, merging buckets that come twice."""
    histogram: Histogram = {}
    for number in packed:
        bucket = number >> COUNT_BITS
        histogram[bucket] = histogram.get(bucket, 0) + (number & COUNT_MASK)
    return histogram
