"""`difyrpc parse`: reads one document here, with the parser and the settings of a server, and prints what is in it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final

import click
import uvloop
from google.protobuf import json_format
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from difyrpc_services.commands.failing import clear_errors
from difyrpc_services.documents import messages
from difyrpc_services.documents.checks import bad_option
from difyrpc_services.documents.chunking import Chunking
from difyrpc_services.documents.core import Assembled
from difyrpc_services.documents.formats.reading import Notice
from difyrpc_services.documents.service import alone
from difyrpc_services.documents.settings import DocumentsSettings
from difyrpc_services.documents.values import Output, Parsed, ParseOptions, Part, Source, Summary
from difyrpc_services.documents.values import Progress as Pages

# What to ask for, by what is to be printed.
OUTPUTS: Final[Mapping[str, tuple[Output, ...]]] = {
    "text": ("text",),
    "markdown": ("markdown",),
    "json": ("elements", "clauses"),
    "chunks": ("chunks",),
    "clauses": ("clauses",),
}
ASKED: Final = "-"  # stands for what is typed or piped
_RANGE: Final = re.compile(r"(\d+)(?:-(\d*))?")


@click.command("parse")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True, exists=True))
@click.option("--to", "form", type=click.Choice(list(OUTPUTS)), default="markdown", show_default=True)
@click.option("--pages", default="", help="Pages to read, as 1-3,7,9-; without it, all.")
@click.option("--password", default="", help="Of an encrypted document; - asks for it.")
@click.option("--ocr", type=click.Choice(["default", "never", "auto", "always"]), default="default")
@click.option("--size", type=int, default=1_000, show_default=True, help="Greatest length of a chunk in characters.")
@click.option("--overlap", type=int, default=0, show_default=True, help="What a chunk repeats of the one before.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="File to write; without it, stdout.")
@clear_errors
def command(file: Path, form: str, pages: str, password: str, output: Path | None, **chosen: Any) -> None:
    """Read one document and print it as Markdown, text or JSON; chunks and clauses are JSON, one a line.

    FILE may be - for the standard input. The settings are those of the server, DIFYRPC_DOCUMENTS_…; the document is
    read in a confined process, as there. What was coped with goes to stderr.
    """
    if password == ASKED:
        password = click.prompt("password", hide_input=True, err=True)
    options = ParseOptions(
        outputs=OUTPUTS[form],
        pages=page_ranges(pages),
        password=password,
        ocr=chosen["ocr"],
        chunking=Chunking(size=chosen["size"], overlap=chosen["overlap"]),
    )
    content, name = (sys.stdin.buffer.read(), "") if str(file) == ASKED else (file.read_bytes(), file.name)
    parsed = uvloop.run(_parsed(Source(content=content, name=name), options))
    for notice in parsed.notices:
        click.echo(_complaint(notice), err=True)
    with click.open_file(str(output) if output else "-", "w", encoding="utf-8") as out:
        out.writelines(f"{line}\n" for line in lines(parsed, form))


def page_ranges(text: str) -> tuple[tuple[int, int], ...]:
    """Reads `1-3,7,9-`; BAD_OPTION for anything else."""
    found = [(part, _RANGE.fullmatch(part.strip())) for part in text.split(",") if text]
    if wrong := [part for part, match in found if match is None]:
        raise bad_option("--pages", f"{wrong[0]!r} is no page and no range as 1-3 or 9-")
    return tuple(_range(match) for _, match in found if match)


def _range(match: re.Match[str]) -> tuple[int, int]:
    first, last = int(match[1]), match[2]
    return first, first if last is None else int(last or 0)


def lines(parsed: Parsed, form: str) -> Iterable[str]:
    """Answers what is printed of a document."""
    if form in ("text", "markdown"):
        return [parsed.text if form == "text" else parsed.markdown]
    if form == "json":
        return [_json(messages.parsed_message(parsed), indent=2)]
    if form == "clauses":
        return [_json(messages.clause_message(clause)) for clause in parsed.clauses]
    return [_json(messages.chunk_message(chunk)) for chunk in parsed.chunks]


def _json(message: Any, indent: int | None = None) -> str:
    """Answers a message as services and grpcurl show it, with the names of the contract."""
    return json_format.MessageToJson(message, preserving_proto_field_name=True, indent=indent, ensure_ascii=False)


async def _parsed(source: Source, options: ParseOptions) -> Parsed:
    whole = Assembled()
    async with alone(DocumentsSettings.from_env(os.environ)) as documents:
        with _shown() as tell:
            async for part in documents.parse_stream("local", source, options):
                whole.add(part)
                tell(part)
    return whole.parsed()


def _shown() -> Any:
    """Opens a bar on a terminal; answers what takes each part."""
    console = Console(stderr=True)
    if not console.is_terminal:
        return nullcontext(lambda part: None)
    return _Bar(console)


class _Bar(Progress):
    """Pages that are done, of those that are read."""

    def __init__(self, console: Console) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        super().__init__(*columns, console=console, transient=True)

    def __enter__(self) -> Callable[[Part | Summary], None]:  # type: ignore[override]  # what it is entered for
        super().__enter__()
        task = self.add_task("pages", total=None)

        def tell(part: Part | Summary) -> None:
            if isinstance(part, Pages):
                self.update(task, completed=part.done, total=part.total)

        return tell


def _complaint(notice: Notice) -> str:
    place = f"page {notice.page}: " if notice.page else ""
    return f"difyrpc: warning: {place}{notice.message} ({notice.reason})"
