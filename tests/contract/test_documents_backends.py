"""What every place where documents are parsed must do alike."""

from __future__ import annotations

from collections.abc import AsyncIterator

import made_documents as made
import pytest
from made_documents import SENTENCE

from difyrpc_services.documents.backends.memory import MemoryBackend
from difyrpc_services.documents.backends.workers import WorkersBackend
from difyrpc_services.documents.chunking import Chunking
from difyrpc_services.documents.core import Documents
from difyrpc_services.documents.settings import DocumentsSettings
from difyrpc_services.documents.values import (
    Highlight,
    Info,
    Limits,
    PagePart,
    ParseOptions,
    Progress,
    RenderTask,
    Source,
    SplitTask,
    Summary,
    TextPart,
)
from difyrpc_services.runtime.errors import InvalidArgument, ResourceExhausted, ServiceError

ALL = ("text", "markdown", "elements", "clauses", "chunks")
SETTINGS = DocumentsSettings(workers=1)


def backend_of(name: str):
    if name == "memory":
        return MemoryBackend()
    return WorkersBackend(SETTINGS.worker_limits, workers=1, waiting=8, waiting_per_tenant=8)


@pytest.fixture(params=["memory", "workers"])
async def documents(request: pytest.FixtureRequest) -> AsyncIterator[Documents]:
    backend = backend_of(request.param)
    await backend.start()
    yield Documents(backend, limits=SETTINGS.limits)
    await backend.stop()


