"""What confined processes cost, and hostile documents beside others: `python -m benchmarks.isolation`.

The service's own core and workers are measured, without a network before them.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import time
import zipfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from statistics import median

import psutil
import uvloop
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from benchmarks import machine
from benchmarks.machine import ROOT
from difyrpc_services.documents.backends.memory import MemoryBackend
from difyrpc_services.documents.backends.workers import WorkersBackend
from difyrpc_services.documents.core import Backend, Documents
from difyrpc_services.documents.settings import DocumentsSettings
from difyrpc_services.documents.values import PagePart, ParseOptions, Source
from difyrpc_services.runtime.errors import ServiceError

PACKAGES = ("pypdfium2", "lxml", "resiliparse", "uvloop")
SMALL = ROOT / "examples/contracts/supply-agreement.pdf"
LARGE_BYTES = 5_000_000
PAGES = 1_500
HOSTILE = 16
PAGE_SIZE = (595, 842)  # points of A4
OPTIONS = ParseOptions(outputs=("text",))


def large() -> bytes:
    """Makes a document of 5 MB with little to read in it: what is measured is its way to the worker and back."""
    from PIL import Image

    noise = Image.frombytes("RGB", (1290, 1290), os.urandom(1290 * 1290 * 3))
    return drawn([lambda canvas: (canvas.drawImage(ImageReader(noise), 50, 50, 400, 400), line(canvas, 0))])


def many_pages() -> bytes:
    """Makes a document of 1,500 pages of text."""
    return drawn([lambda canvas, page=page: [line(canvas, page, row) for row in range(40)] for page in range(PAGES)])


def drawn(pages: list) -> bytes:
    """Makes a PDF whose pages are drawn by these functions."""
    file = io.BytesIO()
    canvas = Canvas(file, pagesize=PAGE_SIZE, pageCompression=1)
    for page in pages:
        page(canvas)
        canvas.showPage()
    canvas.save()
    return file.getvalue()


def line(canvas: Canvas, page: int, row: int = 0) -> None:
    """Writes one line."""
    canvas.drawString(72, 770 - 17 * row, f"Clause {page}.{row} The parties shall deliver what they owe on day {row}.")


def hostile() -> Iterator[bytes]:
    """Yields documents that are made to hurt."""
    yield zipped(**{"[Content_Types].xml": b"<Types/>", "word/document.xml": bytes(400_000_000)})
    yield b"<html><body>" + b"<div>" * 400_000
    yield b"<html><body>" + b"<table><tr><td>" * 60_000
    yield b"# " + b"[" * 300_000
    yield b"> " * 200_000 + b"x"
    yield drawn([lambda canvas: [line(canvas, n % 90, n % 45) for n in range(60_000)]])
    yield many_pages()[:-2_000]
    yield "第一条 ".encode() * 700_000


def zipped(**files: bytes) -> bytes:
    """Makes a zip file."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return made.getvalue()


@asynccontextmanager
async def opened(backend: Backend, settings: DocumentsSettings) -> AsyncIterator[Documents]:
    """Opens the core over a backend."""
    await backend.start()
    try:
        yield Documents(backend, limits=settings.limits)
    finally:
        await backend.stop()


def workers(settings: DocumentsSettings) -> WorkersBackend:
    """Makes the workers that the settings ask for."""
    return WorkersBackend(
        settings.worker_limits,
        workers=settings.worker_count,
        waiting=settings.queue,
        waiting_per_tenant=settings.queue,
        slow_workers=settings.slow_workers,
    )


async def seconds(documents: Documents, content: bytes) -> float:
    """Answers how long a parse takes."""
    began = time.perf_counter()
    await documents.parse("good", Source(content=content), OPTIONS)
    return time.perf_counter() - began


async def isolation(settings: DocumentsSettings, times: int) -> None:
    """Prints what the way to a worker costs."""
    content = large()
    async with opened(workers(settings), settings) as confined, opened(MemoryBackend(), settings) as here:
        found = [(await seconds(here, content), await seconds(confined, content)) for _ in range(times + 2)][2:]
    own, theirs = (median(side) * 1e3 for side in zip(*found, strict=True))
    cost = median(there - inside for inside, there in found) * 1e3
    print(f"{len(content) / 1e6:.1f} MB: {own:.2f} ms in this process, {theirs:.2f} ms in a worker")
    print(f"isolation costs {cost:.2f} ms (goal < 5)\n")


