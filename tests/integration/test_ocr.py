"""Scans and pictures over real gRPC: who reads them, what comes back, and what does not wait for them."""

from __future__ import annotations

import asyncio
import io
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path

import grpc
import made_documents as made
import pytest
import pytest_asyncio
from PIL import Image, ImageDraw, ImageFont
from prometheus_client import generate_latest
from reportlab.lib.pagesizes import A4
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas
from serving import Running, running
from statuses import info, reason

from difyrpc.documents.v1 import documents_pb2 as pb
from difyrpc.documents.v1 import documents_pb2_grpc as rpc
from difyrpc.documents.v1 import element_pb2 as element_pb
from difyrpc.documents.v1 import options_pb2 as options_pb
from difyrpc_services.documents.core import Documents
from difyrpc_services.documents.service import alone
from difyrpc_services.documents.settings import DocumentsSettings
from difyrpc_services.documents.values import (
    Info,
    Limits,
    PagePart,
    Parsed,
    ParseOptions,
    Progress,
    Source,
    Summary,
)
from difyrpc_services.runtime.database import Database
from difyrpc_services.runtime.errors import DeadlineExceeded, Internal, ServiceError, Unavailable

Code = grpc.StatusCode
ENGLISH = (
    "ARTICLE 1 PAYMENT",
    "Section 1.1 The buyer shall pay the price within fourteen days after",
    "delivery of the goods to the place that the order names.",
    "Section 1.2 Interest on late payment is two percent a month.",
)
CHINESE = "第一条甲方应当在收到货物后十四日内付款。第二条乙方逾期交货的，应当支付违约金。"  # tests/scans/chinese.png
TESSERACT = shutil.which("tesseract")
LANGUAGES = (
    subprocess.run([TESSERACT, "--list-langs"], capture_output=True, text=True, check=False).stdout.split()
    if TESSERACT
    else []
)
needs_tesseract = pytest.mark.skipif("eng" not in LANGUAGES, reason="the program tesseract-ocr is not installed")
needs_chinese = pytest.mark.skipif("chi_sim" not in LANGUAGES, reason="tesseract-ocr-chi-sim is not installed")
needs_rapidocr = pytest.mark.skipif(find_spec("rapidocr") is None, reason="the extra difyrpc[ocr] is not installed")


def printed(*lines: str, size: int = 42) -> Image.Image:
    """The upper third of an A4 sheet at 300 dpi with lines of print."""
    sheet = Image.new("L", (2480, 1000), 255)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size)
    for place, line in enumerate(lines):
        draw.text((300, 300 + 66 * place), line, fill=0, font=font)
    return sheet


def picture(sheet: Image.Image, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    sheet.save(file, kind, dpi=(300, 300))
    return file.getvalue()


def scan(sheet: Image.Image):
    """Draws a page that is nothing but a picture of print."""

    def draw(canvas: Canvas) -> None:
        width, height = (pixels * 72 / 300 for pixels in sheet.size)
        canvas.drawImage(ImageReader(sheet), 0, A4[1] - height, width, height)

    return draw


def chinese_picture() -> bytes:
    return (Path(__file__).parent.parent / "scans" / "chinese.png").read_bytes()


def error_rate(found: str, truth: str) -> float:
    """Character error rate without regard to spaces: the least insertions, deletions and changes a character."""
    found, truth = "".join(found.split()), "".join(truth.split())
    row = list(range(len(truth) + 1))
    for place, one in enumerate(found, 1):
        before, row[0] = row[0], place
        for column, other in enumerate(truth, 1):
            before, row[column] = row[column], min(row[column] + 1, row[column - 1] + 1, before + (one != other))
    return row[-1] / len(truth)


@dataclass
class Endpoint:
    """An operator's endpoint that answers what the test says."""

    url: str = ""
    status: int = 200
    answer: bytes = b""
    requests: list[tuple[Mapping[str, str], bytes]] = field(default_factory=list)
    asked: threading.Event = field(default_factory=threading.Event)
    go: threading.Event = field(default_factory=threading.Event)


def line(text: str, left: float, top: float, right: float, bottom: float) -> bytes:
    value = {"text": text, "box": [left, top, right, bottom], "confidence": 0.75}
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"


@pytest.fixture(scope="module")
def one_endpoint() -> Iterator[Endpoint]:
    state = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            state.requests.append((dict(self.headers), body))
            state.asked.set()
            state.go.wait(30)
            self.send_response(state.status)
            self.send_header("Content-Length", str(len(state.answer)))
            self.end_headers()
            self.wfile.write(state.answer)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_port}/v1/read?model=a"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield state
        server.shutdown()
        thread.join()


