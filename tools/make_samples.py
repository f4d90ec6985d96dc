"""Makes the sample contracts of examples/contracts out of their text sources, the same bytes on every run."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from sample_docx import chinese_docx
from sample_pdf import english_pdf
from sample_sources import FOLDER

MAKERS: dict[str, Callable[[], bytes]] = {
    "supply-agreement.pdf": english_pdf,
    "procurement-contract-zh.docx": chinese_docx,
}


def main(arguments: list[str] | None = None) -> None:
    """Writes the samples into a folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=Path, default=FOLDER, help="folder to write to (default: examples/contracts)")
    folder: Path = parser.parse_args(arguments).to
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in MAKERS.items():
        made = make()
        (folder / name).write_bytes(made)
        print(f"{name}: {len(made)} bytes")


if __name__ == "__main__":
    main()
