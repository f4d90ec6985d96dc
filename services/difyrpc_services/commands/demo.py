"""`difyrpc demo`: a contract parsed, precedents found and metrics counted, by real servers on this machine."""

from __future__ import annotations

import json
import re
import shutil
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text

from difyrpc_client import Clause, Dify, File, Hit, Observation, ParsedDocument, Usage, UsageReport, connect
from difyrpc_services.commands.demo_server import DemoServer, DemoServerFailed, demo_server

T = TypeVar("T")

COLLECTION = "precedents"
HITS = 5
SEARCHES_AT_ONCE = 4
UPSERT_POINTS = 16  # a batch, so that the progress bar moves
SHOWN_CLAUSES = 8  # rows of the table for each contract
TEXT_WIDTH = 44
MEGABYTE = 1e6
HAN = re.compile(r"[\u4e00-\u9fff]")
NEXT_STEPS = """
To go on, start the services; the first start prints a key:
   {difyrpc} serve
   export DIFYRPC_TOKEN=<the key>
From Python ({python}):
   from pathlib import Path
   from difyrpc_client import connect
   with connect("localhost:50051") as dify:
       print(dify.documents.parse(Path("contract.pdf")).clauses)
With grpcurl, where it is installed:
   grpcurl -plaintext localhost:50051 list
   KEY="authorization: Bearer $DIFYRPC_TOKEN"
   grpcurl -plaintext -H "$KEY" -d '{{"points": [{{"id": "1", "text": "Interest is due on late payments."}}]}}' \\
     localhost:50051 difyrpc.vectors.v1.VectorSearch/UpsertPoints
   grpcurl -plaintext -H "$KEY" -d '{{"query": "overdue invoice", "k": 5}}' \\
     localhost:50051 difyrpc.vectors.v1.VectorSearch/Search
"""
TOKENS_SHOWN = re.compile(r"^gen_ai_client_token_usage\w*_sum\{.*\} (\S+)$", re.MULTILINE)


@click.command("demo")
def command() -> None:
    """Run the whole story once: upload, parse, index, search, count. Needs nothing, leaves nothing behind."""
    try:
        run(Console(highlight=False), samples_folder())
    except DemoServerFailed as error:
        sys.exit(f"difyrpc: the services did not start:\n{error}")


def samples_folder() -> Path:
    """Answers where the sample contracts and precedents lie: in the package, or in the checkout it runs from."""
    package = Path(__file__).parent.parent
    places = (package / "examples", package.parent.parent / "examples")
    return next(place for place in places if (place / "precedents.jsonl").is_file())


def run(console: Console, samples: Path) -> None:
    """Tells the story from the start of the services to their end."""
    started = time.perf_counter()
    with ExitStack() as stack:
        with console.status("Starting PostgreSQL, a disk folder, parser workers and the embedding model …"):
            server = stack.enter_context(demo_server())
        console.print(f"[bold]1  Services[/], ready in {time.perf_counter() - started:.1f} s on {server.target}")
        for line in server.services:
            console.print(f"   {line}", markup=False, soft_wrap=True)
        dify = stack.enter_context(connect(server.target, token=server.token, app="demo"))
        story = Story(dify, console)
        documents = story.parse(story.upload(contracts(samples)))
        story.index(samples / "precedents.jsonl")
        story.search(documents)
        story.count(server)
        idle = server.memory_bytes() / MEGABYTE
        console.print(f"\nIdle again, all services together hold {idle:.0f} MB of memory, the model loaded.")
        console.print(
            NEXT_STEPS.format(difyrpc=program("difyrpc"), python=program("python")), markup=False, soft_wrap=True
        )
    console.print(f"Done in {time.perf_counter() - started:.1f} s; everything was stopped and removed.")


def program(name: str) -> str:
    """Answers how a program of this environment is called from here: by name where the shell finds it."""
    own = Path(sys.executable).with_name(name)
    if shutil.which(name) == str(own):
        return name
    return str(own.relative_to(Path.cwd())) if own.is_relative_to(Path.cwd()) else str(own)


