"""Documents: what is asked, what comes back, whole or as a stream."""

from __future__ import annotations

from pathlib import Path

import pytest

from difyrpc.documents.v1 import documents_pb2 as pb
from difyrpc.documents.v1 import documents_pb2_grpc, element_pb2, options_pb2
from difyrpc_client import (
    Box,
    Chunking,
    ClausePart,
    DataLoss,
    DocumentInfo,
    InvalidArgument,
    ParseOptions,
    ParseProgress,
    ParseSummary,
    TextPart,
    connect,
    connect_async,
)
from difyrpc_client._parsing import STREAM_ABOVE_BYTES

ADD = documents_pb2_grpc.add_DocumentParserServicer_to_server
INFO = element_pb2.DocumentInfo(format="pdf", page_count=2, sha256=b"\x01")
CLAUSE = element_pb2.Clause(
    id="c1",
    kind=element_pb2.CLAUSE_KIND_ARTICLE,
    number="第一条",
    pages=[1, 2],
    boxes=[element_pb2.Box(page=1, left=1, top=2, right=3, bottom=4)],
)


class Parser(documents_pb2_grpc.DocumentParserServicer):
    whole = True

    def __init__(self) -> None:
        self.request = pb.ParseRequest()
        self.spec = pb.ParseSpec()
        self.received = b""
        self.render = pb.RenderPageRequest()
        self.split = pb.SplitTextRequest()

    def Parse(self, request, context):
        self.request = request
        answer = pb.ParseResponse(info=INFO, text="all", clauses=[CLAUSE])
        answer.usage.time.FromMilliseconds(1500)
        table = element_pb2.Table(rows=1, columns=2, cells=[element_pb2.Cell(row=0, column=1, text="x")])
        answer.elements.add(id="e1", kind=element_pb2.ELEMENT_KIND_TABLE, table=table)
        return answer

    def ParseStream(self, requests, context):
        self.spec = next(requests).spec
        self.received = b"".join(request.chunk for request in requests)
        yield pb.ParseStreamResponse(info=INFO)
        for number, text in enumerate(["one ", "two"], 1):
            yield pb.ParseStreamResponse(text=pb.TextPart(page=number, text=text))
            yield pb.ParseStreamResponse(progress=pb.ParseProgress(pages_done=number, pages_total=2))
        yield pb.ParseStreamResponse(clauses=pb.ClausePart(clauses=[CLAUSE]))
        if self.whole:
            info = element_pb2.DocumentInfo(format="pdf", language="zh")
            yield pb.ParseStreamResponse(summary=pb.ParseSummary(info=info, clauses=1))

    def RenderPage(self, request, context):
        self.render = request
        return pb.RenderPageResponse(image=b"png", media_type="image/png", width_pixels=9)

    def SplitText(self, request, context):
        self.split = request
        return pb.SplitTextResponse(chunks=[element_pb2.Chunk(id="k1", text=request.text)])

    def ListFormats(self, request, context):
        return pb.ListFormatsResponse(
            formats=[pb.Format(name="pdf", extensions=["pdf"], paged=True)],
            limits={"pages": 9, "time": {"seconds": 5}},
            tokenizers=["cl100k"],
            chunk_modes=[options_pb2.CHUNK_MODE_GENERAL, options_pb2.CHUNK_MODE_PARENT_CHILD],
        )


@pytest.fixture
def parser() -> Parser:
    return Parser()


@pytest.fixture
def dify(serve, parser):
    with connect(serve((ADD, parser))) as dify:
        yield dify


def test_a_parsed_document_is_made_of_values(dify) -> None:
    parsed = dify.documents.parse(b"%PDF")
    assert (parsed.info.format, parsed.info.page_count, parsed.info.create_time, parsed.text) == ("pdf", 2, None, "all")
    assert parsed.info.sha256 == "01"
    clause = parsed.clauses[0]
    assert (clause.kind, clause.number, clause.pages) == ("article", "第一条", (1, 2))
    assert clause.boxes == (Box(page=1, left=1, top=2, right=3, bottom=4),)
    element = parsed.elements[0]
    assert (element.kind, element.table.cells[0].text, element.source) == ("table", "x", "")
    assert (parsed.usage.seconds, parsed.usage.waiting_seconds) == (1.5, None)


def test_every_kind_of_source_is_sent_as_what_it_is(dify, parser, tmp_path: Path) -> None:
    path = tmp_path / "contract.pdf"
    path.write_bytes(b"%PDF")
    dify.documents.parse(path)
    assert (parser.request.content, parser.request.name) == (b"%PDF", "contract.pdf")
    dify.documents.parse("files/7", name="other.pdf")
    assert (parser.request.file, parser.request.name) == ("files/7", "other.pdf")
    dify.documents.parse("https://host/x.pdf")
    assert parser.request.url == "https://host/x.pdf"
    with pytest.raises(InvalidArgument, match="is no files/"):
        dify.documents.parse("contract.pdf")


