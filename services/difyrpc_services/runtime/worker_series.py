"""Adds up what the services of several worker processes show at `/metrics`.

The library adds up its own counters through files that it maps. What a collector reads when it is asked lives in one
process alone: each worker writes it into the shared folder, and the parent sums over the files.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

WRITE_SECONDS = 1.0  # so old is at most what the parent shows


class SeriesWriter:
    """Writes this worker's series again and again; a context manager around the time that it serves."""

    def __init__(self, folder: Path, collectors: Sequence[Collector]) -> None:
        """Takes the shared folder and what is to be shown."""
        self._file = folder / f"{os.getpid()}.series"
        self._registry = CollectorRegistry()
        for collector in collectors:
            self._registry.register(collector)

    async def __aenter__(self) -> None:
        self._write()
        self._task = asyncio.create_task(self._keep_writing())

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        self._write()

    async def _keep_writing(self) -> None:
        while True:
            await asyncio.sleep(WRITE_SECONDS)
            self._write()

    def _write(self) -> None:
        half = self._file.with_suffix(".half")
        half.write_bytes(generate_latest(self._registry))
        half.replace(self._file)


class WorkerSeries(Collector):
    """Sums the series of all workers; of one that ended the counters stay and the gauges go."""

    def __init__(self, folder: Path) -> None:
        """Takes the shared folder."""
        self._folder = folder
        self._ended: set[str] = set()

    def forget(self, pid: int) -> None:
        """Takes that a worker ended."""
        self._ended.add(str(pid))

    def describe(self) -> Iterable[Metric]:
        """Answers nothing: what there is depends on the services."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Answers the sums."""
        sums: dict[str, Metric] = {}
        for file in sorted(self._folder.glob("*.series")):
            for family in text_string_to_metric_families(file.read_text()):
                if family.type != "gauge" or file.stem not in self._ended:
                    _add(sums.setdefault(family.name, Metric(family.name, family.documentation, family.type)), family)
        yield from sums.values()


def _add(total: Metric, family: Metric) -> None:
    known = {(sample.name, _key(sample.labels)): place for place, sample in enumerate(total.samples)}
    for sample in family.samples:
        place = known.get((sample.name, _key(sample.labels)))
        if place is None:
            total.samples.append(sample)
        else:
            before = total.samples[place]
            total.samples[place] = before._replace(value=before.value + sample.value)


def _key(labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(labels.items()))