def contracts(samples: Path) -> list[Path]:
    """Answers the sample contracts, PDF and DOCX."""
    return sorted(file for file in (samples / "contracts").iterdir() if file.suffix in {".pdf", ".docx"})


class Story:
    """What the demo does with the services; it notes every call for the metrics."""

    def __init__(self, dify: Dify, console: Console) -> None:
        """Takes a client of the running services."""
        self._dify = dify
        self._console = console
        self._observations: list[Observation] = []

    def upload(self, files: Sequence[Path]) -> list[File]:
        """Uploads files and shows how far each is."""
        self._console.print("\n[bold]2  FileStorage[/] takes the contracts")
        stored = []
        with self._progress(DownloadColumn()) as bars:
            for path in files:
                bar = bars.add_task(path.name, total=path.stat().st_size)
                stored.append(self._timed("upload", partial(self._put, path, bars, bar)))
        return stored

    def parse(self, files: Sequence[File]) -> list[ParsedDocument]:
        """Parses stored files and shows what was found in them."""
        self._console.print("\n[bold]3  DocumentParser[/] reads them by name")
        table = Table("contract", "pages", "elements", "tables", "clauses", "language", "ms")
        documents = []
        for file in files:
            document = self._timed("parse", partial(self._parse, file))
            documents.append(document)
            tables = sum(element.kind == "table" for element in document.elements)
            counts = (document.info.page_count or "–", len(document.elements), tables, len(document.clauses))
            milliseconds = (self._observations[-1].seconds or 0) * 1000
            table.add_row(file.display_name, *map(str, counts), document.info.language, f"{milliseconds:.0f}")
        self._console.print(table)
        return documents

    def index(self, file: Path) -> None:
        """Indexes the precedents, Chinese and English in one collection."""
        points = [as_point(json.loads(line)) for line in file.read_text().splitlines()]
        self._console.print(f"\n[bold]4  VectorSearch[/] indexes {len(points)} precedents, then searches")
        self._dify.vectors.create_collection(COLLECTION)
        with self._progress(MofNCompleteColumn()) as bars:
            for first in bars.track(range(0, len(points), UPSERT_POINTS), description="indexing, in batches"):
                batch = points[first : first + UPSERT_POINTS]
                self._timed("upsert", partial(self._dify.vectors.upsert, COLLECTION, batch))

    def search(self, documents: Sequence[ParsedDocument]) -> None:
        """Searches with every clause and shows the best matches of each contract."""
        clauses = [clause for document in documents for clause in document.clauses if clause.text.strip()]
        with self._progress(MofNCompleteColumn()) as bars, ThreadPoolExecutor(SEARCHES_AT_ONCE) as pool:
            answers = pool.map(self._search, clauses)
            found = list(bars.track(answers, total=len(clauses), description="searching, a call a clause"))
        matches = [Match(clause=clause, hits=hits) for clause, hits in zip(clauses, found, strict=True) if hits]
        self._console.print(matches_table(matches))
        for name, is_kind in (("Chinese", is_chinese), ("English", lambda text: not is_chinese(text))):
            ours = [match for match in matches if is_kind(match.clause.text)]
            same = sum(is_kind(match.hits[0].text) for match in ours)
            self._console.print(f"   {same} of {len(ours)} {name} clauses found a precedent in {name} first.")

    def count(self, server: DemoServer) -> None:
        """Records every call of the demo, then asks what was recorded: over gRPC and at /metrics."""
        self._console.print("\n[bold]5  MetricsCollector[/] counted what happened")
        self._dify.metrics.record(*self._observations)
        usage = self._dify.metrics.query_usage(
            quantities=["calls", "tokens", "duration"],
            group_by=["operation"],
            percentiles=[50, 95],
            end=datetime.now(UTC) + timedelta(minutes=1),
        )
        self._console.print(usage_table(usage))
        with urllib.request.urlopen(server.metrics_url, timeout=10) as answer:  # noqa: S310  # our own, on loopback
            exposed = answer.read().decode()
        tokens = usage.total.tokens
        shown = sum(float(value) for value in TOKENS_SHOWN.findall(exposed))
        self._console.print(f"   /metrics shows {shown:.0f} tokens, QueryUsage {tokens.input if tokens else 0}.")

    def _put(self, path: Path, bars: Progress, bar: TaskID) -> File:
        return self._dify.files.upload(path, progress=lambda durable, _: bars.update(bar, completed=durable))

    def _parse(self, file: File) -> ParsedDocument:
        return self._dify.documents.parse(file, outputs=["elements", "clauses"])

    def _search(self, clause: Clause) -> Sequence[Hit]:
        answer = self._timed("search", partial(self._dify.vectors.search, COLLECTION, clause.text, limit=HITS))
        return answer.hits

    def _timed(self, operation: str, work: Callable[[], T]) -> T:
        """Does one call and notes its duration and the tokens that the embedding model read for it."""
        started = time.perf_counter()
        answer = work()
        usage = getattr(answer, "usage", None)
        observation = Observation(
            app="demo",
            operation=operation,
            provider="difyrpc",
            model=getattr(usage, "model", ""),
            input_tokens=getattr(usage, "tokens", 0),
            seconds=time.perf_counter() - started,
        )
        self._observations.append(observation)
        return answer

    def _progress(self, count: ProgressColumn) -> Progress:
        columns = (TextColumn("   {task.description:<28}"), BarColumn(), count)
        return Progress(*columns, TimeElapsedColumn(), console=self._console)