def test_options_are_sent_as_the_contract_names_them(dify, parser) -> None:
    options = ParseOptions(
        pages=[1, (3, 5)],
        password="x",
        ocr="always",
        ocr_languages=["zh"],
        tables="ruled",
        clauses="zh",
        chunking=Chunking(mode="parent_child", unit="tokens", size=400, boundary="clauses"),
        cache="bypass",
        max_seconds=9,
    )
    dify.documents.parse(b"x", outputs=["markdown", "chunks"], options=options)
    sent = parser.request.options
    assert list(sent.outputs) == [options_pb2.OUTPUT_MARKDOWN, options_pb2.OUTPUT_CHUNKS]
    assert [(one.first, one.last) for one in sent.pages] == [(1, 1), (3, 5)]
    assert (sent.ocr.policy, sent.tables) == (options_pb2.OCR_POLICY_ALWAYS, options_pb2.TABLE_POLICY_RULED)
    assert (sent.clauses, sent.cache) == (options_pb2.CLAUSE_PROFILE_ZH, options_pb2.CACHE_POLICY_BYPASS)
    assert (sent.chunking.mode, sent.chunking.size) == (options_pb2.CHUNK_MODE_PARENT_CHILD, 400)
    assert (sent.limits.time.seconds, sent.limits.pages, sent.password) == (9, 0, "x")
    assert "password" not in repr(options)


def test_a_word_that_the_contract_does_not_know_is_answered_with_the_choices(dify) -> None:
    with pytest.raises(InvalidArgument, match="outputs='pdf' is not one of text, markdown, elements, clauses, chunks"):
        dify.documents.parse(b"x", outputs=["pdf"])


def test_a_stream_yields_values_as_they_come(dify, parser) -> None:
    parts = list(dify.documents.parse_stream(b"%PDF", name="x.pdf"))
    assert [type(part) for part in parts] == [
        DocumentInfo,
        TextPart,
        ParseProgress,
        TextPart,
        ParseProgress,
        ClausePart,
        ParseSummary,
    ]
    assert parts[2] == ParseProgress(pages_done=1, pages_total=2)
    assert (parser.received, parser.spec.name, parser.spec.size_bytes) == (b"%PDF", "x.pdf", 4)


def test_a_long_document_is_streamed_and_put_together(dify, parser) -> None:
    content = bytes(STREAM_ABOVE_BYTES + 1)
    parsed = dify.documents.parse(content)
    assert parser.received == content
    assert (parsed.text, parsed.clauses[0].number, parsed.info.language) == ("one two", "第一条", "zh")


def test_a_stream_without_its_end_is_no_document(dify, parser) -> None:
    parser.whole = False
    with pytest.raises(DataLoss):
        dify.documents.parse(bytes(STREAM_ABOVE_BYTES + 1))


async def test_the_asynchronous_client_answers_the_same(serve, parser, dify) -> None:
    long = bytes(STREAM_ABOVE_BYTES + 1)
    async with connect_async(serve((ADD, parser))) as twin:
        assert await twin.documents.parse(b"x") == dify.documents.parse(b"x")
        assert await twin.documents.parse(long) == dify.documents.parse(long)
        assert [part async for part in twin.documents.parse_stream(b"x")] == list(dify.documents.parse_stream(b"x"))
        assert await twin.documents.render_page(b"x") == dify.documents.render_page(b"x")
        assert await twin.documents.split_text("x") == dify.documents.split_text("x")
        assert await twin.documents.list_formats() == dify.documents.list_formats()
        assert await twin.documents.abilities() == dify.documents.abilities()


def test_a_page_is_rendered_with_its_boxes(dify, parser) -> None:
    box = Box(page=2, left=1, top=2, right=3, bottom=4)
    image = dify.documents.render_page(b"x", 2, highlights=[box], dpi=72, image_format="webp")
    assert (image.image, image.media_type, image.width_pixels) == (b"png", "image/png", 9)
    assert (parser.render.page, parser.render.dpi, parser.render.image_format) == (2, 72, pb.IMAGE_FORMAT_WEBP)
    assert parser.render.highlights[0].box.bottom == 4


def test_text_is_split(dify, parser) -> None:
    chunks = dify.documents.split_text("x", text_format="markdown", chunking=Chunking(size=100), clauses="en")
    assert [(chunk.id, chunk.text) for chunk in chunks] == [("k1", "x")]
    assert parser.split.chunking.size == 100
    assert parser.split.clauses == options_pb2.CLAUSE_PROFILE_EN


def test_every_way_of_cutting_is_sent_as_the_contract_names_it(dify, parser) -> None:
    chunking = Chunking(
        mode="parent_child",
        unit="tokens",
        size=400,
        overlap=20,
        tokenizer="qwen",
        boundary="separator",
        separator="\\n\\n",
        prepend_headings=True,
        parent_scope="document",
        child_size=90,
        child_separator="\\n",
        collapse_spaces=True,
        remove_urls_emails=True,
    )
    dify.documents.split_text("x", chunking=chunking)
    sent = parser.split.chunking
    assert {field.name for field, _ in sent.ListFields()} == set(sent.DESCRIPTOR.fields_by_name)
    assert (sent.tokenizer, sent.overlap, sent.child_separator) == ("qwen", 20, "\\n")
    assert sent.parent_scope == options_pb2.PARENT_SCOPE_DOCUMENT


def test_what_a_server_can_do_is_told(dify) -> None:
    abilities = dify.documents.abilities()
    assert (abilities.tokenizers, abilities.chunk_modes) == (("cl100k",), ("general", "parent_child"))
    assert (abilities.limits.pages, abilities.limits.seconds, abilities.formats[0].name) == (9, 5.0, "pdf")
