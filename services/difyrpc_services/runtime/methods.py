"""What the contracts say about each rpc: its service, who may call it, whether it may be repeated."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

from difyrpc.type.v1 import call_pb2

LEVELS = {call_pb2.ACCESS_READ: "read", call_pb2.ACCESS_WRITE: "write", call_pb2.ACCESS_ADMIN: "admin"}


class ContractError(Exception):
    """A contract that does not state what the server needs to know."""


@dataclass(frozen=True, kw_only=True)
class Method:
    """One rpc of a contract."""

    path: str
    """On the wire: `/difyrpc.files.v1.FileStorage/GetFile`."""
    service: str
    """The service's short name, as in scopes: `files`."""
    name: str
    """The rpc's own name: `GetFile`."""
    level: str
    """`read`, `write` or `admin`."""
    replayed: bool
    """Whether a `request_id` makes the call repeatable."""


def methods_of(service: str, descriptor: ServiceDescriptor) -> dict[str, Method]:
    """Reads the rpcs of one contract, by path; ContractError when one lacks its call option."""
    return {method.path: method for method in (_method(service, rpc) for rpc in descriptor.methods)}


def all_methods(entries: Iterable[tuple[str, ServiceDescriptor]]) -> dict[str, Method]:
    """Reads the rpcs of several contracts, by path."""
    found: dict[str, Method] = {}
    for service, descriptor in entries:
        found |= methods_of(service, descriptor)
    return found


def _method(service: str, rpc: MethodDescriptor) -> Method:
    call = rpc.GetOptions().Extensions[call_pb2.call]
    if call.access not in LEVELS or call.repeat == call_pb2.REPEAT_UNSPECIFIED:
        raise ContractError(f"{rpc.full_name} does not state its access and repetition")
    replayed = call.repeat == call_pb2.REPEAT_WITH_REQUEST_ID
    if replayed and "request_id" not in rpc.input_type.fields_by_name:
        raise ContractError(f"{rpc.full_name} is repeated by request id, and its request has none")
    owner = rpc.containing_service.full_name
    return Method(
        path=f"/{owner}/{rpc.name}", service=service, name=rpc.name, level=LEVELS[call.access], replayed=replayed
    )
