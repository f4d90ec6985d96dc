"""Hostile documents, each with its reason; the workers go on whatever comes."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import made_documents as made
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_documents import SENTENCE

from difyrpc_services.documents.backends.workers import WorkersBackend
from difyrpc_services.documents.core import Documents
from difyrpc_services.documents.values import Limits, ParseOptions, Source
from difyrpc_services.runtime.errors import Internal, ServiceError
from difyrpc_services.runtime.workers import WorkerLimits

MIB = 1 << 20
LIMITS = Limits(content_bytes=64 * MIB, pages=200, seconds=20.0, expanded_bytes=32 * MIB)
GOOD = made.pdf(made.lines("a good document of one line"))


@pytest.fixture
async def backend() -> AsyncIterator[WorkersBackend]:
    backend = WorkersBackend(WorkerLimits(memory_bytes=192 * MIB), workers=1, waiting=8, waiting_per_tenant=8)
    await backend.start()
    yield backend
    await backend.stop()


@pytest.fixture
def documents(backend: WorkersBackend) -> Documents:
    return Documents(backend, limits=LIMITS)


async def outcome(documents: Documents, content: bytes, **options: object) -> str:
    """The reason of the error, or `ok`."""
    try:
        await documents.parse("a", Source(content=content), ParseOptions(**options))
    except ServiceError as error:
        return error.reason
    return "ok"


async def still_works(documents: Documents) -> bool:
    parsed = await documents.parse("a", Source(content=GOOD), ParseOptions())
    return parsed.text == "a good document of one line"


def page_tree_loop() -> bytes:
    return (
        b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
        b"2 0 obj<</Type/Pages/Kids[2 0 R 2 0 R]/Count 1000000>>endobj\ntrailer<</Root 1 0 R>>"
    )


LOOP = "<w:p><w:r><w:t>&c;</w:t></w:r></w:p>"
HOSTILE = {
    "zip bomb": (made.container(word__document_xml=b" " * 60_000_000), {"TOO_LARGE"}),
    "entity bomb": (made.bare_word(LOOP, '<!DOCTYPE b [<!ENTITY c "aaaa">]>'), {"CORRUPT"}),
    "external entity": (made.bare_word(LOOP, '<!DOCTYPE b [<!ENTITY c SYSTEM "file:///etc/passwd">]>'), {"CORRUPT"}),
    "deep html": (b"<html>" + b"<div>" * 20_000 + b"x", {"ok"}),
    "deep word": (made.bare_word("<w:sdt><w:sdtContent>" * 5_000 + "</w:sdtContent></w:sdt>" * 5_000), {"ok"}),
    "deep markdown": (b"> " * 20_000 + b"x", {"ok"}),
    "truncated pdf": (made.pdf(made.lines(*[SENTENCE] * 30))[:700], {"CORRUPT", "ok"}),
    "pdf of a header": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", {"CORRUPT"}),
    "page tree that holds itself": (page_tree_loop(), {"CORRUPT", "TOO_LARGE", "ok"}),
    "zero bytes": (b"", {"EMPTY_CONTENT"}),
    "nothing but zeros": (bytes(100_000), {"UNSUPPORTED_TYPE"}),
    "program": (b"\x7fELF" + bytes(1000), {"UNSUPPORTED_TYPE"}),
    "encrypted pdf": (made.pdf(made.lines("x"), password="p"), {"ENCRYPTED"}),
    "scan": (made.pdf(made.picture), {"NEEDS_OCR"}),
    "too many pages": (made.pdf(*[made.lines("x")] * 201), {"TOO_LARGE"}),
    "one endless line": (b"word " * 1_000_000, {"ok"}),
    "many short lines": (b"(a)\n" * 20_000, {"ok", "TIMED_OUT"}),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_document_is_one_calls_error(documents: Documents, name: str) -> None:
    content, reasons = HOSTILE[name]
    assert await outcome(documents, content) in reasons
    assert await still_works(documents)


async def test_a_mislabelled_document_is_read_for_what_it_is(documents: Documents) -> None:
    parsed = await documents.parse("a", Source(content=GOOD, name="notes.docx"), ParseOptions())
    assert parsed.info.format == "pdf"
    assert [notice.reason for notice in parsed.notices] == ["TYPE_DISAGREES"]


async def test_a_worker_killed_in_the_middle_is_one_calls_error(documents: Documents, backend: WorkersBackend) -> None:
    content = made.pdf(*[made.lines(*[SENTENCE] * 40)] * 150)
    parts = documents.parse_stream("a", Source(content=content), ParseOptions())
    await anext(parts)
    for pid in backend.pids():
        os.kill(pid, signal.SIGKILL)
    with pytest.raises(Internal) as caught:
        async for _ in parts:
            pass
    assert caught.value.reason == "PARSER_CRASHED"
    assert caught.value.metadata["cause"] == "SIGKILL"
    assert await still_works(documents)


async def test_a_document_that_takes_too_long_is_stopped(documents: Documents) -> None:
    content = made.pdf(*[made.lines(*[SENTENCE] * 50)] * 200)
    assert await outcome(documents, content, limits=Limits(seconds=0.05)) == "TIMED_OUT"
    assert await still_works(documents)


async def test_leaving_a_stream_frees_the_worker(documents: Documents) -> None:
    content = made.pdf(*[made.lines(*[SENTENCE] * 40)] * 150)
    parts = documents.parse_stream("a", Source(content=content), ParseOptions())
    await anext(parts)
    await parts.aclose()
    assert await still_works(documents)


async def test_many_hostile_documents_at_once_leave_the_good_ones_alone(documents: Documents) -> None:
    names = ["zip bomb", "deep word", "truncated pdf", "nothing but zeros"]
    contents = [HOSTILE[name][0] for name in names] + [GOOD] * 4
    results = await asyncio.gather(*(outcome(documents, content) for content in contents))
    assert results[4:] == ["ok"] * 4


HEADS = (
    b"",
    b"%PDF-1.4\n",
    b"PK\x03\x04",
    b"<html>",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    b"{\\rtf",
    b"# ",
    b"\xff\xfe",
)


async def test_random_bytes_give_a_document_or_an_error_with_a_reason(documents: Documents) -> None:
    loop = asyncio.get_running_loop()

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(HEADS), st.binary(max_size=600))
    def check(head: bytes, tail: bytes) -> None:
        reason = asyncio.run_coroutine_threadsafe(outcome(documents, head + tail), loop).result(30)
        assert reason not in {"PARSER_CRASHED", "TIMED_OUT", "OUT_OF_MEMORY"}

    await asyncio.to_thread(check)
    assert await still_works(documents)


async def test_damaged_documents_give_a_document_or_an_error_with_a_reason(documents: Documents) -> None:
    loop = asyncio.get_running_loop()
    whole = [
        made.pdf(made.lines(*[SENTENCE] * 5), made.grid([["a", "b"], ["c", "d"]])),
        made.word(lambda document: document.add_heading("Title", 1)),
    ]

    @settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        st.sampled_from(whole), st.lists(st.tuples(st.floats(0, 0.999), st.binary(min_size=1, max_size=8)), max_size=12)
    )
    def check(content: bytes, damages: list[tuple[float, bytes]]) -> None:
        data = bytearray(content)
        for place, damage in damages:
            begin = int(place * len(data))
            data[begin : begin + len(damage)] = damage
        assert asyncio.run_coroutine_threadsafe(outcome(documents, bytes(data)), loop).result(30)

    await asyncio.to_thread(check)
    assert await still_works(documents)