async def first_page(settings: DocumentsSettings, times: int) -> None:
    """Prints how soon the first page comes, and the others."""
    content = many_pages()
    options = ParseOptions(outputs=("elements", "text"))
    firsts, wholes = [], []
    async with opened(workers(settings), settings) as documents:
        for _ in range(max(2, times // 10)):
            began, first = time.perf_counter(), 0.0
            async for part in documents.parse_stream("good", Source(content=content), options):
                if isinstance(part, PagePart) and not first:
                    first = time.perf_counter() - began
            firsts.append(first)
            wholes.append(time.perf_counter() - began)
    first, whole = median(firsts) * 1e3, median(wholes)
    print(f"{PAGES:,} pages: the first after {first:.0f} ms (goal < 150), all after {whole:.1f} s\n")


async def beside_hostile(settings: DocumentsSettings, times: int) -> None:
    """Prints what a small document waits for while 16 callers send hostile ones without a pause."""
    small, harmful = SMALL.read_bytes(), list(hostile())
    settings = replace(settings, max_seconds=10.0, queue=256)
    async with opened(workers(settings), settings) as documents:
        await seconds(documents, small)
        alone = [await seconds(documents, small) for _ in range(times)]
        for tenant in ("evil", "good"):
            endings: dict[str, int] = {}
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(harm(documents, harmful, n, endings, tenant)) for n in range(HOSTILE)]
                await asyncio.sleep(1)
                beside = [await seconds(documents, small) for _ in range(times)]
                for task in tasks:
                    task.cancel()
            ratio = median(beside) / median(alone)
            whose = "another tenant" if tenant == "evil" else "the same tenant"
            print(
                f"small document: {median(alone) * 1e3:.0f} ms alone, {median(beside) * 1e3:.0f} ms "
                f"(longest {max(beside) * 1e3:.0f}) beside {HOSTILE} hostile ones of {whose}: {ratio:.2f} × (goal < 2)"
            )
            print(f"  the hostile ones ended so: {endings}")
    print()


async def harm(documents: Documents, contents: list[bytes], number: int, endings: dict[str, int], tenant: str) -> None:
    """Sends hostile documents until it is cancelled."""
    while True:
        number += 1
        try:
            await documents.parse(tenant, Source(content=contents[number % len(contents)]), ParseOptions())
            ending = "OK"
        except ServiceError as error:
            ending = error.reason
        endings[ending] = endings.get(ending, 0) + 1


async def growth(settings: DocumentsSettings, calls: int) -> None:
    """Prints the resident memory of server and workers after a tenth of the calls and after all."""
    contents = [
        path.read_bytes() for path in sorted(SMALL.parent.glob("*.*")) if path.suffix in (".pdf", ".docx", ".txt")
    ]
    async with opened(workers(settings), settings) as documents:
        early = 0
        for number in range(calls):
            await documents.parse("good", Source(content=contents[number % len(contents)]), OPTIONS)
            if number + 1 == calls // 10:
                early = resident()
        late = resident()
    grown = 100 * (late / early - 1)
    print(f"memory after {calls // 10:,} calls {early / 1e6:.0f} MB, after {calls:,} {late / 1e6:.0f} MB")
    print(f"it grew by {grown:.1f} % (goal ≤ 5)")


def resident() -> int:
    """Answers what this process and its children hold, shared pages counted once."""
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    return sum(process.memory_full_info().pss for process in processes)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.isolation", description=__doc__)
    parser.add_argument("--only", default="", help="isolation, first_page, beside_hostile or growth")
    parser.add_argument("--times", type=int, default=40, help="how often the short ones are done")
    parser.add_argument("--calls", type=int, default=10_000, help="calls of growth")
    options = parser.parse_args()
    settings = DocumentsSettings.from_env(os.environ)
    print(machine.described(PACKAGES), end="\n\n")
    for part, amount in ((isolation, options.times), (first_page, options.times), (beside_hostile, options.times)):
        if options.only in part.__name__:
            uvloop.run(part(settings, amount))
    if options.only in growth.__name__:
        uvloop.run(growth(settings, options.calls))


if __name__ == "__main__":
    main()
