"""Every rpc of every running service, found by descriptor: what a stranger sends never breaks the server."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from messages import message_of
from processes import Process

from difyrpc_services.catalogue import SERVICES

METHODS = [method for entry in SERVICES.values() for method in entry.descriptor().methods]
BROKEN = {grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL, grpc.StatusCode.DATA_LOSS}
LIVE = {"TailObservations"}  # streams that never end by themselves
SECONDS = 20.0
EXAMPLES = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def channel(process: Process) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(process.target, [("grpc.max_receive_message_length", -1)]) as channel:
        yield channel


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.full_name)
@EXAMPLES
@given(parts=st.lists(st.binary(max_size=200), min_size=1, max_size=3))
def test_random_bytes_get_a_clear_status(method: MethodDescriptor, parts: list[bytes], channel, process: Process):
    check(method, parts if method.client_streaming else parts[:1], channel, process)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.full_name)
@EXAMPLES
@given(seed=st.integers(0, 2**32))
def test_random_messages_get_a_clear_status(method: MethodDescriptor, seed: int, channel, process: Process):
    random = Random(seed)
    count = random.randint(1, 3) if method.client_streaming else 1
    requests = [message_of(method.input_type, random) for _ in range(count)]
    check(method, [request.SerializeToString() for request in requests], channel, process)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.full_name)
def test_an_empty_request_gets_a_clear_status(method: MethodDescriptor, channel, process: Process):
    check(method, [b""], channel, process)


@pytest.mark.parametrize("method", [m for m in METHODS if m.client_streaming], ids=lambda method: method.full_name)
def test_a_stream_without_any_message_gets_a_clear_status(method: MethodDescriptor, channel, process: Process):
    check(method, [], channel, process)


def check(method: MethodDescriptor, parts: list[bytes], channel: grpc.Channel, process: Process) -> None:
    error = call(method, parts, channel, process.token)
    if error is not None:
        assert error.code() not in BROKEN, f"{error.code()} {error.details()}"
        if error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED:
            assert reason(error), f"no reason: {error.code()} {error.details()}"
    assert process.popen.poll() is None
    asked = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=SECONDS)
    assert asked.status == health_pb2.HealthCheckResponse.SERVING


def call(method: MethodDescriptor, parts: list[bytes], channel: grpc.Channel, token: str) -> grpc.RpcError | None:
    path = f"/{method.containing_service.full_name}/{method.name}"
    options = {
        "metadata": [("authorization", f"Bearer {token}")],
        "timeout": 0.3 if method.name in LIVE else SECONDS,
    }
    many_in, many_out = method.client_streaming, method.server_streaming
    make = getattr(channel, f"{'stream' if many_in else 'unary'}_{'stream' if many_out else 'unary'}")
    try:
        answer = make(path)(iter(parts) if many_in else parts[0], **options)
        if many_out:
            for _ in answer:
                pass
    except grpc.RpcError as error:
        return error
    return None


def reason(error: grpc.RpcError) -> str:
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            for detail in status_pb2.Status.FromString(value).details:
                info = error_details_pb2.ErrorInfo()
                if detail.Unpack(info):
                    return info.reason
    return ""
