"""Sums of observations: what a roll-up row, a point and a total are made of."""

from __future__ import annotations

from dataclasses import dataclass, field

from difyrpc_services.metrics.core.histogram import Histogram, bucket_of, merge, percentile, token_bucket_of
from difyrpc_services.metrics.core.values import Observation


@dataclass(slots=True)
class Spread:
    """How durations are distributed, in microseconds."""

    count: int = 0
    sum: int = 0
    least: int | None = None
    most: int | None = None
    histogram: Histogram = field(default_factory=dict)

    def add(self, micros: int) -> None:
        """Adds one duration."""
        self.count += 1
        self.sum += micros
        if self.least is None or micros < self.least:
            self.least = micros
        if self.most is None or micros > self.most:
            self.most = micros
        bucket = bucket_of(micros)
        self.histogram[bucket] = self.histogram.get(bucket, 0) + 1

    def merge(self, other: Spread) -> None:
        """Adds all durations of `other`."""
        self.count += other.count
        self.sum += other.sum
        self.least = min((part for part in (self.least, other.least) if part is not None), default=None)
        self.most = max((part for part in (self.most, other.most) if part is not None), default=None)
        merge(self.histogram, other.histogram)

    def percentile(self, percent: float) -> int:
        """Answers one percentile, in microseconds; ValueError when nothing was measured."""
        return percentile(self.histogram, percent, least=self.least or 0, most=self.most or 0)


@dataclass(slots=True)
class Sums:
    """What many observations add up to."""

    calls: int = 0
    errors: int = 0
    cancelled: int = 0
    input: int = 0
    output: int = 0
    cached_input: int = 0
    reasoning_output: int = 0
    duration: Spread = field(default_factory=Spread)
    time_to_first_token: Spread = field(default_factory=Spread)
    input_sizes: Histogram = field(default_factory=dict)
    """Calls by the bucket of their input tokens; calls without any are left out."""
    output_sizes: Histogram = field(default_factory=dict)

    def add(self, seen: Observation) -> None:
        """Adds one observation; how it ended is the series' business, not counted here."""
        self.calls += 1
        if seen.input:
            self.input += seen.input
            self.cached_input += seen.cached_input
            _count(self.input_sizes, seen.input)
        if seen.output:
            self.output += seen.output
            self.reasoning_output += seen.reasoning_output
            _count(self.output_sizes, seen.output)
        if seen.duration is not None:
            self.duration.add(seen.duration)
        if seen.time_to_first_token is not None:
            self.time_to_first_token.add(seen.time_to_first_token)

    def merge(self, other: Sums) -> None:
        """Adds what `other` adds up to."""
        self.calls += other.calls
        self.errors += other.errors
        self.cancelled += other.cancelled
        self.input += other.input
        self.output += other.output
        self.cached_input += other.cached_input
        self.reasoning_output += other.reasoning_output
        self.duration.merge(other.duration)
        self.time_to_first_token.merge(other.time_to_first_token)
        merge(self.input_sizes, other.input_sizes)
        merge(self.output_sizes, other.output_sizes)


def _count(sizes: Histogram, tokens: int) -> None:
    bucket = token_bucket_of(tokens)
    sizes[bucket] = sizes.get(bucket, 0) + 1
