"""What the contract says about each rpc: its path, its messages, its streams and whether it may be repeated."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Any, Generic, TypeVar

from google.protobuf import descriptor_pool
from google.protobuf.message import Message

from difyrpc.type.v1 import call_pb2

Req = TypeVar("Req", bound=Message)
Res = TypeVar("Res", bound=Message)


class Repeat(Enum):
    """Whether a call may be sent again when its answer was lost."""

    NEVER = call_pb2.REPEAT_NEVER
    FREELY = call_pb2.REPEAT_FREELY
    WITH_REQUEST_ID = call_pb2.REPEAT_WITH_REQUEST_ID


@dataclass(frozen=True, kw_only=True, eq=False)
class Method(Generic[Req, Res]):
    """One rpc of the contract."""

    path: str
    """`/difyrpc.files.v1.FileStorage/GetFile`, as it stands on the wire."""
    request: type[Req]
    """Class of the messages that are sent."""
    response: type[Res]
    """Class of the messages that come back."""
    request_streaming: bool
    """Several messages may be sent."""
    response_streaming: bool
    """Several messages may come back."""
    repeat: Repeat
    """From the contract's call option; an rpc that states nothing is never repeated."""

    @cached_property
    def service(self) -> str:
        """Name of the service on addresses and in settings: `files`."""
        return self.path.split(".")[1]

    @cached_property
    def name(self) -> str:
        """Name of the rpc alone: `GetFile`."""
        return self.path.rpartition("/")[2]


def rpc(name: str, request: type[Req], response: type[Res]) -> Method[Req, Res]:
    """Finds `FileStorage.GetFile` in the package of its request; KeyError if the contract has no such rpc."""
    service, _, method = name.rpartition(".")
    return _described(f"/{request.DESCRIPTOR.file.package}.{service}/{method}", request, response)


def known_repeat(path: str) -> Repeat:
    """Answers what the contract says about a path; NEVER for paths that no loaded contract has."""
    try:
        return _repeat(_descriptor(path))
    except KeyError:
        return Repeat.NEVER


def _described(path: str, request: type[Req], response: type[Res]) -> Method[Req, Res]:
    found = _descriptor(path)
    if (found.input_type, found.output_type) != (request.DESCRIPTOR, response.DESCRIPTOR):
        raise TypeError(f"{path} takes {found.input_type.full_name} and answers {found.output_type.full_name}")
    return Method(
        path=path,
        request=request,
        response=response,
        request_streaming=found.client_streaming,
        response_streaming=found.server_streaming,
        repeat=_repeat(found),
    )


def _descriptor(path: str) -> Any:
    service, _, method = path.lstrip("/").rpartition("/")
    return descriptor_pool.Default().FindServiceByName(service).methods_by_name[method]


def _repeat(found: Any) -> Repeat:
    stated = found.GetOptions().Extensions[call_pb2.call].repeat
    return Repeat(stated) if stated else Repeat.NEVER
