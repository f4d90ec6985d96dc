"""Writes usage and observations as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

from difyrpc_services.metrics.core.backend import Field
from difyrpc_services.metrics.core.sums import Spread, Sums
from difyrpc_services.metrics.core.usage import Answer, Quantity
from difyrpc_services.metrics.core.values import MICROS, Labels, Stored

CHUNK = 256 * 1024  # characters that are gathered before they are sent; at most 1 MB in UTF-8
FORMULA = ("=", "+", "-", "@")  # a cell that begins so is run by spreadsheets
Cell = str | int | float | None

OBSERVATION_COLUMNS = (
    "time",
    *Labels._fields[:7],
    "status",
    "error_type",
    "input_tokens",
    "output_tokens",
    "cached_input_tokens",
    "reasoning_output_tokens",
    "duration_seconds",
    "time_to_first_token_seconds",
    "custom",
)


class Sheet:
    """Writes rows and gives them out in parts."""

    def __init__(self, header: Sequence[str]) -> None:
        """Begins with the header."""
        self._text = io.StringIO()
        self._writer = csv.writer(self._text)
        self._writer.writerow(header)
        self.rows = 0

    def write(self, row: Iterable[Cell]) -> bytes:
        """Writes one row; answers a part when enough is gathered, else nothing."""
        self._writer.writerow([_cell(value) for value in row])
        self.rows += 1
        return self.rest() if self._text.tell() >= CHUNK else b""

    def rest(self) -> bytes:
        """Answers what was not given out yet."""
        part = self._text.getvalue().encode()
        self._text.seek(0)
        self._text.truncate()
        return part


async def export_usage(answer: Answer, group_by: Sequence[Field]) -> AsyncIterator[bytes | int]:
    """Writes one row a series and step; the last item is the number of rows."""
    sheet = Sheet(_usage_columns(answer, group_by))
    for row in _usage_rows(answer):
        if part := sheet.write(row):
            yield part
    if part := sheet.rest():
        yield part
    yield sheet.rows


async def export_observations(found: AsyncIterable[Stored]) -> AsyncIterator[bytes | int]:
    """Writes one row an observation; the last item is the number of rows."""
    sheet = Sheet(OBSERVATION_COLUMNS)
    async for stored in found:
        if part := sheet.write(_observation_row(stored)):
            yield part
    if part := sheet.rest():
        yield part
    yield sheet.rows


def _usage_columns(answer: Answer, group_by: Sequence[Field]) -> list[str]:
    columns = ["start_time", "end_time", *(part.name for part in group_by)]
    asked = answer.quantities
    if not {Quantity.CALLS, Quantity.ERRORS}.isdisjoint(asked):
        columns += ["calls", "errors", "cancelled"]
    if Quantity.TOKENS in asked:
        columns += _token_columns(answer)
    for quantity in (Quantity.DURATION, Quantity.TIME_TO_FIRST_TOKEN):
        if quantity in asked:
            columns += [f"{quantity.value}_{name}" for name in ("count", "sum_seconds", "min_seconds", "max_seconds")]
            columns += [f"{quantity.value}_p{percent:g}_seconds" for percent in answer.percentiles]
    return columns


def _token_columns(answer: Answer) -> list[str]:
    if answer.token_types:
        return ["tokens"]
    return ["input_tokens", "output_tokens", "cached_input_tokens", "reasoning_output_tokens"]


def _usage_rows(answer: Answer) -> Iterator[list[Cell]]:
    kinds = answer.token_types or [None] * len(answer.lines)
    for line, kind in zip(answer.lines, kinds, strict=True):
        whole = [(answer.bounds[0], answer.bounds[-1], line.total)]
        steps = [(answer.bounds[step], answer.bounds[step + 1], sums) for step, sums in line.points]
        for start, end, sums in steps if len(answer.bounds) > 2 else whole:
            yield [_time(start), _time(end), *line.labels, *_numbers(answer, sums, kind)]


def _numbers(answer: Answer, sums: Sums, kind: str | None) -> Iterator[Cell]:
    if not {Quantity.CALLS, Quantity.ERRORS}.isdisjoint(answer.quantities):
        yield from (sums.calls, sums.errors, sums.cancelled)
    if Quantity.TOKENS in answer.quantities:
        yield from (
            [getattr(sums, kind)] if kind else [sums.input, sums.output, sums.cached_input, sums.reasoning_output]
        )
    if Quantity.DURATION in answer.quantities:
        yield from _spread(sums.duration, answer.percentiles)
    if Quantity.TIME_TO_FIRST_TOKEN in answer.quantities:
        yield from _spread(sums.time_to_first_token, answer.percentiles)


def _spread(spread: Spread, percentiles: Sequence[float]) -> Iterator[Cell]:
    yield from (spread.count, spread.sum / MICROS, _seconds(spread.least), _seconds(spread.most))
    yield from (_seconds(spread.percentile(percent)) if spread.count else None for percent in percentiles)


def _observation_row(stored: Stored) -> list[Cell]:
    series = stored.series
    return [
        _time(stored.time),
        *series.labels[:7],
        series.status.name.lower(),
        series.error_type,
        stored.input,
        stored.output,
        stored.cached_input,
        stored.reasoning_output,
        _seconds(stored.duration),
        _seconds(stored.time_to_first_token),
        ";".join(f"{name}={value}" for name, value in series.labels.custom),
    ]


def _cell(value: Cell) -> Cell:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def _seconds(micros: int | None) -> float | None:
    return None if micros is None else micros / MICROS


def _time(micros: int) -> str:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
    return moment.isoformat().replace("+00:00", "Z")
