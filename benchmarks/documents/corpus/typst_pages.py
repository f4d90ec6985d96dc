"""PDFs by Typst: subset OpenType fonts, justified and hyphenated."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.documents.corpus.prose import Prose
from benchmarks.documents.corpus.story import Block, Figure, Heading, Items, Made, Story, Table, Text

SPECIAL = re.compile(r"([\\#*_`$<>@=~\[\]/+-])")
CHINESE = '("Libertinus Serif", "AR PL SungtiL GB", "WenQuanYi Micro Hei")'
SETTINGS = '#set text(font: {font}, size: {size}pt, lang: "{language}")\n#set par(justify: true)\n'
LOOKS = {
    "article": ("en", "#set page(numbering: \"1\")\n", 10.5),
    "two-columns": ("en", "#set page(columns: 2)\n", 9.5),
    "three-columns": ("en", "#set page(columns: 3, margin: 1.2cm)\n", 8),
    "running": ("en", '#set page(header: [Harbour Works Ltd.], footer: [Confidential draft])\n', 11),
    "chinese": ("zh", "#set page(numbering: \"— 1 —\")\n", 10.5),
    "chinese-two-columns": ("zh", "#set page(columns: 2)\n", 9.5),
    "mixed": ("mixed", "", 10.5),
}  # fmt: skip


def make(seed: int) -> Iterator[Made]:
    """Yields the files."""
    import typst

    for name, (language, page, size) in LOOKS.items():
        header, footer = ("Harbour Works Ltd.", "Confidential draft") if name == "running" else ("", "")
        story = Prose(f"{seed} typst {name}", language).story(
            name, 6, header=header, footer=footer, narrow="columns" in name
        )
        text = SETTINGS.format(font=CHINESE, size=size, language=story.language) + page + source(story)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "page.typ")
            path.write_text(text, encoding="utf-8")
            data = typst.compile(str(path), font_paths=["/usr/share/fonts"], timestamp=1_700_000_000)
        yield Made(name=f"{name}.pdf", data=data, truth=story.truth())


def source(story: Story) -> str:
    """Answers a story as Typst's markup."""
    return "\n\n".join(_block(block) for block in story.blocks)


def _block(block: Block) -> str:
    if isinstance(block, Heading):
        return "=" * block.level + " " + _escaped(block.text)
    if isinstance(block, Text):
        return _escaped(block.text) + (f"\n\n#text(size: 0.8em)[{_escaped(block.note)}]" if block.note else "")
    if isinstance(block, Items):
        return "\n".join(("+ " if block.ordered else "- ") + _escaped(text) for text in block.texts)
    if isinstance(block, Figure):
        return f"#align(center)[#rect(width: 60%, height: 2cm)\n{_escaped(block.caption)}]"
    return _table(block)


def _table(table: Table) -> str:
    cells = ", ".join(f"[{_escaped(cell or '')}]" for row in table.rows for cell in row)
    stroke = "" if table.ruled else "stroke: none, "
    return f"#table(columns: {len(table.rows[0])}, {stroke}{cells})"


def _escaped(text: str) -> str:
    return re.sub(r"^(\d+)\.", r"\1\\.", SPECIAL.sub(r"\\\1", text))
