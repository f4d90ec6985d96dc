"""Keeps whole answers in memory, those used last, and gives them to the same question of the same tenant.

Each server process has its own, which ends with it: an answer never outlives the parser that made it.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
import zlib
from collections import OrderedDict
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Final, Self

from difyrpc_services.documents.formats.reading import Notice
from difyrpc_services.documents.values import CachePolicy, Finished, ParseTask, Part
from difyrpc_services.documents.wire import pack, pack_task, unpack

BLOCK_BYTES: Final = 64 * 1024  # packed parts that are compressed together, and read again at once: about 2 ms
OF_ALL: Final = 4  # one answer may take so many parts of the whole cache as one divided by this
_ENTRY_BYTES: Final = 512  # what an entry takes beside its blocks
_LENGTH: Final = 4  # bytes of the length before each part
_PASSING: Final = frozenset({"OCR_FAILED"})
"""Notices of what may go better the next time: such an answer is not kept."""


@dataclass(frozen=True, kw_only=True)
class CacheStatus:
    """What the cache holds and has done so far."""

    hits: int
    misses: int
    dropped: int
    """Answers that made room for others."""
    entries: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Answer:
    """One whole answer: compressed blocks of packed parts."""

    blocks: tuple[bytes, ...]
    size_bytes: int


class AnswerCache:
    """Holds answers up to a number of bytes."""

    def __init__(self, most_bytes: int) -> None:
        """Takes how much may be held; with 0 it does nothing."""
        self._most_bytes = most_bytes
        self._answers: OrderedDict[bytes, Answer] = OrderedDict()
        self._secret = secrets.token_bytes(32)
        self._size = self._hits = self._misses = self._dropped = 0
        self._parsing: dict[bytes, asyncio.Event] = {}

    def key(self, tenant: str, sha256: bytes, task: ParseTask) -> bytes:
        """Answers what stands for a tenant's question: a keyed hash, so that no password can be found from it.

        Of the name only the ending counts, since it alone is a hint; the time that a caller allows does not.
        """
        limits = replace(task.options.limits, seconds=0.0)
        options = replace(task.options, limits=limits, cache="use")
        asked = replace(task, name=PurePosixPath(task.name.replace("\\", "/")).suffix.lower(), options=options)
        digest = hashlib.blake2b(key=self._secret, digest_size=32)
        for piece in (tenant.encode("utf-8", "surrogatepass"), sha256, pack_task(asked)):
            digest.update(len(piece).to_bytes(8, "big") + piece)
        return digest.digest()

    def found(self, key: bytes) -> Answer | None:
        """Answers what is held."""
        answer = self._answers.get(key)
        if answer is None:
            self._misses += 1
            return None
        self._hits += 1
        self._answers.move_to_end(key)
        return answer

    def recording(self) -> Recording:
        """Answers what an answer is recorded with while it passes."""
        return Recording(self._most_bytes // OF_ALL)

    def keep(self, key: bytes, answer: Answer | None) -> None:
        """Holds an answer, unless it is None, and lets go those that were not used for longest."""
        if answer is None:
            return
        self._drop(key)
        self._answers[key] = answer
        self._size += answer.size_bytes
        while self._size > self._most_bytes:
            self._drop(next(iter(self._answers)))
            self._dropped += 1

    def _drop(self, key: bytes) -> None:
        answer = self._answers.pop(key, None)
        if answer is not None:
            self._size -= answer.size_bytes

    def use(self, key: bytes, policy: CachePolicy, *, patient: bool) -> CacheUse:
        """Answers one call's use of it; a `patient` one waits for another that asks the same already."""
        return CacheUse(self, Turn(key, self._parsing), policy if self._most_bytes else "bypass", patient=patient)

    def status(self) -> CacheStatus:
        """Answers what it holds and has done so far."""
        return CacheStatus(
            hits=self._hits,
            misses=self._misses,
            dropped=self._dropped,
            entries=len(self._answers),
            size_bytes=self._size,
        )


