"""What the outside sees of calls: hooks, counts, spans."""

from __future__ import annotations

import subprocess
import sys

import grpc
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry, generate_latest
from scripted_files import AWAY, Files, add

from difyrpc_client import Breaker, CircuitOpen, Hooks, NotFound, Retry, Unavailable, connect, connect_async
from difyrpc_client.prometheus import CallCollector

QUICK = Retry(wait_min=0)
MISSING = (grpc.StatusCode.NOT_FOUND, {"reason": "FILE_NOT_FOUND"})


@pytest.fixture
def spans(monkeypatch) -> InMemorySpanExporter:
    """What OpenTelemetry was told; its provider is set up for this test alone."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    monkeypatch.setattr("difyrpc_client._tracing._Setup.look_at", float("-inf"))
    return exporter


def test_hooks_are_told_of_calls_and_repetitions(serve, refuse) -> None:
    server = Files(refuse, AWAY, AWAY, None, MISSING)
    calls, retries = [], []
    target = serve(add(server))
    with connect(target, retry=QUICK, hooks=Hooks(on_call=calls.append, on_retry=retries.append)) as dify:
        dify.files.get("files/1")
        with pytest.raises(NotFound) as caught:
            dify.files.get("files/2")
    assert [(one.target, one.method, one.code, one.attempts) for one in calls] == [
        (target, "files.GetFile", "OK", 3),
        (target, "files.GetFile", "NOT_FOUND", 1),
    ]
    assert (calls[0].error, calls[1].error) == (None, caught.value)
    assert [one.request_id for one in calls] == [server.metadata[2]["x-request-id"], caught.value.request_id]
    assert [(one.attempt, type(one.error), one.wait_seconds) for one in retries] == [
        (1, Unavailable, 0),
        (2, Unavailable, 0),
    ]


def test_hooks_are_told_of_circuits(serve, refuse, fake_time) -> None:
    changes, calls = [], []
    hooks = Hooks(on_circuit=changes.append, on_call=calls.append)
    breaker = Breaker(least_calls=2, open_seconds=3)
    options = {"clock": fake_time.clock, "hooks": hooks, "breaker": breaker, "retry": Retry(attempts=1)}
    with connect(serve(add(Files(refuse, AWAY, AWAY))), **options) as dify:
        for kind in (Unavailable, Unavailable, CircuitOpen):
            with pytest.raises(kind):
                dify.files.get("files/1")
        fake_time.sleep(3)
        dify.files.get("files/1")
    assert [(one.method, one.state, one.retry_after) for one in changes] == [
        ("files.GetFile", "open", 3),
        ("files.GetFile", "closed", 0),
    ]
    assert [(one.code, one.attempts) for one in calls] == [
        ("UNAVAILABLE", 1),
        ("UNAVAILABLE", 1),
        ("UNAVAILABLE", 0),
        ("OK", 1),
    ]


async def test_a_hook_that_breaks_does_not_break_the_call(serve, refuse, caplog) -> None:
    def breaks(_event: object) -> None:
        raise ValueError("from the hook")

    hooks = Hooks(on_call=breaks, on_retry=breaks)
    target = serve(add(Files(refuse, AWAY)))
    with connect(target, retry=QUICK, hooks=hooks) as dify:
        assert dify.files.get("files/1").name == "files/1"
    async with connect_async(target, hooks=hooks) as twin:
        assert (await twin.files.get("files/1")).name == "files/1"
    assert [record.exc_info[1].args for record in caplog.records] == [("from the hook",)] * 3


def test_an_upload_that_goes_on_tells_the_hook(serve, refuse) -> None:
    retries = []
    with connect(serve(add(Files(refuse))), retry=QUICK, hooks=Hooks(on_retry=retries.append)) as dify:
        assert dify.files.read("files/short") == b"0123456789"
    assert [(one.method, one.attempt) for one in retries] == [("files.DownloadFile", 1)]


def test_prometheus_reads_the_counts(serve, refuse) -> None:
    target = serve(add(Files(refuse, AWAY, None, MISSING)))
    with connect(target, retry=QUICK) as dify:
        dify.files.get("files/1")
        with pytest.raises(NotFound):
            dify.files.get("files/1")
    registry = CollectorRegistry()
    registry.register(CallCollector())
    lines = generate_latest(registry).decode().splitlines()
    labels = f'method="files.GetFile",target="{target}"'
    mine = [line for line in lines if target in line]
    assert f'difyrpc_client_calls_total{{code="OK",{labels}}} 1.0' in mine
    assert f'difyrpc_client_calls_total{{code="NOT_FOUND",{labels}}} 1.0' in mine
    assert f"difyrpc_client_retries_total{{{labels}}} 1.0" in mine
    assert f'difyrpc_client_circuit{{method="files.GetFile",state="closed",target="{target}"}} 1.0' in mine


def test_a_call_is_one_span_and_the_server_hears_of_it(serve, refuse, spans) -> None:
    server = Files(refuse, AWAY)
    target = serve(add(server))
    with (
        connect(target, retry=QUICK) as dify,
        trace.get_tracer("test").start_as_current_span("tool") as tool,
    ):
        dify.files.get("files/1")
    (call,) = (one for one in spans.get_finished_spans() if one.name == "difyrpc.files.v1.FileStorage/GetFile")
    assert call.kind is trace.SpanKind.CLIENT
    assert call.parent.span_id == tool.get_span_context().span_id
    assert dict(call.attributes) == {
        "rpc.system": "grpc",
        "rpc.service": "difyrpc.files.v1.FileStorage",
        "rpc.method": "GetFile",
        "server.address": target,
        "rpc.grpc.status_code": 0,
        "difyrpc.attempts": 2,
    }
    assert [(event.name, event.attributes["attempt"]) for event in call.events] == [("retry", 1)]
    sent = {one["traceparent"].rpartition("-")[0] for one in server.metadata}
    assert sent == {f"00-{call.context.trace_id:032x}-{call.context.span_id:016x}"}


async def test_a_failed_call_is_a_failed_span(serve, refuse, spans) -> None:
    async with connect_async(serve(add(Files(refuse, MISSING)))) as dify:
        with pytest.raises(NotFound):
            await dify.files.get("files/1")
    (call,) = spans.get_finished_spans()
    assert call.status.status_code is trace.StatusCode.ERROR
    assert call.attributes["rpc.grpc.status_code"] == 5


def test_a_stream_that_is_left_ends_its_span_and_leaves_the_callers_alone(serve, refuse, spans) -> None:
    with connect(serve(add(Files(refuse)))) as dify:
        chunks = dify.files.iter_bytes("files/1")
        next(chunks)
        assert not trace.get_current_span().is_recording()
        chunks.close()
    (call,) = spans.get_finished_spans()
    assert call.attributes["rpc.grpc.status_code"] == 1


def test_a_trace_of_the_callers_own_is_passed_on_untouched(serve, refuse, spans) -> None:
    server = Files(refuse)
    own = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with connect(serve(add(server)), metadata={"traceparent": own}) as dify:
        dify.files.get("files/1")
    assert server.metadata[0]["traceparent"] == own


def test_nothing_of_it_is_needed(serve, refuse) -> None:
    script = f"""
import sys
sys.modules["opentelemetry"] = sys.modules["prometheus_client"] = None
from difyrpc_client import connect
with connect({serve(add(Files(refuse)))!r}) as dify:
    assert dify.files.get("files/1").name == "files/1"
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