async def pieces(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def test_a_document_is_answered_in_all_forms(documents: Documents) -> None:
    content = b"# Terms\n\n1. The first obligation is here.\n\n| A | B |\n|---|---|\n| 1 | 2 |\n"
    parsed = await documents.parse("a", Source(content=content, name="a.md"), ParseOptions(outputs=ALL))
    assert parsed.info.format == "markdown"
    assert parsed.info.content_bytes == len(content)
    assert parsed.text == "Terms\n\n1. The first obligation is here.\n\nA\tB\n1\t2"
    assert parsed.markdown.startswith("# Terms\n\n1\\. The first obligation is here.\n\n| A | B |")
    assert [element.id for element in parsed.elements] == ["e1", "e2", "e3"]
    assert parsed.elements[2].table is not None
    assert parsed.elements[2].table.grid() == [["A", "B"], ["1", "2"]]
    assert parsed.elements[2].heading_path == ("Terms",)
    assert parsed.chunks[0].text.startswith("Terms\n\n")


async def test_text_and_clauses_come_unasked(documents: Documents) -> None:
    text = "第一条 甲方应当付款。\n第二条 乙方应当交货。\n第三条 本合同一式两份。\n"
    parsed = await documents.parse("a", Source(content=text.encode()), ParseOptions())
    assert [clause.number for clause in parsed.clauses] == ["第一条", "第二条", "第三条"]
    assert parsed.text.startswith("第一条")
    assert (parsed.elements, parsed.chunks, parsed.markdown) == ([], [], "")


async def test_pages_come_one_by_one(documents: Documents) -> None:
    content = made.pdf(*[made.lines(f"This is page number {number} here.") for number in (1, 2, 3)])
    options = ParseOptions(outputs=("text", "elements"), pages=((2, 0),))
    parts = [
        part async for part in documents.parse_stream("a", Source(chunks=pieces(content[:500], content[500:])), options)
    ]
    assert [type(part) for part in parts] == [Info, *[PagePart, TextPart, Progress] * 2, Summary]
    assert [part.page for part in parts if isinstance(part, PagePart)] == [2, 3]
    assert [(part.done, part.total) for part in parts if isinstance(part, Progress)] == [(1, 2), (2, 2)]
    summary = parts[-1]
    assert isinstance(summary, Summary)
    assert (summary.info.page_count, summary.usage.pages, summary.elements) == (3, 2, 2)


async def test_errors_keep_their_reason_and_metadata(documents: Documents) -> None:
    content = made.pdf(made.lines("x"), password="p")
    with pytest.raises(InvalidArgument) as caught:
        await documents.parse("a", Source(content=content), ParseOptions())
    assert caught.value.reason == "ENCRYPTED"
    assert caught.value.metadata == {"format": "pdf", "password": "missing"}


async def test_a_call_lowers_limits_and_never_raises_them(documents: Documents) -> None:
    content = made.pdf(*[made.lines("x")] * 3)
    with pytest.raises(ResourceExhausted):
        await documents.parse("a", Source(content=content), ParseOptions(limits=Limits(pages=2)))
    with pytest.raises(ResourceExhausted) as caught:
        await documents.parse("a", Source(content=content), ParseOptions(limits=Limits(content_bytes=10)))
    assert caught.value.metadata == {"limit": "content_bytes", "value": "10"}
    parsed = await documents.parse("a", Source(content=content), ParseOptions(limits=Limits(pages=10**9, seconds=1e9)))
    assert parsed.usage.pages == 3


async def test_a_page_is_rendered(documents: Documents) -> None:
    content = made.pdf(made.lines(SENTENCE), made.lines("two"))
    mark = Highlight(left=70, top=70, right=200, bottom=90, color=0xFF000080)
    picture = await documents.render("a", Source(content=content), RenderTask(page=2, dpi=72, highlights=(mark,)))
    assert picture.image.startswith(b"\x89PNG")
    assert (picture.width, picture.height, picture.page_count) == (596, 842, 2)


async def test_only_paged_documents_are_rendered(documents: Documents) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await documents.render("a", Source(content=b"text"), RenderTask())
    assert caught.value.reason == "UNSUPPORTED_TYPE"


async def test_text_is_split(documents: Documents) -> None:
    task = SplitTask(markdown=True, clauses="auto", chunking=Chunking(size=30))
    chunks = await documents.split("a", "# One\n\nfirst text\n\n# Two\n\nsecond text", task)
    assert [chunk.text for chunk in chunks] == ["One\n\nfirst text", "Two\n\nsecond text"]
    assert chunks[0].element_ids == ()


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (Source(), "NO_SOURCE"),
        (Source(content=b""), "EMPTY_CONTENT"),
        (Source(file="files/1"), "FILES_NOT_AVAILABLE"),
        (Source(url="https://example.com/a.pdf"), "URL_SOURCES_OFF"),
        (Source(content=b"abc", size_bytes=4), "SIZE_DIFFERS"),
        (Source(content=b"abc", size_bytes=10**12), "TOO_LARGE"),
        (Source(content=b"abc", sha256=bytes(32)), "SHA256_DIFFERS"),
        (Source(content=b"\x00\x01\x02\x03" * 100), "UNSUPPORTED_TYPE"),
    ],
)
async def test_a_source_that_cannot_be_read_is_named(documents: Documents, source: Source, reason: str) -> None:
    with pytest.raises(ServiceError) as caught:
        await documents.parse("a", source, ParseOptions())
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("options", "field"),
    [
        (ParseOptions(outputs=("text", "text")), "options.outputs"),
        (ParseOptions(pages=((0, 1),)), "options.pages[0]"),
        (ParseOptions(pages=((3, 2),)), "options.pages[0]"),
        (ParseOptions(pages=((1, 3), (3, 4))), "options.pages[1]"),
        (ParseOptions(pages=((1, 0), (3, 4))), "options.pages[1]"),
        (ParseOptions(chunking=Chunking(size=19)), "options.chunking.size"),
        (ParseOptions(chunking=Chunking(overlap=501)), "options.chunking.overlap"),
        (ParseOptions(chunking=Chunking(boundary="separator")), "options.chunking.separator"),
        (ParseOptions(chunking=Chunking(mode="parent_child", child_size=2)), "options.chunking.child_size"),
    ],
)
async def test_an_option_out_of_range_names_its_field(documents: Documents, options: ParseOptions, field: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await documents.parse("a", Source(content=b"text"), options)
    assert caught.value.violations[0].field == field