class Turn:
    """Lets the first of several calls go ahead and the others wait for its end, however it ends."""

    def __init__(self, key: bytes, parsing: dict[bytes, asyncio.Event]) -> None:
        self.key = key
        self._parsing = parsing
        self._ended: asyncio.Event | None = None

    async def wait(self) -> None:
        """Waits for the call ahead, if there is one; else goes ahead itself until `end`."""
        ahead = self._parsing.get(self.key)
        if ahead is not None:
            await ahead.wait()
        else:
            self._ended = self._parsing[self.key] = asyncio.Event()

    def end(self) -> None:
        """Lets those behind go on."""
        if self._ended is not None:
            self._ended.set()
            del self._parsing[self.key]
            self._ended = None


class CacheUse:
    """What one call has of the cache: an earlier answer, or the keeping of its own."""

    def __init__(self, cache: AnswerCache, turn: Turn, policy: CachePolicy, *, patient: bool) -> None:
        self.earlier: ReplayedRun | None = None
        """The answer to be used."""
        self._cache = cache
        self._turn = turn
        self._policy = policy
        self._patient = patient
        self._recording: Recording | None = None

    async def __aenter__(self) -> Self:
        if self._policy == "use":
            await self._look()
        if self.earlier is None and self._policy != "bypass":
            self._recording = self._cache.recording()
        return self

    async def _look(self) -> None:
        began = time.monotonic()
        if self._patient:
            await self._turn.wait()
        answer = self._cache.found(self._turn.key)
        if answer is not None:
            self._turn.end()
            self.earlier = ReplayedRun(answer, waiting_seconds=time.monotonic() - began)

    async def __aexit__(self, *_: object) -> None:
        self._turn.end()

    def add(self, part: Part) -> None:
        """Takes the next part of the answer."""
        if self._recording is not None:
            self._recording.add(part)

    def keep(self) -> None:
        """Keeps the answer if it is whole."""
        if self._recording is not None:
            self._cache.keep(self._turn.key, self._recording.answer())


@dataclass(slots=True)
class Recording:
    """Takes the parts of one answer up to a number of bytes."""

    most_bytes: int
    _blocks: list[bytes] = field(default_factory=list)
    _items: list[bytes] = field(default_factory=list)
    _waiting: int = 0
    _size: int = _ENTRY_BYTES
    _whole: bool = False
    _given_up: bool = False

    def add(self, part: Part) -> None:
        """Takes the next part."""
        if self._given_up:
            return
        item = pack(part)
        self._items += (len(item).to_bytes(_LENGTH, "big"), item)
        self._waiting += len(item)
        self._whole = isinstance(part, Finished)
        if self._waiting >= BLOCK_BYTES or self._whole:
            self._close_block()
        if self._size > self.most_bytes or (isinstance(part, Notice) and part.reason in _PASSING):
            self._given_up = True
            self._blocks, self._items = [], []

    def _close_block(self) -> None:
        self._blocks.append(zlib.compress(b"".join(self._items), 1))
        self._size += len(self._blocks[-1])
        self._items, self._waiting = [], 0

    def answer(self) -> Answer | None:
        """Answers the whole; None for one that is too long, or has no end."""
        if self._given_up or not self._whole:
            return None
        return Answer(tuple(self._blocks), self._size)


class ReplayedRun:
    """An earlier answer, as if it were parsed now."""

    def __init__(self, answer: Answer, *, waiting_seconds: float) -> None:
        """Takes the answer, and how long the call waited for it."""
        self.waiting_seconds = waiting_seconds
        self.cpu_seconds = 0.0
        self._answer = answer

    async def parts(self) -> AsyncGenerator[Part, None]:
        """Answers the parts."""
        for block in self._answer.blocks:
            for part in _parts(block):
                yield part
            await asyncio.sleep(0)  # other calls have their turn


def _parts(block: bytes) -> Sequence[Part]:
    data = zlib.decompress(block)
    parts: list[Part] = []
    place = 0
    while place < len(data):
        begin = place + _LENGTH
        place = begin + int.from_bytes(data[place:begin], "big")
        parts.append(unpack(data[begin:place]))
    return parts
