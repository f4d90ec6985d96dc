"""The contract DocumentParser over the core; translates, decides nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

import grpc

from difyrpc.documents.v1 import documents_pb2 as pb
from difyrpc.documents.v1 import documents_pb2_grpc as rpc
from difyrpc_services.documents import messages, requests
from difyrpc_services.documents.core import Documents
from difyrpc_services.documents.values import Source
from difyrpc_services.runtime.caller import current_caller
from difyrpc_services.runtime.errors import InvalidArgument, ResourceExhausted


class DocumentParser(rpc.DocumentParserServicer):
    """Answers the five methods."""

    def __init__(self, documents: Documents, *, message_bytes: int, memory_bytes: int) -> None:
        """Takes the core, the largest message that the server sends, and a worker's memory for ListFormats."""
        self._documents = documents
        self._message_bytes = message_bytes
        self._memory_bytes = memory_bytes

    async def Parse(
        self, request: pb.ParseRequest, context: grpc.aio.ServicerContext[pb.ParseRequest, pb.ParseResponse]
    ) -> pb.ParseResponse:
        """Parses one document and answers it whole."""
        options = requests.options_of(request.options)
        parsed = await self._documents.parse(current_caller().tenant, _source(request), options)
        response = messages.parsed_message(parsed)
        self._check_size(response.ByteSize())
        return response

    async def ParseStream(
        self,
        request_iterator: AsyncIterator[pb.ParseStreamRequest],
        context: grpc.aio.ServicerContext[pb.ParseStreamRequest, pb.ParseStreamResponse],
    ) -> AsyncIterator[pb.ParseStreamResponse]:
        """Parses one document and answers its parts as they are ready."""
        spec = await _spec(request_iterator)
        options = requests.options_of(spec.options)
        if spec.WhichOneof("source") is not None:
            await _no_more(request_iterator)
        source = _streamed(spec, request_iterator)
        parts = self._documents.parse_stream(current_caller().tenant, source, options)
        async with aclosing(parts):
            async for part in parts:
                yield messages.part_message(part)

    async def RenderPage(
        self,
        request: pb.RenderPageRequest,
        context: grpc.aio.ServicerContext[pb.RenderPageRequest, pb.RenderPageResponse],
    ) -> pb.RenderPageResponse:
        """Renders one page as a picture."""
        task = requests.render_task_of(request)
        picture = await self._documents.render(current_caller().tenant, _source(request), task)
        self._check_size(len(picture.image))
        return pb.RenderPageResponse(
            image=picture.image,
            media_type="image/png",
            width_pixels=picture.width,
            height_pixels=picture.height,
            pixels_per_point=picture.scale,
            page_count=picture.page_count,
        )

    async def SplitText(
        self, request: pb.SplitTextRequest, context: grpc.aio.ServicerContext[pb.SplitTextRequest, pb.SplitTextResponse]
    ) -> pb.SplitTextResponse:
        """Cuts text into chunks."""
        task = requests.split_task_of(request)
        chunks = await self._documents.split(current_caller().tenant, request.text, task)
        response = pb.SplitTextResponse(chunks=map(messages.chunk_message, chunks))
        self._check_size(response.ByteSize())
        return response

    async def ListFormats(
        self,
        request: pb.ListFormatsRequest,
        context: grpc.aio.ServicerContext[pb.ListFormatsRequest, pb.ListFormatsResponse],
    ) -> pb.ListFormatsResponse:
        """Lists what can be read."""
        return messages.formats_message(
            self._documents.limits,
            memory_bytes=self._memory_bytes,
            message_bytes=self._message_bytes,
            engine=self._documents.recognition.engine,
            urls=self._documents.reads_urls,
        )

    def _check_size(self, size: int) -> None:
        if size > self._message_bytes:
            raise ResourceExhausted(
                "RESPONSE_TOO_LARGE",
                "the answer has {size} bytes, more than {limit} = {value}; use ParseStream or ask for fewer outputs",
                size=size,
                limit="DIFYRPC_MAX_MESSAGE_BYTES",
                value=self._message_bytes,
            )


def _source(request: pb.ParseRequest | pb.RenderPageRequest) -> Source:
    media_type = request.media_type if isinstance(request, pb.ParseRequest) else ""
    content = request.content if request.WhichOneof("source") == "content" else None
    return Source(content=content, file=request.file, url=request.url, name=request.name, media_type=media_type)


async def _spec(iterator: AsyncIterator[pb.ParseStreamRequest]) -> pb.ParseSpec:
    async for request in iterator:
        if request.WhichOneof("part") == "spec":
            return request.spec
        break
    raise InvalidArgument("NO_SPEC", "the first message must hold the spec", field="spec")


def _streamed(spec: pb.ParseSpec, iterator: AsyncIterator[pb.ParseStreamRequest]) -> Source:
    named = spec.WhichOneof("source") is not None
    return Source(
        chunks=None if named else _chunks(iterator),
        file=spec.file,
        url=spec.url,
        name=spec.name,
        media_type=spec.media_type,
        size_bytes=spec.size_bytes if spec.HasField("size_bytes") else None,
        sha256=spec.sha256,
    )


async def _no_more(iterator: AsyncIterator[pb.ParseStreamRequest]) -> None:
    """Refuses bytes beside a source that the spec names."""
    async for _ in iterator:
        raise InvalidArgument("UNEXPECTED_PART", "the spec names a source, so nothing may follow it", field="part")


async def _chunks(iterator: AsyncIterator[pb.ParseStreamRequest]) -> AsyncIterator[bytes]:
    async for request in iterator:
        if request.WhichOneof("part") != "chunk":
            raise InvalidArgument("UNEXPECTED_PART", "after the spec there are chunks alone", field="part")
        yield request.chunk