@dataclass(frozen=True, kw_only=True)
class Match:
    """A clause and the precedents that it found, best first."""

    clause: Clause
    hits: Sequence[Hit]


def as_point(precedent: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """Makes a point of one line of the precedents: id, text, and the rest as metadata."""
    metadata = {name: value for name, value in precedent.items() if name != "text"}
    return precedent["case_id"], precedent["text"], metadata


def matches_table(matches: Sequence[Match]) -> Table:
    """Shows the surest matches of each language, in the order of the contract."""
    table = Table("clause", "its text", "best precedent", "score")
    for ours in (lambda match: is_chinese(match.clause.text), lambda match: not is_chinese(match.clause.text)):
        best = sorted(filter(ours, matches), key=lambda match: match.hits[0].score)[-SHOWN_CLAUSES:]
        for match in sorted(best, key=matches.index):
            hit = match.hits[0]
            found = f"{hit.case_id}: {hit.metadata['topic']}"
            table.add_row(Text(match.clause.number), shortened(match.clause), Text(found), f"{hit.score:.2f}")
        table.add_section()
    return table


def usage_table(usage: UsageReport) -> Table:
    """Shows calls, tokens and percentiles of each operation."""
    table = Table("operation", "calls", "tokens", "p50 ms", "p95 ms")
    for series in usage.series:
        table.add_row(series.labels[0], *figures(series.total))
    table.add_section()
    table.add_row("all", *figures(usage.total))
    return table


def figures(usage: Usage) -> list[str]:
    """Answers the numbers of one row."""
    percentiles = usage.duration.percentiles if usage.duration else ()
    tokens = usage.tokens.input if usage.tokens else 0
    return [str(usage.calls), str(tokens), *(f"{percentile.seconds * 1000:.1f}" for percentile in percentiles)]


def shortened(clause: Clause) -> Text:
    """Answers the beginning of a clause on one line, without the number."""
    text = " ".join(clause.text.removeprefix(clause.number).split())
    cut = Text(text)
    cut.truncate(TEXT_WIDTH, overflow="ellipsis")
    return cut


def is_chinese(text: str) -> bool:
    """Answers whether a text is Chinese rather than English."""
    return len(HAN.findall(text)) > len(text) / 5
