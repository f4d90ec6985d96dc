"""Documents: parsed whole or as a stream, rendered, cut into chunks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from functools import partial
from typing import Literal, cast

from difyrpc.documents.v1 import documents_pb2 as pb
from difyrpc_client._calls import AsyncCalls, Calls
from difyrpc_client._document import Box, Chunk, Format, PageImage, ParsedDocument, ParsePart, ParserAbilities
from difyrpc_client._methods import rpc
from difyrpc_client._parsing import (
    Assembly,
    Chunking,
    Document,
    Output,
    ParseOptions,
    loaded,
    name_of,
    parse_request,
    read_part,
    render_request,
    split_request,
    stream_requests,
    streamed,
    write_options,
)
from difyrpc_client._shape import read
from difyrpc_client._threads import in_thread

PARSE = rpc("DocumentParser.Parse", pb.ParseRequest, pb.ParseResponse)
PARSE_STREAM = rpc("DocumentParser.ParseStream", pb.ParseStreamRequest, pb.ParseStreamResponse)
RENDER_PAGE = rpc("DocumentParser.RenderPage", pb.RenderPageRequest, pb.RenderPageResponse)
SPLIT_TEXT = rpc("DocumentParser.SplitText", pb.SplitTextRequest, pb.SplitTextResponse)
LIST_FORMATS = rpc("DocumentParser.ListFormats", pb.ListFormatsRequest, pb.ListFormatsResponse)


class Documents:
    """Parses documents. `timeout` is in seconds and covers repetitions; None for the client's."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def parse(
        self,
        source: Document,
        *,
        name: str | None = None,
        media_type: str = "",
        outputs: Iterable[Output] = (),
        options: ParseOptions | None = None,
        timeout: float | None = None,
    ) -> ParsedDocument:
        """Parses one document and answers it whole.

        `source` is bytes, a pathlib.Path, a stored File, its name `files/…`, or a URL that the server allows; long
        documents travel as a stream. `outputs` are text and clauses unless given. `name` and `media_type` are hints.
        """
        found, name = loaded(source), name_of(source, name)
        asked = write_options(options or ParseOptions(), outputs)
        if not streamed(found):
            answer = self._calls.unary(PARSE, parse_request(found, name, media_type, asked), timeout)
            return cast("ParsedDocument", read(answer))
        assembly = Assembly()
        requests = partial(stream_requests, found, name, media_type, asked)
        for part in self._calls.stream(PARSE_STREAM, requests, timeout):
            assembly.add(part)
        return assembly.document()

    def parse_stream(
        self,
        source: Document,
        *,
        name: str | None = None,
        media_type: str = "",
        outputs: Iterable[Output] = (),
        options: ParseOptions | None = None,
        timeout: float | None = None,
    ) -> Iterator[ParsePart]:
        """Parses one document and yields its parts as they are ready; a ParseSummary comes last.

        Leaving the loop early stops the server's work. The arguments are those of `parse`.
        """
        found, name = loaded(source), name_of(source, name)
        asked = write_options(options or ParseOptions(), outputs)
        requests = partial(stream_requests, found, name, media_type, asked)
        for answer in self._calls.stream(PARSE_STREAM, requests, timeout):
            yield read_part(answer)

    def render_page(
        self,
        source: Document,
        page: int = 1,
        *,
        highlights: Iterable[Box] = (),
        dpi: float | None = None,
        max_width_pixels: int = 0,
        image_format: Literal["png", "webp"] = "png",
        password: str = "",
        name: str | None = None,
        timeout: float | None = None,
    ) -> PageImage:
        """Answers one page as a picture with boxes highlighted; `dpi` is 18 to 600, 144 unless given."""
        request = render_request(
            loaded(source),
            page=page,
            highlights=highlights,
            dpi=dpi,
            max_width_pixels=max_width_pixels,
            image_format=image_format,
            password=password,
            name=name_of(source, name),
        )
        answer = self._calls.unary(RENDER_PAGE, request, timeout)
        return cast("PageImage", read(answer))

    def split_text(
        self,
        text: str,
        *,
        text_format: Literal["plain", "markdown"] = "plain",
        chunking: Chunking | None = None,
        clauses: Literal["auto", "zh", "en", "none", ""] = "",
        timeout: float | None = None,
    ) -> list[Chunk]:
        """Cuts text or Markdown into chunks, without a document."""
        request = split_request(text, text_format=text_format, chunking=chunking or Chunking(), clauses=clauses)
        return [read(chunk) for chunk in self._calls.unary(SPLIT_TEXT, request, timeout).chunks]

    def list_formats(self, *, timeout: float | None = None) -> list[Format]:
        """Answers the formats that the server reads."""
        return [read(one) for one in self._calls.unary(LIST_FORMATS, pb.ListFormatsRequest(), timeout).formats]

    def abilities(self, *, timeout: float | None = None) -> ParserAbilities:
        """Answers the formats that the server reads, its limits, and which tokenizers and modes it has."""
        answer = self._calls.unary(LIST_FORMATS, pb.ListFormatsRequest(), timeout)
        return cast("ParserAbilities", read(answer))