@pytest.fixture
def endpoint(one_endpoint: Endpoint) -> Iterator[Endpoint]:
    one_endpoint.status, one_endpoint.answer = 200, line("Section 1.1 Payment is due.", 300, 400, 900, 440)
    one_endpoint.requests.clear()
    one_endpoint.asked.clear()
    one_endpoint.go.set()
    yield one_endpoint
    one_endpoint.go.set()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def documents(one_endpoint: Endpoint) -> AsyncIterator[Documents]:
    """The service without a server, its scans read by the endpoint."""
    settings = DocumentsSettings(
        ocr="http", ocr_url=one_endpoint.url, ocr_token="secret", ocr_languages=("zh-Hans", "en")
    )
    async with alone(settings) as documents:
        yield documents


@pytest.fixture
def house(database: Database, tmp_path: Path):
    @asynccontextmanager
    async def open_house(**settings: str) -> AsyncIterator[tuple[rpc.DocumentParserStub, Running]]:
        named = {"WORKERS": "1", "OCR_WORKERS": "1", "OCR": "auto", **settings}
        env = {f"DIFYRPC_DOCUMENTS_{name}": value for name, value in named.items() if name != "PATH"}
        env |= {"DIFYRPC_AUTH": "none"}
        env |= {"PATH": settings["PATH"]} if "PATH" in settings else {}
        async with (
            running(database, tmp_path, names=["documents"], env=env) as server,
            server.channel() as channel,
        ):
            yield rpc.DocumentParserStub(channel), server

    return open_house


def request(content: bytes, policy: int = 0, *languages: str, **options: object) -> pb.ParseRequest:
    outputs = (options_pb.OUTPUT_TEXT, options_pb.OUTPUT_ELEMENTS, options_pb.OUTPUT_CLAUSES)
    ocr = options_pb.OcrOptions(policy=policy, languages=languages)
    return pb.ParseRequest(content=content, options=options_pb.ParseOptions(outputs=outputs, ocr=ocr, **options))


async def refusal(stub, asked: pb.ParseRequest) -> tuple[Code, str, dict[str, str]]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Parse(asked, timeout=60)
    return caught.value.code(), reason(caught.value), info(caught.value)


SCAN = made.pdf(scan(printed(*ENGLISH)))
MIXED = made.pdf(
    *[made.lines(f"This is the text of page {number} itself.", y=500) for number in range(1, 8)],
    scan(printed(*ENGLISH)),
    made.lines("The last page has text of its own again.", y=500),
)


@needs_tesseract
async def test_tesseract_reads_an_english_scan_into_clauses_with_places(house):
    async with house(OCR="tesseract") as (stub, _):
        response = await stub.Parse(request(SCAN, 0, "en"), timeout=60)
    assert error_rate(response.text, "".join(ENGLISH)) < 0.02
    assert [clause.number for clause in response.clauses] == ["ARTICLE 1", "Section 1.1", "Section 1.2"]
    assert {element.source for element in response.elements} == {element_pb.TEXT_SOURCE_OCR}
    assert all(0.5 < element.confidence < 1 for element in response.elements)
    (box,) = response.elements[0].boxes
    assert (box.left, box.top) == (pytest.approx(72, abs=3), pytest.approx(74, abs=4))
    assert response.usage.cpu_time.ToNanoseconds() > 1e8
    assert not response.warnings


