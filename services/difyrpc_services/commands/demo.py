"""`difyrpc demo`: a contract parsed, precedents found and metrics counted, by real servers on this machine."""

from __future__ import annotations

import json
import re
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import click
from difyrpc_client import Clause, Dify, Hit, Observation, ParsedDocument, connect
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from difyrpc_services.commands.demo_server import DemoServer, DemoServerFailed, demo_server

T = TypeVar("T")

COLLECTION = "precedents"
SEARCHES_AT_ONCE = 4
SHOWN_CLAUSES = 9  # of each contract
BATCH = 16
HAN = re.compile(r"[\u4e00-\u9fff]")
BYTES_PER_MEGABYTE = 1e6


@click.command("demo")
def command() -> None:
    """Run the whole story once: upload, parse, index, search, count. Needs nothing, leaves nothing behind."""
    console = Console(highlight=False)
    try:
        run(console, samples_folder())
    except DemoServerFailed as error:
        sys.exit(f"difyrpc: the services did not start:\n{error}")


def samples_folder() -> Path:
    """Answers where the sample contracts and precedents lie: in the package, or in the checkout it runs from."""
    package = Path(__file__).parent.parent
    places = (package / "examples", package.parent.parent / "examples")
    return next(place for place in places if (place / "precedents.jsonl").is_file())


@dataclass
class Story:
    """What the demo does, and what it did."""

    dify: Dify
    console: Console
    observations: list[Observation] = field(default_factory=list)

    def timed(self, operation: str, work: Callable[[], T], tokens: Callable[[T], int] = lambda _: 0) -> T:
        """Does one call and notes how long it took and how many tokens the embedding model read."""
        started = time.perf_counter()
        result = work()
        duration = timedelta(seconds=time.perf_counter() - started)
        self.observations.append(
            Observation(
                app="demo", operation=operation, provider="difyrpc", duration=duration, input_tokens=tokens(result)
            )
        )
        return result

    def progress(self, unit: str) -> Progress:
        """Makes a progress bar that counts `unit`."""
        columns = (TextColumn("  {task.description:<28}"), BarColumn(), MofNCompleteColumn(), TextColumn(unit))
        return Progress(*columns, TimeElapsedColumn(), console=self.console)


def run(console: Console, samples: Path) -> None:
    """Tells the story from the start of the services to their end."""
    started = time.perf_counter()
    with console.status("starting the services: PostgreSQL, disk, embedding model"), demo_server() as server:
        pass
    return None
