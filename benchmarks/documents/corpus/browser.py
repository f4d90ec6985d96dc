"""PDFs by Chromium's printing: web pages as people save them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.documents.corpus.markup import html
from benchmarks.documents.corpus.programs import program, run
from benchmarks.documents.corpus.prose import Prose
from benchmarks.documents.corpus.story import Block, Heading, Made, Story, Text

BASE = """
body { font: 11pt/1.4 'Liberation Serif', 'AR PL SungtiL GB', 'WenQuanYi Micro Hei', serif; margin: 0 }
table { border-collapse: collapse; margin: 1em 0; font-size: 90% } td, th { padding: 3px 8px; text-align: left }
table.ruled td, table.ruled th { border: 1px solid #333 } .note { font-size: 75% }
figure { margin: 1em } @page { size: A4; margin: 20mm }
"""
STYLES = {
    "article": ("en", BASE),
    "justified": ("en", BASE + "p { text-align: justify; hyphens: auto }"),
    "two-columns": ("en", BASE + "body { columns: 2; font-size: 9pt } h1 { column-span: all }"),
    "three-columns": (
        "en",
        BASE + "body { columns: 3; font-size: 8pt; font-family: 'Liberation Sans' } table { font-size: 65% }",
    ),
    "sans-lines": (
        "en",
        BASE + "body { font-family: 'DejaVu Sans'; letter-spacing: .02em } h2 { text-transform: uppercase }",
    ),
    "chinese": ("zh", BASE),
    "chinese-sans": ("zh", BASE + "body { font-family: 'WenQuanYi Micro Hei' } p { text-indent: 2em }"),
    "chinese-two-columns": ("zh", BASE + "body { columns: 2; font-size: 9pt } h1 { column-span: all }"),
    "mixed": ("mixed", BASE),
}


def make(seed: int) -> Iterator[Made]:
    """Yields the files."""
    chromium = program("chromium", "chromium-browser", "google-chrome")
    for name, (language, style) in STYLES.items():
        story = Prose(f"{seed} browser {name}", language).story(name, 6, narrow="columns" in name)
        yield Made(name=f"{name}.pdf", data=_printed(chromium, html(story, style=style)), truth=story.truth())
    yield from _tables(seed, chromium)


def _tables(seed: int, chromium: str) -> Iterator[Made]:
    for language in ("en", "zh"):
        prose = Prose(f"{seed} browser tables {language}", language)
        for name, table in (
            ("bordered", prose.table(9)),
            ("bordered-wrapped", prose.table(7, wrapped=True)),
            ("bordered-spans", prose.spanning()),
            ("bordered-gaps", prose.table(9, gaps=True)),
            ("borderless", prose.table(9, ruled=False)),
            ("borderless-wrapped", prose.table(7, ruled=False, wrapped=True)),
            ("borderless-gaps", prose.table(9, ruled=False, gaps=True)),
        ):
            blocks: list[Block] = [Heading(1, prose.topic()), Text(prose.text()), table, Text(prose.text())]
            story = Story(name=f"table-{name}-{language}", blocks=blocks, language=language)
            style = BASE + ("table { width: 100% }" if "gaps" in name else "")
            yield Made(name=f"{story.name}.pdf", data=_printed(chromium, html(story, style=style)), truth=story.truth())


def _printed(chromium: str, page: str) -> bytes:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "page.html").write_text(page, encoding="utf-8")
        run(
            (
                chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                "--disable-background-networking", "--disable-component-update", "--disable-sync",
                f"--user-data-dir={folder / 'profile'}", "--no-pdf-header-footer", "--print-to-pdf=page.pdf",
                (folder / "page.html").as_uri(),
            ),
            folder=folder,
        )  # fmt: skip
        return (folder / "page.pdf").read_bytes()
