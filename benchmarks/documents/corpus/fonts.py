"""Finds the fonts of this machine that documents are set in."""

from __future__ import annotations

from pathlib import Path

FOLDERS = (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"), Path.home() / ".fonts")
LATIN = ("LiberationSerif-Regular.ttf", "DejaVuSerif.ttf")
SANS = ("LiberationSans-Regular.ttf", "DejaVuSans.ttf")
CHINESE = ("gbsn00lp.ttf", "wqy-microhei.ttc", "wqy-zenhei.ttc", "DroidSansFallbackFull.ttf")


def font(names: tuple[str, ...]) -> Path | None:
    """Answers the first of the fonts that is installed; None for none."""
    for name in names:
        for folder in FOLDERS:
            found = next(iter(folder.rglob(name)), None) if folder.is_dir() else None
            if found:
                return found
    return None