class AsyncDocuments:
    """Parses documents in the event loop; the same as Documents."""

    def __init__(self, calls: AsyncCalls) -> None:
        self._calls = calls

    async def parse(
        self,
        source: Document,
        *,
        name: str | None = None,
        media_type: str = "",
        outputs: Iterable[Output] = (),
        options: ParseOptions | None = None,
        timeout: float | None = None,
    ) -> ParsedDocument:
        """Parses one document and answers it whole.

        `source` is bytes, a pathlib.Path, a stored File, its name `files/…`, or a URL that the server allows; long
        documents travel as a stream. `outputs` are text and clauses unless given. `name` and `media_type` are hints.
        """
        found, name = await in_thread(loaded, source), name_of(source, name)
        asked = write_options(options or ParseOptions(), outputs)
        if not streamed(found):
            answer = await self._calls.unary(PARSE, parse_request(found, name, media_type, asked), timeout)
            return cast("ParsedDocument", read(answer))
        assembly = Assembly()
        requests = partial(stream_requests, found, name, media_type, asked)
        async for part in self._calls.stream(PARSE_STREAM, requests, timeout):
            assembly.add(part)
        return assembly.document()

    async def parse_stream(
        self,
        source: Document,
        *,
        name: str | None = None,
        media_type: str = "",
        outputs: Iterable[Output] = (),
        options: ParseOptions | None = None,
        timeout: float | None = None,
    ) -> AsyncIterator[ParsePart]:
        """Parses one document and yields its parts as they are ready; a ParseSummary comes last.

        Leaving the loop early stops the server's work. The arguments are those of `parse`.
        """
        found, name = await in_thread(loaded, source), name_of(source, name)
        asked = write_options(options or ParseOptions(), outputs)
        requests = partial(stream_requests, found, name, media_type, asked)
        async for answer in self._calls.stream(PARSE_STREAM, requests, timeout):
            yield read_part(answer)

    async def render_page(
        self,
        source: Document,
        page: int = 1,
        *,
        highlights: Iterable[Box] = (),
        dpi: float | None = None,
        max_width_pixels: int = 0,
        image_format: Literal["png", "webp"] = "png",
        password: str = "",
        name: str | None = None,
        timeout: float | None = None,
    ) -> PageImage:
        """Answers one page as a picture with boxes highlighted; `dpi` is 18 to 600, 144 unless given."""
        request = render_request(
            await in_thread(loaded, source),
            page=page,
            highlights=highlights,
            dpi=dpi,
            max_width_pixels=max_width_pixels,
            image_format=image_format,
            password=password,
            name=name_of(source, name),
        )
        answer = await self._calls.unary(RENDER_PAGE, request, timeout)
        return cast("PageImage", read(answer))

    async def split_text(
        self,
        text: str,
        *,
        text_format: Literal["plain", "markdown"] = "plain",
        chunking: Chunking | None = None,
        clauses: Literal["auto", "zh", "en", "none", ""] = "",
        timeout: float | None = None,
    ) -> list[Chunk]:
        """Cuts text or Markdown into chunks, without a document."""
        request = split_request(text, text_format=text_format, chunking=chunking or Chunking(), clauses=clauses)
        return [read(chunk) for chunk in (await self._calls.unary(SPLIT_TEXT, request, timeout)).chunks]

    async def list_formats(self, *, timeout: float | None = None) -> list[Format]:
        """Answers the formats that the server reads."""
        return [read(one) for one in (await self._calls.unary(LIST_FORMATS, pb.ListFormatsRequest(), timeout)).formats]

    async def abilities(self, *, timeout: float | None = None) -> ParserAbilities:
        """Answers the formats that the server reads, its limits, and which tokenizers and modes it has."""
        answer = await self._calls.unary(LIST_FORMATS, pb.ListFormatsRequest(), timeout)
        return cast("ParserAbilities", read(answer))
