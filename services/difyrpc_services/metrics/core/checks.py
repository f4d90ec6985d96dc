"""Refuses batches that cannot be counted, and says which field is wrong."""

from __future__ import annotations

import re

from difyrpc_services.metrics.core.values import DAY, Batch, Labels, Limits, Observation, Status
from difyrpc_services.runtime.errors import InvalidArgument

WRITER_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
LABEL_NAME = re.compile(r"[a-z][a-z0-9_.]{0,63}")
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
MAX_VALUE = 256  # characters; observation.proto, Labels
MAX_CUSTOM = 16  # labels of one observation; observation.proto, Labels.custom
MAX_TOKENS = 2**53  # exact in every language
MAX_DURATION = 7 * DAY


def check_batch(batch: Batch, limits: Limits, now: int) -> None:
    """Refuses a batch that can never be recorded; InvalidArgument with the path of the first wrong field."""
    if not WRITER_ID.fullmatch(batch.writer_id):
        raise InvalidArgument(
            "WRITER_ID_INVALID", "the writer's id is not 1 to 64 letters, digits and ._:-", field="batch.writer_id"
        )
    if batch.sequence < 1:
        raise InvalidArgument(
            "SEQUENCE_INVALID",
            "the sequence is {sequence}; the first one is 1",
            field="batch.sequence",
            sequence=batch.sequence,
        )
    _check_size("observations", len(batch.observations), limits.max_observations)
    _check_size("label_sets", len(batch.label_sets), limits.max_observations)
    check_labels(batch.defaults, "batch.defaults")
    for position, labels in enumerate(batch.label_sets):
        check_labels(labels, f"batch.label_sets[{position}]")
    oldest, sets = now - limits.usage, len(batch.label_sets)
    for position, seen in enumerate(batch.observations):
        fault = fault_of(seen, oldest, sets)
        if fault:
            reason, field, text = fault
            raise InvalidArgument(reason, text, field=f"batch.observations[{position}].{field}")
        if seen.labels is not None:
            check_labels(seen.labels, f"batch.observations[{position}].labels")


def fault_of(seen: Observation, oldest: int, label_sets: int) -> tuple[str, str, str] | None:
    """Answers reason, field and message of the first thing that is wrong with an observation; its labels aside."""
    if not 0 <= seen.label_set <= label_sets:
        return "LABEL_SET_UNKNOWN", "label_set", "the batch has no such label set; they count from 1"
    if seen.time is not None and seen.time < oldest:
        return "TIME_TOO_OLD", "time", "the time lies before the oldest usage that is kept"
    return _fault_of_tokens(seen) or _fault_of_durations(seen) or _fault_of_status(seen)


def _fault_of_tokens(seen: Observation) -> tuple[str, str, str] | None:
    if not (0 <= seen.cached_input <= seen.input <= MAX_TOKENS):
        name = "cached_input" if 0 <= seen.input <= MAX_TOKENS else "input"
        return "TOKENS_INVALID", f"tokens.{name}", "it is negative, above 2^53, or more than the input it is part of"
    if not (0 <= seen.reasoning_output <= seen.output <= MAX_TOKENS):
        name = "reasoning_output" if 0 <= seen.output <= MAX_TOKENS else "output"
        return "TOKENS_INVALID", f"tokens.{name}", "it is negative, above 2^53, or more than the output it is part of"
    return None


def _fault_of_durations(seen: Observation) -> tuple[str, str, str] | None:
    for name, micros in (("duration", seen.duration), ("time_to_first_token", seen.time_to_first_token)):
        if micros is not None and not 0 <= micros <= MAX_DURATION:
            return "DURATION_INVALID", name, "it is negative or above 7 days"
    if seen.duration is not None and (seen.time_to_first_token or 0) > seen.duration:
        return "DURATION_INVALID", "time_to_first_token", "it is longer than the whole call"
    return None


def _fault_of_status(seen: Observation) -> tuple[str, str, str] | None:
    if not seen.error_type:
        return None
    if seen.status is Status.OK:
        return "STATUS_INVALID", "error_type", "the call is OK and has an error type"
    if not _is_value(seen.error_type):
        return "LABEL_INVALID", "error_type", "it has more than 256 characters, or control characters"
    return None


def check_labels(labels: Labels, field: str) -> None:
    """Refuses labels that are too long, too many or not text."""
    for name, value in zip(labels._fields[:7], labels[:7], strict=True):
        _check_value(value, f"{field}.{name}")
    if len(labels.custom) > MAX_CUSTOM:
        raise InvalidArgument(
            "TOO_MANY_LABELS",
            "{count} custom labels are more than {limit}",
            field=f"{field}.custom",
            count=len(labels.custom),
            limit=MAX_CUSTOM,
        )
    for name, value in labels.custom:
        if not LABEL_NAME.fullmatch(name):
            raise InvalidArgument(
                "LABEL_INVALID",
                "a custom label's name is not a small letter and up to 63 small letters, digits, _ and .",
                field=f"{field}.custom",
            )
        _check_value(value, f"{field}.custom[{name}]")


def _check_value(value: str, field: str) -> None:
    if not _is_value(value):
        raise InvalidArgument(
            "LABEL_INVALID", "the value has more than {limit} characters, or control characters", field=field,
            limit=MAX_VALUE,
        )  # fmt: skip


def _is_value(value: str) -> bool:
    return len(value) <= MAX_VALUE and not CONTROL.search(value)


def _check_size(name: str, count: int, limit: int) -> None:
    if count > limit:
        raise InvalidArgument(
            f"TOO_MANY_{name.upper()}",
            "{count} are more than {limit}; send several batches",
            field=f"batch.{name}",
            count=count,
            limit=limit,
        )