@needs_chinese
async def test_tesseract_reads_a_chinese_picture(house):
    async with house(OCR="tesseract") as (stub, _):
        response = await stub.Parse(request(chinese_picture(), 0, "zh"), timeout=60)
    assert error_rate(response.text, CHINESE) < 0.12
    assert response.info.format == "png"
    assert response.info.language == "zh"


@needs_rapidocr
async def test_rapidocr_reads_chinese_and_english(house):
    async with house(OCR="rapidocr") as (stub, _):
        response = await stub.Parse(request(chinese_picture()), timeout=120)
        assert error_rate(response.text, CHINESE) < 0.08
        response = await stub.Parse(request(picture(printed(ENGLISH[0]).crop((200, 200, 1400, 500)))), timeout=120)
        assert error_rate(response.text, ENGLISH[0]) < 0.1


@pytest.fixture
def fake_tesseract(tmp_path: Path) -> str:
    """A folder with a program of that name, which says how it was called in place of what it sees."""
    program = tmp_path / "bin" / "tesseract"
    program.parent.mkdir()
    program.write_text(
        f"#!{sys.executable} -ES\n"
        "import sys\n"
        "if sys.argv[1:] == ['--list-langs']:\n"
        "    print('List of available languages (3):', 'eng', 'chi_tra', 'osd', sep='\\n'); sys.exit()\n"
        "kind, size, _ = (sys.stdin.buffer.readline() for _ in range(3))\n"
        "words = [*sys.argv[1:], kind.decode().strip(), size.split()[0].decode(), str(len(sys.stdin.buffer.read()))]\n"
        "print('<span class=\\'ocr_line\\' title=\"bbox 10 10 900 50; baseline 0 0; x_size 40\">')\n"
        "for place, word in enumerate(words):\n"
        "    print(f\"<span class='ocrx_word' title='bbox {10 + 50 * place} 10 {50 + 50 * place} 50; x_wconf 90'>\","
        " word, '</span>', sep='')\n"
    )
    program.chmod(0o755)
    return str(program.parent)


async def test_the_program_gets_the_picture_and_the_languages_that_are_installed(house, fake_tesseract: str):
    path = fake_tesseract + os.pathsep + os.defpath
    content = picture(Image.new("L", (600, 300), 255))
    async with house(OCR="auto", PATH=path) as (stub, _):
        formats = await stub.ListFormats(pb.ListFormatsRequest())
        assert [(engine.name, list(engine.languages)) for engine in formats.ocr_engines] == [
            ("tesseract", ["en", "zh-Hant"])
        ]
        response = await stub.Parse(request(content, 0, "zh-TW", "en-GB", "ko"), timeout=60)
    assert response.text == "stdin stdout -l chi_tra+eng --dpi 300 --psm 3 hocr P5 600 180000"
    assert [(warning.reason, "ko" in warning.message) for warning in response.warnings] == [
        ("LANGUAGE_NOT_INSTALLED", True)
    ]


async def test_languages_of_which_none_is_installed_are_refused_or_leave_the_scan_unread(house, fake_tesseract: str):
    async with house(OCR="tesseract", PATH=fake_tesseract) as (stub, _):
        always = await refusal(stub, request(SCAN, options_pb.OCR_POLICY_ALWAYS, "ko", "ja"))
        auto = await refusal(stub, request(SCAN, options_pb.OCR_POLICY_AUTO, "ko"))
        assert (always[:2], always[2]["languages"]) == ((Code.FAILED_PRECONDITION, "OCR_NOT_INSTALLED"), "ko, ja")
        assert auto[:2] == (Code.FAILED_PRECONDITION, "NEEDS_OCR")


