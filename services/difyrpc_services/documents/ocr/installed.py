"""Which engine reads scans here, and in which languages: found once, when the server is built."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Final

from difyrpc_services.documents.ocr.languages import language_of, model_of, tags_of
from difyrpc_services.runtime.settings import SettingsError

ASK_SECONDS: Final = 10.0  # for tesseract to list its languages
RAPID_LANGUAGES: Final = ("en", "zh-Hans", "zh-Hant")  # of the model that ships with rapidocr
_RAPID_NEEDS: Final = ("rapidocr", "onnxruntime", "cv2")


@dataclass(frozen=True, kw_only=True)
class InstalledEngine:
    """An engine that can be used."""

    name: str
    """`tesseract`, `rapidocr` or `http`."""
    languages: tuple[str, ...]
    """BCP 47 tags."""
    path: str = ""
    """Of the program, if it is one."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """What the program needs of the server's variables."""

    def models(self, tags: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Answers the languages of `tags` as the engine calls them, and the tags that it does not have."""
        if self.name == "tesseract":
            known = {tag: model_of(tag) for tag in tags}
            installed = {model_of(tag) for tag in self.languages}
        else:
            known = {tag: language_of(tag) for tag in tags}
            installed = {language_of(tag) for tag in self.languages}
        models = dict.fromkeys(model for model in known.values() if model in installed)
        return tuple(models), tuple(tag for tag, model in known.items() if model not in installed)


def find_engine(wanted: str, env: Mapping[str, str], *, languages: Sequence[str], url: str) -> InstalledEngine | None:
    """Answers the engine that a setting names, for `auto` the first that is there; SettingsError if it is not."""
    if wanted == "off":
        return None
    if wanted == "http" and not url:
        raise SettingsError("DIFYRPC_DOCUMENTS_OCR=http needs DIFYRPC_DOCUMENTS_OCR_URL")
    if wanted == "http" or (wanted == "auto" and url):
        return InstalledEngine(name="http", languages=tuple(languages))
    found = (_tesseract(env) if wanted in ("auto", "tesseract") else None) or (
        _rapidocr() if wanted in ("auto", "rapidocr") else None
    )
    if found is None and wanted != "auto":
        what = "the program tesseract with a language" if wanted == "tesseract" else "the extra difyrpc[ocr]"
        raise SettingsError(f"DIFYRPC_DOCUMENTS_OCR={wanted}: {what} is not installed")
    return found


def _tesseract(env: Mapping[str, str]) -> InstalledEngine | None:
    path = shutil.which("tesseract", path=env.get("PATH"))
    if path is None:
        return None
    variables = {name: env[name] for name in ("TESSDATA_PREFIX",) if name in env}
    try:
        listed = subprocess.run(
            [path, "--list-langs"],
            env={**variables, "PATH": os.defpath},
            capture_output=True,
            text=True,
            timeout=ASK_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    languages = tags_of(listed.stdout.split())
    if not languages:
        return None
    return InstalledEngine(name="tesseract", languages=languages, path=os.path.realpath(path), environment=variables)


def _rapidocr() -> InstalledEngine | None:
    if any(find_spec(name) is None for name in _RAPID_NEEDS):
        return None
    return InstalledEngine(name="rapidocr", languages=RAPID_LANGUAGES)
