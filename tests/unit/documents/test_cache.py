"""Earlier answers are used again by the same tenant for the same question, and by nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

import made_documents as made
import pytest

from difyrpc_services.documents.backends.memory import MemoryBackend
from difyrpc_services.documents.cache import AnswerCache
from difyrpc_services.documents.chunking import Chunking
from difyrpc_services.documents.core import Documents
from difyrpc_services.documents.measures import CacheMeasures
from difyrpc_services.documents.settings import DocumentsSettings
from difyrpc_services.documents.values import ParseOptions, ParseTask, Part, Source, Summary
from difyrpc_services.runtime.errors import ServiceError

MIB = 1024 * 1024
EVERYTHING = ParseOptions(outputs=("text", "markdown", "elements", "clauses", "chunks"))
TEXT = Source(content="# Title\n\n第一条 甲方应当付款。\n\n| a | b |\n|---|---|\n| 1 | 2 |".encode(), name="a.md")


class GatedRun:
    """A run that begins when it may."""

    def __init__(self, run, gate: asyncio.Event) -> None:
        self._run = run
        self._gate = gate
        self.waiting_seconds = self.cpu_seconds = 0.0

    async def parts(self) -> AsyncGenerator[Part, None]:
        await self._gate.wait()
        async with aclosing(self._run.parts()) as parts:
            async for part in parts:
                yield part


class CountingBackend(MemoryBackend):
    """Counts what is really parsed."""

    def __init__(self) -> None:
        super().__init__()
        self.runs = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.begun = asyncio.Event()

    def run(self, tenant, task, content, *, seconds):
        self.runs += 1
        self.begun.set()
        return GatedRun(super().run(tenant, task, content, seconds=seconds), self.gate)


@pytest.fixture
def backend() -> CountingBackend:
    return CountingBackend()


@pytest.fixture
def cache() -> AnswerCache:
    return AnswerCache(MIB)


@pytest.fixture
def documents(backend: CountingBackend, cache: AnswerCache) -> Documents:
    return Documents(backend, limits=DocumentsSettings().limits, cache=cache)


async def streamed(documents: Documents, options: ParseOptions = EVERYTHING) -> list[Part | Summary]:
    async with aclosing(documents.parse_stream("a", TEXT, options)) as parts:
        return [part async for part in parts]


async def test_the_second_answer_is_the_first_one_again(documents, backend, cache):
    first = await documents.parse("a", TEXT, EVERYTHING)
    second = await documents.parse("a", TEXT, EVERYTHING)
    assert backend.runs == 1
    assert (first.usage.cached, second.usage.cached) == (False, True)
    second.usage = first.usage
    assert second == first
    assert first.elements
    assert first.chunks
    now = cache.status()
    assert (now.hits, now.misses, now.entries) == (1, 1, 1)
    assert 0 < now.size_bytes < 5_000


async def test_a_stream_gives_the_same_parts_again(documents, backend):
    *first, _ = await streamed(documents)
    *second, summary = await streamed(documents)
    assert [type(part) for part in first] == [type(part) for part in second]
    assert (await documents.parse("a", TEXT, EVERYTHING)).usage.cached
    assert (backend.runs, summary.usage.cached) == (1, True)


ANOTHER = {
    "tenant": ("b", TEXT, EVERYTHING),
    "document": ("a", replace(TEXT, content=b"# Other"), EVERYTHING),
    "kind of name": ("a", replace(TEXT, name="a.txt"), EVERYTHING),
    "outputs": ("a", TEXT, ParseOptions()),
    "chunking": ("a", TEXT, replace(EVERYTHING, chunking=Chunking(size=50))),
    "password": ("a", TEXT, replace(EVERYTHING, password="secret")),
    "limits": ("a", TEXT, replace(EVERYTHING, limits=replace(EVERYTHING.limits, pages=3))),
}


@pytest.mark.parametrize("asked", ANOTHER.values(), ids=ANOTHER)
async def test_another_question_gets_no_earlier_answer(documents, backend, asked):
    await documents.parse("a", TEXT, EVERYTHING)
    assert not (await documents.parse(*asked)).usage.cached
    assert backend.runs == 2


async def test_another_name_of_the_same_kind_and_another_patience_do(documents):
    await documents.parse("a", TEXT, EVERYTHING)
    patient = replace(EVERYTHING, limits=replace(EVERYTHING.limits, seconds=5.0))
    assert (await documents.parse("a", replace(TEXT, name="folder/b.MD"), patient)).usage.cached


def test_the_key_shows_nothing_and_differs_between_processes():
    task = ParseTask(name="a.pdf", media_type="", options=replace(EVERYTHING, password="secret"))
    keys = [AnswerCache(MIB).key("tenant", bytes(32), task) for _ in range(2)]
    assert keys[0] != keys[1]
    assert all(len(key) == 32 for key in keys)


async def test_a_right_password_opens_nothing_for_a_wrong_one(documents, backend):
    source = Source(content=made.pdf(made.lines("secret words"), password="right"), name="a.pdf")
    assert "secret words" in (await documents.parse("a", source, ParseOptions(password="right"))).text
    for password in ("", "wrong"):
        with pytest.raises(ServiceError, match="password") as caught:
            await documents.parse("a", source, ParseOptions(password=password))
        assert caught.value.reason == "ENCRYPTED"


async def test_refresh_parses_anew_and_keeps_and_bypass_does_neither(documents, backend):
    await documents.parse("a", TEXT, replace(EVERYTHING, cache="bypass"))
    assert not (await documents.parse("a", TEXT, replace(EVERYTHING, cache="refresh"))).usage.cached
    assert (await documents.parse("a", TEXT, EVERYTHING)).usage.cached
    assert not (await documents.parse("a", TEXT, replace(EVERYTHING, cache="refresh"))).usage.cached
    assert not (await documents.parse("a", TEXT, replace(EVERYTHING, cache="bypass"))).usage.cached
    assert backend.runs == 4


async def test_an_error_is_not_kept(documents, backend):
    for _ in range(2):
        with pytest.raises(ServiceError):
            await documents.parse("a", Source(content=b"%PDF-1.7 broken"), EVERYTHING)
    assert backend.runs == 2


async def test_a_stream_that_was_left_keeps_nothing(documents, cache):
    async with aclosing(documents.parse_stream("a", TEXT, EVERYTHING)) as parts:
        await anext(parts)
    assert cache.status().entries == 0


async def test_what_was_not_used_for_longest_makes_room(backend):
    cache = AnswerCache(8_000)
    documents = Documents(backend, limits=DocumentsSettings().limits, cache=cache)
    sources = [Source(content=f"Text {number}".encode()) for number in range(20)]
    for source in sources:
        await documents.parse("a", source, ParseOptions())
        assert cache.status().size_bytes <= 8_000
        await documents.parse("a", sources[0], ParseOptions())
    now = cache.status()
    assert now.dropped == 20 - now.entries > 0
    assert now.hits == 20
    assert backend.runs == 20


async def test_an_answer_that_is_too_long_is_not_kept(backend):
    cache = AnswerCache(4_000)
    documents = Documents(backend, limits=DocumentsSettings().limits, cache=cache)
    text = " ".join(str(number * number) for number in range(2_000))
    for _ in range(2):
        parsed = await documents.parse("a", Source(content=text.encode()), ParseOptions())
        assert parsed.text == text
    assert (backend.runs, cache.status().entries) == (2, 0)


async def test_without_memory_nothing_is_kept(backend):
    cache = AnswerCache(0)
    documents = Documents(backend, limits=DocumentsSettings().limits, cache=cache)
    for _ in range(2):
        assert not (await documents.parse("a", TEXT, EVERYTHING)).usage.cached
    assert (cache.status().entries, cache.status().misses) == (0, 0)


async def test_calls_that_ask_the_same_at_once_are_parsed_once_a_tenant(documents, backend):
    backend.gate.clear()
    calls = [asyncio.ensure_future(documents.parse(tenant, TEXT, EVERYTHING)) for tenant in "aaab"]
    await backend.begun.wait()
    await asyncio.sleep(0)
    backend.gate.set()
    cached = [(await call).usage.cached for call in calls]
    assert cached == [False, True, True, False]
    assert backend.runs == 2


async def test_who_waits_goes_on_alone_when_the_call_ahead_is_left(documents, backend):
    backend.gate.clear()
    ahead = asyncio.ensure_future(documents.parse("a", TEXT, EVERYTHING))
    await backend.begun.wait()
    behind = asyncio.ensure_future(documents.parse("a", TEXT, EVERYTHING))
    await asyncio.sleep(0)
    ahead.cancel()
    backend.gate.set()
    assert not (await behind).usage.cached
    assert ahead.cancelled()


async def test_a_stream_waits_for_no_other_call(documents, backend):
    backend.gate.clear()
    ahead = asyncio.ensure_future(documents.parse("a", TEXT, EVERYTHING))
    await backend.begun.wait()
    backend.begun.clear()
    stream = asyncio.ensure_future(streamed(documents))
    await backend.begun.wait()
    backend.gate.set()
    await asyncio.gather(ahead, stream)
    assert backend.runs == 2


async def test_the_cache_is_measured(documents, cache):
    for _ in range(3):
        await documents.parse("a", TEXT, EVERYTHING)
    found = {sample.name: sample.value for metric in CacheMeasures(cache.status).collect() for sample in metric.samples}
    assert found.pop("difyrpc_documents_cache_bytes") > 0
    assert found == {
        "difyrpc_documents_cache_hits_total": 2,
        "difyrpc_documents_cache_misses_total": 1,
        "difyrpc_documents_cache_dropped_total": 0,
        "difyrpc_documents_cache_answers": 1,
    }
