from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from difyrpc_services.metrics.core.checks import MAX_DURATION
from difyrpc_services.metrics.core.histogram import (
    DURATION_BOUNDS,
    RELATIVE_ERROR,
    TOKEN_BOUNDS,
    bucket_of,
    cumulative,
    duration_counts,
    merge,
    pack,
    percentile,
    token_bucket_of,
    unpack,
    upper_bound,
    value_of,
)

DURATIONS = st.integers(0, MAX_DURATION) | st.integers(0, 5_000_000)


def histogram_of(durations):
    histogram: dict[int, int] = {}
    for micros in durations:
        merge(histogram, {bucket_of(micros): 1})
    return histogram


def test_the_promised_error_is_under_five_percent():
    assert RELATIVE_ERROR < 0.05


@given(st.integers(1, MAX_DURATION))
def test_a_duration_lies_in_its_bucket_and_near_its_value(micros):
    bucket = bucket_of(micros)

    assert upper_bound(bucket - 1) < micros * (1 + 1e-12)
    assert micros <= upper_bound(bucket) * (1 + 1e-12)
    assert abs(value_of(bucket) - micros) <= micros * RELATIVE_ERROR + 1e-9


@given(st.lists(DURATIONS, min_size=1, max_size=200), st.floats(0.001, 100))
def test_a_percentile_is_as_near_as_promised_to_the_value_at_that_rank(durations, percent):
    true = sorted(durations)[max(1, math.ceil(percent / 100 * len(durations))) - 1]

    answered = percentile(histogram_of(durations), percent, least=min(durations), most=max(durations))

    assert abs(answered - true) <= true * RELATIVE_ERROR + 1
    assert min(durations) <= answered <= max(durations)


@given(st.lists(DURATIONS, max_size=100), st.lists(DURATIONS, max_size=100))
def test_merged_histograms_are_the_histogram_of_all(some, others):
    merged = histogram_of(some)
    merge(merged, histogram_of(others))

    assert merged == histogram_of(some + others)


@given(st.lists(DURATIONS, max_size=100))
def test_packing_keeps_every_count_and_merges_buckets_that_come_twice(durations):
    histogram = histogram_of(durations)

    assert unpack(pack(histogram)) == histogram
    assert unpack([*pack(histogram), *pack(histogram)]) == {bucket: 2 * count for bucket, count in histogram.items()}


@given(st.lists(DURATIONS, max_size=100))
def test_the_buckets_of_opentelemetry_are_exact(durations):
    shown = cumulative(DURATION_BOUNDS, duration_counts(histogram_of(durations)))

    for bound, (text, count) in zip(DURATION_BOUNDS, shown, strict=False):
        assert float(text) == bound
        assert count == sum(micros <= round(bound * 1_000_000) for micros in durations)
    assert shown[-1] == ("+Inf", len(durations))


@pytest.mark.parametrize("exponent", range(14))
def test_a_duration_on_a_bound_counts_below_it_and_one_above_does_not(exponent):
    bound = 10_000 * 2**exponent

    assert duration_counts({bucket_of(bound): 1})[exponent] == 1
    assert duration_counts({bucket_of(bound + 1): 1})[exponent + 1] == 1


@given(st.integers(1, 2**53))
def test_tokens_are_counted_under_the_first_bound_that_holds_them(tokens):
    bucket = token_bucket_of(tokens)

    assert bucket == next((i for i, bound in enumerate(TOKEN_BOUNDS) if tokens <= bound), len(TOKEN_BOUNDS))


def test_an_empty_histogram_has_no_percentile():
    with pytest.raises(ValueError, match="no percentiles"):
        percentile({}, 50, least=0, most=0)
