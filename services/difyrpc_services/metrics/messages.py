"""Translates batches between the contract and the core."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from difyrpc.metrics.v1 import metrics_pb2, observation_pb2
from difyrpc_services.metrics.core.values import (
    MICROS,
    Batch,
    Labels,
    Observation,
    Receipt,
    Status,
    Stored,
)
from difyrpc_services.runtime.caller import Caller
from difyrpc_services.runtime.errors import InvalidArgument

STATUSES: dict[int, Status | None] = {
    observation_pb2.CALL_STATUS_UNSPECIFIED: None,
    observation_pb2.CALL_STATUS_OK: Status.OK,
    observation_pb2.CALL_STATUS_ERROR: Status.ERROR,
    observation_pb2.CALL_STATUS_CANCELLED: Status.CANCELLED,
}
SENT_STATUSES = {
    Status.OK: observation_pb2.CALL_STATUS_OK,
    Status.ERROR: observation_pb2.CALL_STATUS_ERROR,
    Status.CANCELLED: observation_pb2.CALL_STATUS_CANCELLED,
}
EARLIEST, LATEST = -62_135_596_800, 253_402_300_799  # seconds; google/protobuf/timestamp.proto
LONGEST = 315_576_000_000  # seconds; google/protobuf/duration.proto


def read_batch(batch: observation_pb2.Batch, caller: Caller, *, writer_id: str = "") -> Batch:
    """Reads one batch; `writer_id` stands where the batch names none. InvalidArgument names what cannot be read."""
    defaults = read_labels(batch.defaults)
    return Batch(
        writer_id=batch.writer_id or writer_id,
        sequence=batch.sequence,
        fingerprint=hashlib.blake2b(batch.SerializeToString(deterministic=True), digest_size=16).digest(),
        defaults=defaults._replace(app=defaults.app or caller.app, user=defaults.user or caller.user),
        label_sets=[read_labels(labels) for labels in batch.label_sets],
        observations=[_observation(seen, position) for position, seen in enumerate(batch.observations)],
    )


def read_labels(labels: observation_pb2.Labels) -> Labels:
    """Reads labels; what is not said is empty."""
    return Labels(
        labels.app,
        labels.workflow,
        labels.node,
        labels.operation,
        labels.provider,
        labels.model,
        labels.user,
        tuple(sorted(labels.custom.items())),
    )


def _observation(seen: observation_pb2.Observation, position: int) -> Observation:
    tokens = seen.tokens
    if seen.status not in STATUSES:
        raise InvalidArgument(
            "STATUS_INVALID",
            "there is no status {status}",
            field=f"batch.observations[{position}].status",
            status=seen.status,
        )
    return Observation(
        read_time(seen.time, f"batch.observations[{position}].time") if seen.HasField("time") else None,
        seen.label_set,
        read_labels(seen.labels) if seen.HasField("labels") else None,
        tokens.input,
        tokens.output,
        tokens.cached_input,
        tokens.reasoning_output,
        _duration(seen, "duration", position),
        _duration(seen, "time_to_first_token", position),
        STATUSES[seen.status],
        seen.error_type,
    )


def _duration(seen: observation_pb2.Observation, name: str, position: int) -> int | None:
    if not seen.HasField(name):  # type: ignore[arg-type]  # one of two names of fields
        return None
    return read_duration(getattr(seen, name), f"batch.observations[{position}].{name}", "DURATION_INVALID")


def read_time(time: Timestamp, field: str) -> int:
    """Answers microseconds since 1970; InvalidArgument TIME_INVALID for what is no point in time."""
    if not (EARLIEST <= time.seconds <= LATEST and 0 <= time.nanos < 1_000_000_000):
        raise InvalidArgument(
            "TIME_INVALID", "the time lies outside of the years 1 to 9999, or its nanos are wrong", field=field
        )
    return time.seconds * MICROS + time.nanos // 1_000


def read_duration(duration: Duration, field: str, reason: str) -> int:
    """Answers microseconds, rounded towards zero; InvalidArgument for what is no duration."""
    seconds, nanos = duration.seconds, duration.nanos
    if abs(seconds) > LONGEST or abs(nanos) >= 1_000_000_000 or seconds * nanos < 0:
        raise InvalidArgument(
            reason, "the duration's seconds or nanos are out of range, or have different signs", field=field
        )
    return seconds * MICROS + (nanos // 1_000 if nanos >= 0 else -(-nanos // 1_000))


def timestamp(micros: int) -> Timestamp:
    """Writes microseconds since 1970."""
    return Timestamp(seconds=micros // MICROS, nanos=micros % MICROS * 1_000)


def duration(micros: int) -> Duration:
    """Writes microseconds, 0 or more."""
    return Duration(seconds=micros // MICROS, nanos=micros % MICROS * 1_000)


def record_response(receipt: Receipt) -> metrics_pb2.RecordResponse:
    """Writes the answer to one batch."""
    return metrics_pb2.RecordResponse(
        committed_sequence=receipt.committed_sequence,
        repeated=receipt.repeated,
        folded_labels=receipt.folded_labels,
        adjusted_times=receipt.adjusted_times,
    )


def stream_response(receipt: Receipt) -> metrics_pb2.RecordStreamResponse:
    """Writes the answer to one batch of a stream."""
    return metrics_pb2.RecordStreamResponse(
        committed_sequence=receipt.committed_sequence,
        repeated_batches=int(receipt.repeated),
        folded_labels=receipt.folded_labels,
        adjusted_times=receipt.adjusted_times,
    )


def tail_response(found: Iterable[Stored], lost: int) -> metrics_pb2.TailObservationsResponse:
    """Writes what a live tail caught."""
    return metrics_pb2.TailObservationsResponse(observations=map(write_observation, found), lost=lost)


def write_observation(stored: Stored) -> observation_pb2.Observation:
    """Writes one observation with all of its labels."""
    seen = observation_pb2.Observation(
        time=timestamp(stored.time),
        labels=_labels(stored.series.labels),
        status=SENT_STATUSES[stored.series.status],
        error_type=stored.series.error_type,
    )
    if stored.input or stored.output:
        seen.tokens.CopyFrom(
            observation_pb2.Tokens(
                input=stored.input,
                output=stored.output,
                cached_input=stored.cached_input,
                reasoning_output=stored.reasoning_output,
            )
        )
    if stored.duration is not None:
        seen.duration.CopyFrom(duration(stored.duration))
    if stored.time_to_first_token is not None:
        seen.time_to_first_token.CopyFrom(duration(stored.time_to_first_token))
    return seen


def _labels(labels: Labels) -> observation_pb2.Labels:
    app, workflow, node, operation, provider, model, user, custom = labels
    return observation_pb2.Labels(
        app=app,
        workflow=workflow,
        node=node,
        operation=operation,
        provider=provider,
        model=model,
        user=user,
        custom=dict(custom),
    )
