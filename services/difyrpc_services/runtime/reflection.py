"""Server reflection, v1alpha and v1: grpcurl, buf curl and Postman find the contracts by themselves.

The library offers v1alpha only. Both versions have the same messages under another package name, so v1 is made
from v1alpha's descriptor.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from google.protobuf.message import Message
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha._async import ReflectionServicer

ALPHA = "grpc.reflection.v1alpha"
V1 = "grpc.reflection.v1"
Pair = tuple[type[Message], type[Message]]
SERVICE_NAMES = (f"{ALPHA}.ServerReflection", f"{V1}.ServerReflection")


def add_reflection(server: grpc.aio.Server, services: Iterable[str]) -> None:
    """Adds both versions of reflection for the services with these full names."""
    servicer = ReflectionServicer([*services, *SERVICE_NAMES])
    alpha: Pair = (reflection_pb2.ServerReflectionRequest, reflection_pb2.ServerReflectionResponse)
    for package, (request, response) in {ALPHA: alpha, V1: _v1_messages()}.items():
        _add(server, package, _Translated(servicer, response), request, response)


class _Translated:
    """Answers in one version with the other's servicer; the bytes on the wire are the same."""

    def __init__(self, servicer: Any, response: type[Message]) -> None:
        self._servicer = servicer
        self._response = response

    async def info(self, requests: AsyncIterator[Message], context: Any) -> AsyncIterator[Message]:
        async for answer in self._servicer.ServerReflectionInfo(_as_alpha(requests), context):
            yield self._response.FromString(answer.SerializeToString())


async def _as_alpha(requests: AsyncIterator[Message]) -> AsyncIterator[Message]:
    async for request in requests:
        alpha = reflection_pb2.ServerReflectionRequest.FromString(request.SerializeToString())
        if alpha.HasField("file_containing_symbol"):
            alpha.file_containing_symbol = _known(alpha.file_containing_symbol)
        yield alpha


def _known(symbol: str) -> str:
    """Answers the symbol, or the service of an rpc: the pool does not know rpcs by name, and grpcurl asks for them."""
    try:
        descriptor_pool.Default().FindFileContainingSymbol(symbol)
    except KeyError:
        return symbol.rpartition(".")[0] or symbol
    return symbol


def _add(
    server: grpc.aio.Server, package: str, servicer: _Translated, request: type[Message], response: type[Message]
) -> None:
    handler = grpc.stream_stream_rpc_method_handler(
        servicer.info,
        request_deserializer=request.FromString,
        response_serializer=response.SerializeToString,
    )
    generic = grpc.method_handlers_generic_handler(f"{package}.ServerReflection", {"ServerReflectionInfo": handler})
    server.add_generic_rpc_handlers((generic,))


def _v1_messages() -> Pair:
    pool = descriptor_pool.Default()
    name = "grpc/reflection/v1/reflection.proto"
    try:
        pool.FindFileByName(name)
    except KeyError:
        pool.AddSerializedFile(_v1_file(name).SerializeToString())
    messages = message_factory.GetMessageClassesForFiles([name], pool)
    return messages[f"{V1}.ServerReflectionRequest"], messages[f"{V1}.ServerReflectionResponse"]


def _v1_file(name: str) -> descriptor_pb2.FileDescriptorProto:
    alpha = descriptor_pb2.FileDescriptorProto()
    reflection_pb2.DESCRIPTOR.CopyToProto(alpha)
    file = text_format.Parse(
        text_format.MessageToString(alpha).replace(ALPHA, V1), descriptor_pb2.FileDescriptorProto()
    )
    file.name = name
    return file