async def test_text_does_not_wait_for_scans_whose_workers_start_with_the_first(house, endpoint: Endpoint):
    endpoint.go.clear()
    async with house(OCR_URL=endpoint.url) as (stub, server):
        assert "difyrpc_documents_ocr_workers 0.0" in generate_latest(server.registry).decode()
        slow = asyncio.ensure_future(stub.Parse(request(SCAN), timeout=60))
        assert await asyncio.to_thread(endpoint.asked.wait, 30)
        quick = await stub.Parse(request(made.pdf(made.lines("text of its own"))), timeout=30)
        assert quick.text == "text of its own"
        shown = generate_latest(server.registry).decode()
        assert "difyrpc_documents_ocr_workers_busy 1.0" in shown
        assert "difyrpc_documents_workers_busy 0.0" in shown
        endpoint.go.set()
        assert (await slow).text


async def test_without_an_engine_scans_and_pictures_need_one(house):
    async with house(OCR="off") as (stub, _):
        for content in (SCAN, chinese_picture()):
            assert (await refusal(stub, request(content)))[:2] == (Code.FAILED_PRECONDITION, "NEEDS_OCR")
        always = await refusal(stub, request(SCAN, options_pb.OCR_POLICY_ALWAYS))
        assert always[:2] == (Code.FAILED_PRECONDITION, "OCR_NOT_INSTALLED")
        for languages in (["en"] * 9, ["e n"], ["-"], ["en;rm"]):
            assert (await refusal(stub, request(SCAN, 0, *languages)))[:2] == (Code.INVALID_ARGUMENT, "BAD_OPTION")
        formats = await stub.ListFormats(pb.ListFormatsRequest())
        assert not formats.ocr_engines
        assert {format_.name for format_ in formats.formats} >= {"png", "jpeg", "tiff", "webp", "gif", "bmp"}


def only_module_loop(function):
    """Runs a test in the loop that `documents` lives in."""
    return pytest.mark.asyncio(loop_scope="module")(function)


async def parsed(documents: Documents, content: bytes, **options: object) -> Parsed:
    outputs = ("text", "elements", "clauses")
    return await documents.parse("a", Source(content=content), ParseOptions(outputs=outputs, **options))


async def why_not(documents: Documents, content: bytes, **options: object) -> tuple[type[ServiceError], str]:
    with pytest.raises(ServiceError) as caught:
        await parsed(documents, content, **options)
    return type(caught.value), caught.value.reason


@only_module_loop
async def test_an_endpoint_reads_a_scan(documents: Documents, endpoint: Endpoint):
    response = await parsed(documents, SCAN)
    assert response.text == "Section 1.1 Payment is due."
    (element,) = response.elements
    assert (element.source, element.confidence) == ("ocr", 0.75)
    (box,) = element.boxes
    assert (box.left, box.top, box.right, box.bottom) == pytest.approx((72, 96, 216, 105.6), abs=0.1)
    ((headers, body),) = endpoint.requests
    assert (headers["Content-Type"], headers["X-Dpi"], headers["Authorization"]) == (
        "image/png",
        "300",
        "Bearer secret",
    )
    assert headers["Accept-Language"] == "zh, en"
    assert Image.open(io.BytesIO(body)).size == pytest.approx((2480, 3508), abs=2)


@only_module_loop
async def test_pages_with_text_keep_it_and_scans_between_them_are_recognised(documents: Documents, endpoint: Endpoint):
    response = await parsed(documents, MIXED)
    pages = response.text.split("\f")
    assert pages[2] == "This is the text of page 3 itself."
    assert pages[7] == "Section 1.1 Payment is due."
    assert pages[8] == "The last page has text of its own again."
    assert [element.id for element in response.elements] == [f"e{place}" for place in range(1, 10)]
    assert (response.usage.pages, response.notices) == (9, [])
    assert len(endpoint.requests) == 1


@only_module_loop
async def test_pages_without_scans_are_not_shown_to_an_engine(documents: Documents, endpoint: Endpoint):
    ranged = await parsed(documents, MIXED, pages=((1, 7),))
    never = await parsed(documents, MIXED, ocr="never")
    assert len(ranged.elements) == 7
    assert [(notice.reason, notice.page) for notice in never.notices] == [("PAGE_WITHOUT_TEXT", 8)]
    assert endpoint.requests == []


