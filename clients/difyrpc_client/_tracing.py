"""Spans of OpenTelemetry around calls, where its API is installed; their context travels as W3C headers."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from difyrpc_client._errors import DifyrpcError

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

LOOK_SECONDS = 1.0  # so late spans begin where OpenTelemetry is set up after the first call

Headers = tuple[tuple[str, str], ...]


class Span:
    """The span of one call, from its first try to its end."""

    def __init__(self, tracer: Tracer, target: str, path: str) -> None:
        from opentelemetry.trace import SpanKind

        service, _, method = path[1:].partition("/")
        named = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": method, "server.address": target}
        self._span = tracer.start_span(path[1:], kind=SpanKind.CLIENT, attributes=named)

    def headers(self) -> Headers:
        """Answers what tells the server of the span: `traceparent` and what else the propagators know."""
        from opentelemetry import propagate
        from opentelemetry.trace import set_span_in_context

        carrier: dict[str, str] = {}
        propagate.inject(carrier, set_span_in_context(self._span))
        return tuple((key.lower(), value) for key, value in carrier.items())

    def repeats(self, error: DifyrpcError, attempt: int, wait: float) -> None:
        """Notes that try number `attempt` failed and what follows is tried after `wait` seconds."""
        noted: dict[str, str | int | float] = {
            "attempt": attempt,
            "wait_seconds": wait,
            "code": error.code,
            "reason": error.reason,
        }
        self._span.add_event("retry", noted)

    def end(self, code: int, error: BaseException | None, attempts: int) -> None:
        """Ends the span with the status of the call."""
        from opentelemetry.trace import Status, StatusCode

        self._span.set_attributes({"rpc.grpc.status_code": code, "difyrpc.attempts": attempts})
        if error is not None:
            self._span.record_exception(error)
            self._span.set_status(Status(StatusCode.ERROR, str(error)))
        self._span.end()


def start_span(target: str, path: str, now: float) -> Span | None:
    """Begins the span of a call, a child of the current one; None where OpenTelemetry is not installed and set up.

    Whether it is set up is looked at every second, since the look costs more than all else that is done for a call.
    `now` is in seconds.
    """
    if now < _Setup.look_at and not _Setup.found:
        return None
    trace = _api()
    _Setup.look_at = now + LOOK_SECONDS
    _Setup.found = trace is not None and not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
    return Span(trace.get_tracer("difyrpc_client"), target, path) if _Setup.found else None


class _Setup:
    """What the last look found, for the whole process."""

    look_at = float("-inf")
    found = False


@cache
def _api() -> Any:
    if find_spec("opentelemetry") is None:
        return None
    try:
        from opentelemetry import trace
    except ImportError:  # another package of that namespace is installed, and not the API
        return None
    return trace
