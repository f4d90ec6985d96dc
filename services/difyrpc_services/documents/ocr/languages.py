"""Languages as BCP 47 tags and as tesseract calls its models."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

_MODELS: Final = {
    "en": "eng", "zh": "chi_sim", "zh-hans": "chi_sim", "zh-cn": "chi_sim", "zh-sg": "chi_sim", "zh-hant": "chi_tra",
    "zh-tw": "chi_tra", "zh-hk": "chi_tra", "zh-mo": "chi_tra", "ja": "jpn", "ko": "kor", "de": "deu", "fr": "fra",
    "es": "spa", "it": "ita", "pt": "por", "nl": "nld", "ru": "rus", "uk": "ukr", "be": "bel", "bg": "bul",
    "pl": "pol", "cs": "ces", "sk": "slk", "sl": "slv", "hr": "hrv", "sr": "srp", "hu": "hun", "ro": "ron",
    "sv": "swe", "da": "dan", "nb": "nor", "nn": "nor", "no": "nor", "fi": "fin", "et": "est", "lv": "lav",
    "lt": "lit", "is": "isl", "ga": "gle", "el": "ell", "tr": "tur", "he": "heb", "ar": "ara", "fa": "fas",
    "ur": "urd", "hi": "hin", "bn": "ben", "ta": "tam", "te": "tel", "th": "tha", "vi": "vie", "id": "ind",
    "ms": "msa", "ca": "cat", "eu": "eus", "gl": "glg", "la": "lat", "ka": "kat", "hy": "hye", "kk": "kaz",
    "mn": "mon", "my": "mya", "km": "khm", "lo": "lao", "ne": "nep",
}  # fmt: skip
_TAGS: Final = {"chi_sim": "zh-Hans", "chi_tra": "zh-Hant"}


def model_of(tag: str) -> str:
    """Answers tesseract's model for a BCP 47 tag; empty if there is none."""
    parts = tag.strip().lower().replace("_", "-").split("-")
    for length in range(len(parts), 0, -1):
        model = _MODELS.get("-".join(parts[:length]))
        if model:
            return model
    return ""


def tags_of(models: Iterable[str]) -> tuple[str, ...]:
    """Answers the BCP 47 tags of tesseract's models, without those that are no language."""
    known = {model: _TAGS.get(model, tag) for tag, model in reversed(_MODELS.items())}
    return tuple(sorted(known[model] for model in models if model in known))


def language_of(tag: str) -> str:
    """Answers the language alone of a BCP 47 tag: `zh` of `zh-Hans-CN`."""
    return tag.strip().lower().replace("_", "-").split("-")[0]
