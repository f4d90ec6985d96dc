"""PDFs by WeasyPrint: pages with running titles, footnotes and columns."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.documents.corpus.browser import BASE
from benchmarks.documents.corpus.markup import html
from benchmarks.documents.corpus.prose import Prose
from benchmarks.documents.corpus.story import Made

RUNNING = """
@page { size: A4; margin: 25mm 20mm; @top-left { content: "%s"; font-size: 8pt }
 @bottom-center { content: "Page " counter(page) " of " counter(pages); font-size: 8pt } }
"""
HEADER = "Harbour Works Ltd. - Annual review"
STYLES = {
    "running": ("en", BASE + RUNNING % HEADER),
    "justified-hyphens": ("en", BASE + RUNNING % HEADER + "p, li { text-align: justify; hyphens: auto }"),
    "two-columns-hyphens": (
        "en", BASE + RUNNING % HEADER + "body { columns: 2; font-size: 9pt; text-align: justify; hyphens: auto }"
        "h1 { column-span: all }",
    ),
    "wide-letters": ("en", BASE + "h1, h2 { letter-spacing: .25em }"),
    "chinese": ("zh", BASE + RUNNING % HEADER),
    "chinese-two-columns": ("zh", BASE + "body { columns: 2; font-size: 9pt } h1 { column-span: all }"),
    "mixed": ("mixed", BASE + RUNNING % HEADER),
}  # fmt: skip


def make(seed: int) -> Iterator[Made]:
    """Yields the files."""
    import weasyprint

    for name, (language, style) in STYLES.items():
        header = HEADER if "@top-left" in style else ""
        story = Prose(f"{seed} weasyprint {name}", language).story(name, 6, header=header, narrow="columns" in name)
        page = html(story, style=style)
        yield Made(name=f"{name}.pdf", data=weasyprint.HTML(string=page).write_pdf(), truth=story.truth())
