"""Reads subtitles (WebVTT, SubRip): what is said, cues joined to sentences, without the times."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from difyrpc_services.documents.elements import Element
from difyrpc_services.documents.formats.charset import decoded
from difyrpc_services.documents.formats.reading import Opened, ReadPart, ReadRequest, refuse_pages
from difyrpc_services.documents.formats.words import after

_TIMES: Final = re.compile(r"(?:\d+:)?\d{1,2}:\d\d[.,]\d{3}[ \t]+-->[ \t]+(?:\d+:)?\d{1,2}:\d\d[.,]\d{3}")
_VOICE: Final = re.compile(r"^<v(?:\.[^ >]*)?[ \t]+([^>]+)>")
_TAGS: Final = re.compile(r"</?[A-Za-z0-9][^>]*>|\{\\[^}]*\}")
_ENTITIES: Final = (("&lt;", "<"), ("&gt;", ">"), ("&nbsp;", " "), ("&lrm;", ""), ("&rlm;", ""), ("&amp;", "&"))
_ENDED: Final = re.compile(r"[.!?。！？…][\"'”’」』)）]*$")
MOST: Final = 600  # characters of a paragraph whose cues end no sentence
_NOT_SAID: Final = ("NOTE", "STYLE", "REGION", "WEBVTT")


def read(content: memoryview, request: ReadRequest) -> Iterator[Opened | ReadPart]:
    """Reads subtitles; NO_PAGES."""
    refuse_pages(request)
    text, notices = decoded(bytes(content))
    yield Opened(notices=notices)
    yield ReadPart(elements=[Element(id="", kind="paragraph", text=said) for said in _paragraphs(text)])


def _paragraphs(text: str) -> Iterator[str]:
    held = speaker = ""
    for voice, line in _cues(text):
        new = bool(voice) and voice != speaker
        if held and (new or _ENDED.search(held) or len(held) > MOST):
            yield held
            held = ""
        if new:
            speaker = voice
            held = f"{voice}:"
        held = after(held, line)
    if held:
        yield held


def _cues(text: str) -> Iterator[tuple[str, str]]:
    """Answers who speaks, if it is stated, and what is said, by lines of cues."""
    for block in re.split(r"\n[ \t]*\n", text):
        lines = [line.strip() for line in block.split("\n")]
        at = next((place for place, line in enumerate(lines[:3]) if _TIMES.match(line)), None)
        if at is None:
            if not lines[0].startswith(_NOT_SAID):
                yield from (("", line) for line in lines if line and not line.isdigit())
            continue
        for line in lines[at + 1 :]:
            voice = _VOICE.match(line)
            said = _unescaped(_TAGS.sub("", line)).strip()
            if said:
                yield (voice.group(1).strip() if voice else ""), said


def _unescaped(text: str) -> str:
    for written, sign in _ENTITIES:
        text = text.replace(written, sign)
    return text
