"""Records batches, each exactly once."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import NamedTuple

from difyrpc_services.metrics.core.backend import Backend, Entry, Writer
from difyrpc_services.metrics.core.checks import check_batch
from difyrpc_services.metrics.core.folding import Admissions, Identities, fold
from difyrpc_services.metrics.core.sums import Sums
from difyrpc_services.metrics.core.values import (
    MINUTE,
    Batch,
    Labels,
    Limits,
    Observation,
    RawRow,
    Receipt,
    Series,
    Status,
)
from difyrpc_services.runtime.errors import FailedPrecondition, InvalidArgument

Clock = Callable[[], int]
"""Answers the time in microseconds since 1970."""

USER_HASH = re.compile(r"u_[0-9a-f]{32}")
SERIES_FOLDED = "series"  # counted beside the labels: observations whose series lost its details


class Users:
    """Turns users into hashes that differ from tenant to tenant."""

    def __init__(self, backend: Backend) -> None:
        """Takes the store that keeps each tenant's salt."""
        self._backend = backend
        self._salts: dict[str, bytes] = {}

    async def hasher(self, tenant: str) -> Callable[[str], str]:
        """Answers the function that hashes a user of this tenant; a hash stays what it is, and so does nobody."""
        salt = self._salts.get(tenant)
        if salt is None:
            salt = self._salts[tenant] = await self._backend.salt(tenant)
        return lambda user: user if not user or USER_HASH.fullmatch(user) else _hashed(salt, user)


class Recorder:
    """Checks batches, rolls them up and commits them."""

    def __init__(self, backend: Backend, limits: Limits, users: Users, clock: Clock) -> None:
        """Takes the store and the clock; `limits` are those of every tenant."""
        self._backend = backend
        self._limits = limits
        self._users = users
        self._clock = clock
        self._admissions = Admissions(backend, limits)
        self._identities = Identities(backend, limits)

    async def record(self, tenant: str, batch: Batch) -> Receipt:
        """Commits a batch, or finds that it was committed before; durable when it answers.

        InvalidArgument for a batch that can never be recorded, FailedPrecondition SEQUENCE_GAP when others must come
        first; both leave nothing.
        """
        now = self._clock()
        check_batch(batch, self._limits, now)
        described = describe(batch, await self._users.hasher(tenant))
        ids, folded = await self._number(tenant, Counter(described), now)
        rolled = roll_up(batch, [ids[series] for series in described], now, self._limits.future)
        entry = Entry(
            writer_id=batch.writer_id,
            sequence=batch.sequence,
            fingerprint=batch.fingerprint,
            rows=rolled.rows,
            deltas=rolled.deltas,
            folded=folded,
            now=now,
        )
        writer = await self._backend.commit(tenant, entry)
        if writer is not None:
            return _settle(batch, writer)
        return Receipt(
            committed_sequence=batch.sequence,
            folded_labels=sum(folded.values()),
            adjusted_times=rolled.adjusted,
        )

    async def _number(
        self, tenant: str, counts: Mapping[Series, int], now: int
    ) -> tuple[dict[Series, int], Counter[str]]:
        """Answers the id of each series after folding, and what was folded."""
        kept = await self._admissions.admit(tenant, counts.keys(), now)
        folds = {series: fold(series, kept) for series in counts}
        ids, reduced = await self._identities.identify(tenant, dict.fromkeys(final for final, _ in folds.values()), now)
        folded: Counter[str] = Counter()
        for series, (final, lost) in folds.items():
            folded.update(dict.fromkeys(lost, counts[series]))
            if final in reduced:
                folded[SERIES_FOLDED] += counts[series]
        return {series: ids[final] for series, (final, _) in folds.items()}, folded


class RolledUp(NamedTuple):
    """A batch as it is stored."""

    rows: list[RawRow]
    deltas: dict[tuple[int, int], Sums]
    """By minute and series."""
    adjusted: int
    """Times that lay too far in the future."""


def describe(batch: Batch, hashed: Callable[[str], str]) -> list[Series]:
    """Answers the series of each observation, before any folding."""
    known: dict[object, Series] = {}
    described = []
    for seen in batch.observations:
        key = (seen.label_set, seen.labels, seen.status, seen.error_type)
        series = known.get(key)
        if series is None:
            series = known[key] = _series(batch, seen, hashed)
        described.append(series)
    return described


def _series(batch: Batch, seen: Observation, hashed: Callable[[str], str]) -> Series:
    labels = batch.defaults
    if seen.label_set:
        labels = batch.label_sets[seen.label_set - 1].over(labels)
    if seen.labels is not None:
        labels = seen.labels.over(labels)
    labels = _tidy(labels)._replace(user=hashed(labels.user))
    return Series(labels, seen.status or (Status.ERROR if seen.error_type else Status.OK), seen.error_type)


def _tidy(labels: Labels) -> Labels:
    """Drops custom labels without a value: they say as much as none."""
    return labels._replace(custom=tuple(sorted((name, value) for name, value in labels.custom if value)))


def roll_up(batch: Batch, ids: list[int], now: int, future: int) -> RolledUp:
    """Adds up a batch by minute and series; a time after `now + future` becomes `now`."""
    rows: list[RawRow] = []
    deltas: dict[tuple[int, int], Sums] = {}
    adjusted, latest = 0, now + future
    for seen, series in zip(batch.observations, ids, strict=True):
        time = seen.time
        if time is None or time > latest:
            adjusted += time is not None
            time = now
        key = (time - time % MINUTE, series)
        sums = deltas.get(key)
        if sums is None:
            sums = deltas[key] = Sums()
        sums.add(seen)
        rows.append(RawRow(time, series, *seen[3:9]))
    return RolledUp(rows, deltas, adjusted)


def _settle(batch: Batch, writer: Writer) -> Receipt:
    """Answers for a batch that could not be committed: a repeat, or one that others must come before."""
    if batch.sequence > writer.committed:
        raise FailedPrecondition(
            "SEQUENCE_GAP",
            "batch {sequence} of this writer cannot come yet; {expected} must come next",
            sequence=batch.sequence,
            expected=writer.committed + 1,
        )
    if batch.sequence == writer.committed and batch.fingerprint != writer.fingerprint:
        raise InvalidArgument(
            "SEQUENCE_REUSED",
            "batch {sequence} of this writer was committed with other content",
            field="batch.sequence",
            sequence=batch.sequence,
        )
    return Receipt(committed_sequence=writer.committed, repeated=True)


def _hashed(salt: bytes, user: str) -> str:
    return "u_" + hmac.new(salt, user.encode(), hashlib.sha256).hexdigest()[:32]
