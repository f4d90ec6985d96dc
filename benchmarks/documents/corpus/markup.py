"""Prints a story as HTML, for browsers, books and mail."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from benchmarks.documents.corpus.story import Block, Figure, Heading, Items, Story, Table, Text

PICTURE = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="240" height="80"><rect x="10" y="20" width="40" height="60" '
    'fill="#47b"/><rect x="70" y="5" width="40" height="75" fill="#b74"/></svg>'
)


def html(
    story: Story, *, style: str = "", head: str = "", notes: bool = True, before: str = "", after: str = ""
) -> str:
    """Answers a page; `before` and `after` stand around the body's blocks."""
    body = "\n".join(blocks(story, notes=notes))
    language = "zh-CN" if story.language == "zh" else "en"
    return (
        f'<!DOCTYPE html>\n<html lang="{language}">\n<head><meta charset="utf-8"><title>{escape(story.title)}</title>'
        f"{head}<style>{style}</style></head>\n<body>\n{before}{body}\n{after}</body>\n</html>\n"
    )


def blocks(story: Story, *, notes: bool = True) -> Iterator[str]:
    """Yields the blocks' markup; a note stands under its paragraph."""
    for block in story.blocks:
        yield _block(block, notes=notes)


def _block(block: Block, *, notes: bool) -> str:
    if isinstance(block, Heading):
        return f"<h{block.level}>{escape(block.text)}</h{block.level}>"
    if isinstance(block, Text):
        note = f'\n<p class="note">{escape(block.note)}</p>' if block.note and notes else ""
        return f"<p>{escape(block.text)}</p>{note}"
    if isinstance(block, Items):
        tag = "ol" if block.ordered else "ul"
        return f"<{tag}>\n" + "\n".join(f"<li>{escape(text)}</li>" for text in block.texts) + f"\n</{tag}>"
    if isinstance(block, Figure):
        return f"<figure>{PICTURE}<figcaption>{escape(block.caption)}</figcaption></figure>"
    return table(block)


def table(block: Table) -> str:
    """Answers a table, spans in it."""
    spans = {(row, column): (height, width) for row, column, height, width in block.spans()}
    rows = []
    for row, texts in enumerate(block.rows):
        tag = "th" if row == 0 else "td"
        cells = []
        for column, text in enumerate(texts):
            height, width = spans.get((row, column), (1, 1))
            more = (f' rowspan="{height}"' if height > 1 else "") + (f' colspan="{width}"' if width > 1 else "")
            if text is not None:
                cells.append(f"<{tag}{more}>{escape(text)}</{tag}>")
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return f'<table class="{"ruled" if block.ruled else "plain"}">\n' + "\n".join(rows) + "\n</table>"
