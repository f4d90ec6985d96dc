"""DocumentParser over real gRPC: what each rpc answers and how it refuses."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import made_documents as made
import pytest
from made_documents import SENTENCE
from raw_http import Peer, RawServer, response
from serving import OPEN, Running, running
from statuses import fields, info, reason

from difyrpc.documents.v1 import documents_pb2 as pb
from difyrpc.documents.v1 import documents_pb2_grpc as rpc
from difyrpc.documents.v1 import element_pb2 as element_pb
from difyrpc.documents.v1 import options_pb2 as options_pb
from difyrpc.files.v1 import files_pb2
from difyrpc.files.v1 import files_pb2_grpc as files_rpc
from difyrpc_services.runtime.database import Database

Code = grpc.StatusCode
CONTRACT = "第一条 甲方应当付款。\n第二条 乙方应当交货。\n第三条 本合同一式两份。\n".encode()


@pytest.fixture
async def server(database: Database, tmp_path: Path) -> AsyncIterator[Running]:
    env = {**OPEN, "DIFYRPC_DOCUMENTS_WORKERS": "1", "DIFYRPC_DOCUMENTS_MAX_PAGES": "20"}
    async with running(database, tmp_path, names=["documents", "files"], env=env) as server:
        yield server


@pytest.fixture
async def stub(server: Running) -> AsyncIterator[rpc.DocumentParserStub]:
    async with server.channel() as channel:
        yield rpc.DocumentParserStub(channel)


def options(*outputs: int, **values: object) -> options_pb.ParseOptions:
    return options_pb.ParseOptions(outputs=outputs, **values)


async def test_the_call_of_existing_code_answers_clauses(stub) -> None:
    response = await stub.Parse(pb.ParseRequest(content=CONTRACT), timeout=10)
    assert [clause.number for clause in response.clauses] == ["第一条", "第二条", "第三条"]
    assert [clause.kind for clause in response.clauses] == [element_pb.CLAUSE_KIND_ARTICLE] * 3
    assert response.text.startswith("第一条 甲方应当付款。")
    assert not response.elements
    assert response.info.sha256 == hashlib.sha256(CONTRACT).digest()
    assert (response.info.format, response.info.language, response.info.media_type) == ("text", "zh", "text/plain")
    assert response.usage.cpu_time.ToNanoseconds() > 0


async def test_existing_code_works_with_a_plain_channel(server: Running) -> None:
    def call() -> int:
        with grpc.insecure_channel(server.target) as channel:
            return len(rpc.DocumentParserStub(channel).Parse(pb.ParseRequest(content=CONTRACT), timeout=10).clauses)

    assert await asyncio.to_thread(call) == 3


async def test_elements_have_pages_boxes_and_tables(stub) -> None:
    content = made.pdf(
        made.together(made.lines("The prices are these:", y=640), made.grid([["Item", "Price"], ["Pump", "12"]])),
        made.lines("Second page."),
    )
    response = await stub.Parse(
        pb.ParseRequest(content=content, options=options(options_pb.OUTPUT_ELEMENTS, options_pb.OUTPUT_MARKDOWN))
    )
    kinds = [element.kind for element in response.elements]
    assert kinds == [
        element_pb.ELEMENT_KIND_PARAGRAPH,
        element_pb.ELEMENT_KIND_TABLE,
        element_pb.ELEMENT_KIND_PARAGRAPH,
    ]
    table = response.elements[1]
    assert [cell.text for cell in table.table.cells] == ["Item", "Price", "Pump", "12"]
    assert (table.table.rows, table.table.columns, table.table.header_rows) == (2, 2, 1)
    assert table.boxes[0].page == 1
    assert 235 < table.boxes[0].top < 245 < table.boxes[0].bottom
    assert response.elements[2].page == 2
    assert "| Item | Price |\n| --- | --- |\n| Pump | 12 |" in response.markdown
    assert response.info.page_count == 2


async def parts_of(stub, *requests: pb.ParseStreamRequest) -> list[pb.ParseStreamResponse]:
    return [part async for part in stub.ParseStream(iter(requests))]


def spec(**values: object) -> pb.ParseStreamRequest:
    return pb.ParseStreamRequest(spec=pb.ParseSpec(**values))


def chunks(content: bytes, size: int = 700) -> list[pb.ParseStreamRequest]:
    return [pb.ParseStreamRequest(chunk=content[place : place + size]) for place in range(0, len(content), size)]


async def test_a_stream_answers_pages_as_they_are_ready_and_a_summary_last(stub) -> None:
    content = made.pdf(*[made.lines(f"This is page number {number} here.") for number in range(1, 6)])
    wanted = options(options_pb.OUTPUT_ELEMENTS, options_pb.OUTPUT_TEXT)
    parts = await parts_of(
        stub,
        spec(options=wanted, size_bytes=len(content), sha256=hashlib.sha256(content).digest()),
        *chunks(content),
    )
    kinds = [part.WhichOneof("part") for part in parts]
    assert kinds == ["info", *["page", "text", "progress"] * 5, "summary"]
    whole = await stub.Parse(pb.ParseRequest(content=content, options=wanted))
    assert "".join(part.text.text for part in parts) == whole.text
    streamed = [element for part in parts for element in part.page.elements]
    assert streamed == list(whole.elements)
    assert parts[-1].summary.usage.pages == 5


BROKEN_STREAMS = {
    "nothing": ([], "NO_SPEC"),
    "no spec": (chunks(b"abc"), "NO_SPEC"),
    "two specs": ([spec(), spec()], "UNEXPECTED_PART"),
    "no bytes": ([spec()], "EMPTY_CONTENT"),
    "another size": ([spec(size_bytes=5), *chunks(b"abc")], "SIZE_DIFFERS"),
    "another hash": ([spec(sha256=bytes(32)), *chunks(b"abc")], "SHA256_DIFFERS"),
    "bytes beside a file": ([spec(file="files/1"), *chunks(b"abc")], "UNEXPECTED_PART"),
}


async def test_streams_that_break_the_rules_are_refused(stub) -> None:
    found = {}
    for name, (requests, _) in BROKEN_STREAMS.items():
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await parts_of(stub, *requests)
        found[name] = (caught.value.code(), reason(caught.value))
    assert found == {name: (Code.INVALID_ARGUMENT, why) for name, (_, why) in BROKEN_STREAMS.items()}


async def test_leaving_a_stream_frees_its_worker(stub) -> None:
    content = made.pdf(*[made.lines(*[SENTENCE] * 50)] * 20)
    call = stub.ParseStream(iter([spec(), *chunks(content)]))
    await call.read()
    call.cancel()
    assert (await stub.Parse(pb.ParseRequest(content=CONTRACT), timeout=10)).clauses


async def test_a_stored_file_is_a_source(server: Running, stub) -> None:
    async with server.channel() as channel:
        files = files_rpc.FileStorageStub(channel)
        requests = [
            files_pb2.UploadFileRequest(spec=files_pb2.FileSpec(display_name="contract.txt")),
            files_pb2.UploadFileRequest(chunk=files_pb2.Chunk(data=CONTRACT)),
        ]
        stored = (await files.UploadFile(iter(requests))).file
    assert len((await stub.Parse(pb.ParseRequest(file=stored.name))).clauses) == 3
    parts = await parts_of(stub, spec(file=stored.name))
    assert sum(len(part.clauses.clauses) for part in parts) == 3


async def test_another_tenants_file_is_not_found(tenants_server: Running) -> None:
    async with tenants_server.channel(tenant="a") as one, tenants_server.channel(tenant="b") as other:
        requests = [
            files_pb2.UploadFileRequest(spec=files_pb2.FileSpec(display_name="contract.txt")),
            files_pb2.UploadFileRequest(chunk=files_pb2.Chunk(data=CONTRACT)),
        ]
        name = (await files_rpc.FileStorageStub(one).UploadFile(iter(requests))).file.name
        assert (await rpc.DocumentParserStub(one).Parse(pb.ParseRequest(file=name))).clauses
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await rpc.DocumentParserStub(other).Parse(pb.ParseRequest(file=name))
    assert (caught.value.code(), reason(caught.value)) == (Code.NOT_FOUND, "FILE_NOT_FOUND")


REFUSED_PARSES = [
    (pb.ParseRequest(), Code.INVALID_ARGUMENT, "NO_SOURCE"),
    (pb.ParseRequest(content=b""), Code.INVALID_ARGUMENT, "EMPTY_CONTENT"),
    (pb.ParseRequest(content=bytes(500)), Code.INVALID_ARGUMENT, "UNSUPPORTED_TYPE"),
    (pb.ParseRequest(content=b"%PDF-1.4"), Code.INVALID_ARGUMENT, "CORRUPT"),
    (pb.ParseRequest(content=made.pdf(made.lines("x"), password="p")), Code.INVALID_ARGUMENT, "ENCRYPTED"),
    (pb.ParseRequest(content=made.pdf(made.picture)), Code.FAILED_PRECONDITION, "NEEDS_OCR"),
    (pb.ParseRequest(content=made.pdf(*[made.lines("x")] * 21)), Code.RESOURCE_EXHAUSTED, "TOO_LARGE"),
    (pb.ParseRequest(file="files/none"), Code.NOT_FOUND, "FILE_NOT_FOUND"),
    (pb.ParseRequest(url="http://127.0.0.1/x"), Code.UNIMPLEMENTED, "URL_SOURCES_OFF"),
    (
        pb.ParseRequest(content=b"x", options=options(pages=[options_pb.PageRange(first=1)])),
        Code.INVALID_ARGUMENT,
        "NO_PAGES",
    ),
    (
        pb.ParseRequest(content=made.pdf(made.lines("x")), options=options(pages=[options_pb.PageRange(first=9)])),
        Code.OUT_OF_RANGE,
        "PAGE_NOT_FOUND",
    ),
    (pb.ParseRequest(content=b"x", options=options(99)), Code.INVALID_ARGUMENT, "BAD_OPTION"),
    (pb.ParseRequest(content=b"x", options=options(0)), Code.INVALID_ARGUMENT, "BAD_OPTION"),
    (
        pb.ParseRequest(content=b"x", options=options(ocr={"policy": options_pb.OCR_POLICY_ALWAYS})),
        Code.FAILED_PRECONDITION,
        "OCR_NOT_INSTALLED",
    ),
    (
        pb.ParseRequest(content=b"x", options=options(chunking={"unit": options_pb.CHUNK_UNIT_TOKENS})),
        Code.INVALID_ARGUMENT,
        "BAD_OPTION",
    ),
    (
        pb.ParseRequest(content=b"x", options=options(chunking={"tokenizer": "klingon"})),
        Code.FAILED_PRECONDITION,
        "TOKENIZER_NOT_INSTALLED",
    ),
    (
        pb.ParseRequest(content=b"x", options=options(limits={"memory_bytes": 1})),
        Code.UNIMPLEMENTED,
        "LIMIT_NOT_SETTABLE",
    ),
]


async def test_what_cannot_be_parsed_says_why(stub) -> None:
    found = []
    for request, _, _ in REFUSED_PARSES:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Parse(request)
        found.append((caught.value.code(), reason(caught.value)))
    assert found == [(code, why) for _, code, why in REFUSED_PARSES]


async def test_a_wrong_option_names_its_field(stub) -> None:
    ranges = [options_pb.PageRange(first=3, last=2)]
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Parse(pb.ParseRequest(content=b"x", options=options(pages=ranges)))
    assert fields(caught.value) == ["options.pages[0]"]
    assert info(caught.value)["option"] == "options.pages[0]"


async def test_a_page_is_rendered_with_highlights(stub) -> None:
    content = made.pdf(made.lines("text"))
    request = pb.RenderPageRequest(content=content, dpi=72)
    bare = await stub.RenderPage(request)
    request.highlights.add(box=element_pb.Box(page=1, left=10, top=10, right=60, bottom=30))
    marked = await stub.RenderPage(request)
    assert bare.image.startswith(b"\x89PNG")
    assert bare.image != marked.image
    assert (marked.width_pixels, marked.height_pixels, marked.page_count) == (596, 842, 1)
    assert (marked.media_type, marked.pixels_per_point) == ("image/png", 1.0)


REFUSED_PICTURES = [
    ({"content": b"text"}, Code.INVALID_ARGUMENT, "UNSUPPORTED_TYPE"),
    ({"content": made.pdf(made.lines("x")), "page": 2}, Code.OUT_OF_RANGE, "PAGE_NOT_FOUND"),
    ({"content": made.pdf(made.lines("x")), "dpi": 5}, Code.INVALID_ARGUMENT, "BAD_OPTION"),
    ({"content": made.pdf(made.lines("x")), "dpi": float("nan")}, Code.INVALID_ARGUMENT, "BAD_OPTION"),
    ({"content": made.pdf(made.lines("x")), "dpi": 600}, Code.INVALID_ARGUMENT, "BAD_OPTION"),
    (
        {"content": made.pdf(made.lines("x")), "image_format": pb.IMAGE_FORMAT_WEBP},
        Code.UNIMPLEMENTED,
        "IMAGE_FORMAT_NOT_AVAILABLE",
    ),
]


async def test_what_cannot_be_rendered_says_why(stub) -> None:
    found = []
    for values, _, _ in REFUSED_PICTURES:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.RenderPage(pb.RenderPageRequest(**values))
        found.append((caught.value.code(), reason(caught.value)))
    assert found == [(code, why) for _, code, why in REFUSED_PICTURES]


async def test_text_is_split(stub) -> None:
    request = pb.SplitTextRequest(
        text="# One\n\nfirst text\n\n# Two\n\nsecond text", text_format=pb.TEXT_FORMAT_MARKDOWN, chunking={"size": 30}
    )
    response = await stub.SplitText(request)
    assert [chunk.text for chunk in response.chunks] == ["One\n\nfirst text", "Two\n\nsecond text"]
    assert [chunk.characters for chunk in response.chunks] == [15, 16]
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.SplitText(pb.SplitTextRequest(text=" \n "))
    assert reason(caught.value) == "EMPTY_CONTENT"


@pytest.mark.parametrize("tokenizer", ["cl100k", "o200k", "qwen"])
async def test_chunks_of_tokens_are_made_in_a_worker(stub, tokenizer: str) -> None:
    chunking = {"unit": options_pb.CHUNK_UNIT_TOKENS, "tokenizer": tokenizer, "size": 20}
    response = await stub.SplitText(pb.SplitTextRequest(text=f"{SENTENCE} " * 20, chunking=chunking))
    assert len(response.chunks) > 5
    assert all(0 < chunk.tokens <= 20 for chunk in response.chunks)


async def test_questions_and_answers_of_a_table_are_chunks(stub) -> None:
    chunking = {"mode": options_pb.CHUNK_MODE_QA}
    text = "Prices.\n\n| Question | Answer |\n| --- | --- |\n| When? | Today. |\n| Where? | Here. |"
    wanted = options(options_pb.OUTPUT_CHUNKS, chunking=chunking)
    response = await stub.Parse(pb.ParseRequest(content=text.encode(), name="a.md", options=wanted))
    assert [(chunk.text, chunk.answer) for chunk in response.chunks] == [("When?", "Today."), ("Where?", "Here.")]
    assert [warning.reason for warning in response.warnings] == ["TEXT_OUTSIDE_PAIRS"]
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.SplitText(pb.SplitTextRequest(text="Nothing is asked.", chunking=chunking))
    assert reason(caught.value) == "NO_PAIRS"


async def test_the_same_document_is_answered_from_before_until_that_is_refused(stub) -> None:
    request = pb.ParseRequest(content=CONTRACT)
    first = await stub.Parse(request)
    second = await stub.Parse(request)
    assert (first.usage.cached, second.usage.cached) == (False, True)
    assert second.clauses == first.clauses
    parts = await parts_of(stub, spec(), *chunks(CONTRACT))
    assert parts[-1].summary.usage.cached
    request.options.cache = options_pb.CACHE_POLICY_BYPASS
    assert not (await stub.Parse(request)).usage.cached


async def test_formats_and_limits_are_listed(stub) -> None:
    response = await stub.ListFormats(pb.ListFormatsRequest())
    named = {format_.name for format_ in response.formats}
    assert named >= {
        "pdf",
        "docx",
        "pptx",
        "xlsx",
        "xls",
        "csv",
        "html",
        "markdown",
        "text",
        "epub",
        "eml",
        "rtf",
        "odt",
    }
    assert [format_.name for format_ in response.formats if format_.renderable] == ["pdf"]
    assert response.limits.pages == 20
    assert response.limits.content_bytes == 100 << 20
    assert response.image_formats == [pb.IMAGE_FORMAT_PNG]
    assert options_pb.CHUNK_MODE_QA in response.chunk_modes
    assert list(response.tokenizers) == ["cl100k", "o200k", "qwen"]
    assert not response.url_sources


async def test_an_answer_over_the_message_limit_points_to_the_stream(database: Database, tmp_path: Path) -> None:
    env = {**OPEN, "DIFYRPC_DOCUMENTS_WORKERS": "1", "DIFYRPC_MAX_MESSAGE_BYTES": str(1 << 17)}
    content = b"word " * 20_000
    wanted = options(options_pb.OUTPUT_TEXT, options_pb.OUTPUT_MARKDOWN, options_pb.OUTPUT_ELEMENTS)
    async with (
        running(database, tmp_path, names=["documents"], env=env) as server,
        server.channel() as channel,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await rpc.DocumentParserStub(channel).Parse(pb.ParseRequest(content=content, options=wanted))
    assert (caught.value.code(), reason(caught.value)) == (Code.RESOURCE_EXHAUSTED, "RESPONSE_TOO_LARGE")


async def test_the_doctor_proves_that_documents_are_parsed(server: Running) -> None:
    service = next(service for service in server.services if service.name == "documents")
    checks = await service.check()
    names = ["documents: confinement", "documents: parsing", "documents: recognition"]
    assert [check.name for check in checks] == names
    assert [check.level for check in checks[1:]] == ["ok", "ok"]


async def test_urls_of_listed_origins_are_read_over_the_wire(database: Database, tmp_path: Path) -> None:
    def answer(peer: Peer) -> None:
        peer.read_head()
        peer.socket.sendall(response(CONTRACT, "200 OK", "text/plain"))

    with RawServer(answer) as origin:
        listed = origin.url.replace("localhost", "127.0.0.1")
        env = {**OPEN, "DIFYRPC_DOCUMENTS_WORKERS": "1", "DIFYRPC_DOCUMENTS_URL_ORIGINS": listed}
        async with running(database, tmp_path, names=["documents"], env=env) as server, server.channel() as channel:
            stub = rpc.DocumentParserStub(channel)
            assert len((await stub.Parse(pb.ParseRequest(url=f"{listed}/a.txt"))).clauses) == 3
            assert (await stub.ListFormats(pb.ListFormatsRequest())).url_sources