@only_module_loop
async def test_a_stream_goes_on_where_it_met_the_scan(documents: Documents, endpoint: Endpoint):
    stream = documents.parse_stream("a", Source(content=MIXED), ParseOptions(outputs=("elements",)))
    parts = [part async for part in stream]
    assert [type(part) for part in parts if not isinstance(part, PagePart | Progress)] == [Info, Summary]
    assert [part.done for part in parts if isinstance(part, Progress)] == [*range(1, 10)]
    assert [part.page for part in parts if isinstance(part, PagePart)] == [*range(1, 10)]


@only_module_loop
async def test_always_recognises_pages_that_have_text(documents: Documents, endpoint: Endpoint):
    response = await parsed(documents, made.pdf(made.lines("The file says this.")), ocr="always")
    assert response.text == "Section 1.1 Payment is due."


@only_module_loop
async def test_a_scan_with_a_printed_page_number_keeps_it_beside_what_is_recognised(
    documents: Documents, endpoint: Endpoint
):
    sheet = Image.new("L", (2480, 3508), 255)
    content = made.pdf(made.together(scan(sheet), made.lines("Page 7 of 9", x=500, y=20)))
    endpoint.answer += line("Page 7 of 9", 2090, 3390, 2320, 3430)
    response = await parsed(documents, content)
    assert [(element.kind, element.source, element.text) for element in response.elements] == [
        ("paragraph", "ocr", "Section 1.1 Payment is due."),
        ("footer", "text", "Page 7 of 9"),
    ]
    unread = await parsed(documents, content, ocr="never")
    assert [notice.reason for notice in unread.notices] == ["PAGE_WITHOUT_TEXT"]


@only_module_loop
async def test_words_broken_at_ends_of_lines_are_joined(documents: Documents, endpoint: Endpoint):
    endpoint.answer = line("The buyer shall pay the pur-", 300, 400, 1000, 440)
    endpoint.answer += line("chase price and the non-", 300, 460, 1000, 500)
    endpoint.answer += line("refundable fee for the purchase.", 300, 520, 1000, 560)
    response = await parsed(documents, SCAN)
    assert response.text == "The buyer shall pay the purchase price and the non-refundable fee for the purchase."


@only_module_loop
async def test_a_scan_on_which_nothing_is_recognised_is_said(documents: Documents, endpoint: Endpoint):
    endpoint.answer = b""
    response = await parsed(documents, SCAN)
    assert (response.text, [notice.reason for notice in response.notices]) == ("", ["PAGE_WITHOUT_TEXT"])


@only_module_loop
async def test_languages_that_the_endpoint_does_not_read_are_said(documents: Documents, endpoint: Endpoint):
    response = await parsed(documents, SCAN, ocr_languages=("en-GB", "ko"))
    assert [(notice.reason, "ko" in notice.message) for notice in response.notices] == [
        ("LANGUAGE_NOT_INSTALLED", True)
    ]
    assert endpoint.requests[0][0]["Accept-Language"] == "en"


@only_module_loop
async def test_an_endpoint_that_fails_is_the_calls_error(documents: Documents, endpoint: Endpoint):
    for endpoint.status, endpoint.answer, expected in (
        (503, b"", (Unavailable, "OCR_NOT_REACHABLE")),
        (302, b"", (Unavailable, "OCR_NOT_REACHABLE")),
        (200, b"<html>", (Internal, "PARSER_CRASHED")),
    ):
        assert await why_not(documents, SCAN) == expected
    endpoint.status, endpoint.answer = 200, line("well", 0, 0, 90, 40)
    assert (await parsed(documents, SCAN)).text == "well"


@only_module_loop
async def test_a_time_limit_of_the_call_holds_for_recognition(documents: Documents, endpoint: Endpoint):
    endpoint.go.clear()
    limits = Limits(seconds=1.5)
    assert await why_not(documents, SCAN, limits=limits) == (DeadlineExceeded, "TIMED_OUT")
