"""PDFs by LibreOffice out of DOCX, ODT and PPTX: what people export from a word processor."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.documents.corpus import word
from benchmarks.documents.corpus.programs import Missing, program, run
from benchmarks.documents.corpus.prose import Prose
from benchmarks.documents.corpus.story import Block, Heading, Made, Story, Text


def make(seed: int) -> Iterator[Made]:
    """Yields the files."""
    stories = list(_stories(seed))
    documents = [(f"{story.name}.docx", word.written(story, columns=columns)) for story, columns in stories]
    for (story, _), data in zip(stories, converted(documents, "pdf"), strict=True):
        yield Made(name=f"{story.name}.pdf", data=data, truth=story.truth(counting_on=True))


def _stories(seed: int) -> Iterator[tuple[Story, int]]:
    """Yields stories and the numbers of their columns."""
    for name, language, columns in (
        ("report", "en", 1),
        ("two-columns", "en", 2),
        ("three-columns", "en", 3),
        ("chinese", "zh", 1),
        ("chinese-two-columns", "zh", 2),
        ("mixed", "mixed", 1),
    ):
        header = "Harbour Works Ltd. Annual review" if columns == 1 else ""
        prose = Prose(f"{seed} writer {name}", language)
        yield prose.story(name, 6, header=header, footer="Draft" if header else "", narrow=columns > 1), columns
    for language in ("en", "zh"):
        prose = Prose(f"{seed} writer tables {language}", language)
        for name, table in (
            ("bordered", prose.table(9)),
            ("bordered-wrapped", prose.table(8, wrapped=True)),
            ("bordered-spans", prose.spanning()),
            ("bordered-gaps", prose.table(9, gaps=True)),
            ("borderless", prose.table(9, ruled=False)),
            ("borderless-wrapped", prose.table(8, ruled=False, wrapped=True)),
            ("borderless-gaps", prose.table(9, ruled=False, gaps=True)),
        ):
            blocks: list[Block] = [Heading(1, prose.topic()), Text(prose.text(2, 2)), table, Text(prose.text(2, 2))]
            yield Story(name=f"table-{name}-{language}", blocks=blocks, language=language), 1


def converted(documents: Sequence[tuple[str, bytes]], to: str) -> list[bytes]:
    """Answers documents in another format, all by one run of the program."""
    office = program("soffice", "libreoffice")
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "in").mkdir()
        for name, data in documents:
            (folder / "in" / name).write_bytes(data)
        profile = f"-env:UserInstallation={(folder / 'profile').as_uri()}"
        paths = [str(folder / "in" / name) for name, _ in documents]
        run((office, profile, "--headless", "--convert-to", to, "--outdir", str(folder), *paths), folder=folder)
        ending = to.partition(":")[0]
        results = [folder / f"{Path(name).stem}.{ending}" for name, _ in documents]
        missing = [path.name for path in results if not path.exists()]
        if missing:
            raise Missing(f"LibreOffice did not write {', '.join(missing)}")
        return [path.read_bytes() for path in results]
