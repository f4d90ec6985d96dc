"""DocumentParser in memory: answers what a test told it, else reads the content as plain text."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from typing import Any

from difyrpc.documents.v1 import documents_pb2 as pb
from difyrpc.documents.v1 import element_pb2, options_pb2
from difyrpc_client._document import ParsedDocument
from difyrpc_client.testing import _faults as faults
from difyrpc_client.testing._files import FilesInMemory
from difyrpc_client.testing._told import fill

CLAUSE = re.compile(
    r"^(第[一二三四五六七八九十百零0-9]+条|(?:Article|Section)\s+[\dIVX.]+|\d+(?:\.\d+)*\.)[\s　]*(.*)$", re.I
)
DEFAULT_OUTPUTS = {options_pb2.OUTPUT_TEXT, options_pb2.OUTPUT_CLAUSES}


class DocumentsInMemory:
    """Each method is the rpc of its name."""

    def __init__(self, files: FilesInMemory) -> None:
        self.told: dict[str, ParsedDocument] = {}
        """What to answer by file name or `files/…`; under the empty name, for every other document."""
        self._files = files

    def Parse(self, request: pb.ParseRequest) -> pb.ParseResponse:  # noqa: N802
        """Parses one document."""
        told = self.told.get(request.file) or self.told.get(request.name) or self.told.get("")
        if told is not None:
            answer = pb.ParseResponse()
            fill(answer, told)
            return answer
        return _read(self._content(request), set(request.options.outputs) or DEFAULT_OUTPUTS)

    def ParseStream(self, requests: Iterable[pb.ParseStreamRequest]) -> Iterator[pb.ParseStreamResponse]:  # noqa: N802
        """Parses one document and sends its parts."""
        messages = iter(requests)
        spec = next(messages).spec
        content = b"".join(message.chunk for message in messages)
        where: dict[str, Any] = {"file": spec.file} if spec.file else {"url": spec.url} if spec.url else {}
        whole = self.Parse(pb.ParseRequest(**(where or {"content": content}), options=spec.options, name=spec.name))
        yield from _parts(whole)

    def SplitText(self, request: pb.SplitTextRequest) -> pb.SplitTextResponse:  # noqa: N802
        """Cuts text at empty lines."""
        return pb.SplitTextResponse(chunks=_chunks(request.text))

    def ListFormats(self, request: pb.ListFormatsRequest) -> pb.ListFormatsResponse:  # noqa: N802
        """Lists what is read here."""
        return pb.ListFormatsResponse(formats=[pb.Format(name="text", media_types=["text/plain"], extensions=["txt"])])

    def _content(self, request: pb.ParseRequest) -> bytes:
        if request.WhichOneof("source") == "file":
            return self._files.content(request.file)
        if request.WhichOneof("source") == "url":
            raise faults.no_urls()
        if not request.content:
            raise faults.no_content()
        return request.content


def _read(content: bytes, outputs: set[Any]) -> pb.ParseResponse:
    text = content.decode("utf-8", "replace")
    info = element_pb2.DocumentInfo(
        format="text", media_type="text/plain", content_bytes=len(content), sha256=hashlib.sha256(content).digest()
    )
    answer = pb.ParseResponse(info=info)
    if options_pb2.OUTPUT_TEXT in outputs:
        answer.text = text
    if options_pb2.OUTPUT_MARKDOWN in outputs:
        answer.markdown = text
    if options_pb2.OUTPUT_ELEMENTS in outputs:
        answer.elements.extend(_elements(text))
    if options_pb2.OUTPUT_CLAUSES in outputs:
        answer.clauses.extend(_clauses(text))
    if options_pb2.OUTPUT_CHUNKS in outputs:
        answer.chunks.extend(_chunks(text))
    return answer


def _paragraphs(text: str) -> list[str]:
    return [part.strip() for part in re.split(r"\n\s*\n", text) if part.strip()]


def _elements(text: str) -> Iterator[element_pb2.Element]:
    for number, part in enumerate(_paragraphs(text), 1):
        kind, source = element_pb2.ELEMENT_KIND_PARAGRAPH, element_pb2.TEXT_SOURCE_TEXT
        yield element_pb2.Element(id=f"e{number}", kind=kind, text=part, source=source, confidence=1)


def _chunks(text: str) -> Iterator[element_pb2.Chunk]:
    for number, part in enumerate(_paragraphs(text), 1):
        yield element_pb2.Chunk(id=f"k{number}", text=part, characters=len(part))


def _clauses(text: str) -> list[element_pb2.Clause]:
    clauses: list[element_pb2.Clause] = []
    for line in text.splitlines():
        if found := CLAUSE.match(line.strip()):
            kind, number = element_pb2.CLAUSE_KIND_ARTICLE, found[1].rstrip(".")
            clauses.append(
                element_pb2.Clause(id=f"c{len(clauses) + 1}", kind=kind, number=number, title=found[2], text=line)
            )
        elif clauses and line.strip():
            clauses[-1].text += "\n" + line
    return clauses


def _parts(whole: pb.ParseResponse) -> Iterator[pb.ParseStreamResponse]:
    yield pb.ParseStreamResponse(info=whole.info)
    if whole.elements:
        yield pb.ParseStreamResponse(page=pb.PageElements(elements=whole.elements))
    if whole.text:
        yield pb.ParseStreamResponse(text=pb.TextPart(text=whole.text))
    if whole.markdown:
        yield pb.ParseStreamResponse(markdown=pb.TextPart(text=whole.markdown))
    if whole.clauses:
        yield pb.ParseStreamResponse(clauses=pb.ClausePart(clauses=whole.clauses))
    if whole.chunks:
        yield pb.ParseStreamResponse(chunks=pb.ChunkPart(chunks=whole.chunks))
    for warning in whole.warnings:
        yield pb.ParseStreamResponse(warning=warning)
    summary = pb.ParseSummary(
        usage=whole.usage if whole.HasField("usage") else None,
        elements=len(whole.elements),
        clauses=len(whole.clauses),
        chunks=len(whole.chunks),
        warnings=len(whole.warnings),
        info=whole.info,
    )
    yield pb.ParseStreamResponse(summary=summary)
