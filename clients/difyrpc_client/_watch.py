"""Follows each call from its first try to its end: counts it, traces it, tells the caller's hooks."""

from __future__ import annotations

from difyrpc_client._circuit import State
from difyrpc_client._errors import STATUS_NAMES, CircuitOpen, DifyrpcError
from difyrpc_client._hooks import CallEnded, CallRepeated, CircuitChanged, Hooks, tell
from difyrpc_client._plan import new_request_id
from difyrpc_client._retry import Clock
from difyrpc_client._route import Route
from difyrpc_client._settings import CallOptions
from difyrpc_client._tracing import Headers, start_span


class Watch:
    """One call on its way. Made before the first try; ended by exactly one of `succeeded`, `failed` and `left`."""

    __slots__ = ("_clock", "_options", "_route", "_span", "_tries", "attempts", "request_id", "started")

    def __init__(self, route: Route, path: str, options: CallOptions, clock: Clock) -> None:
        """Enters the circuit; raises CircuitOpen."""
        self.attempts = 1
        """How often it was sent so far."""
        self.request_id = new_request_id(options)
        """Its `x-request-id`."""
        self.started = now = clock.now()
        """When it began, in the clock's time."""
        self._route, self._options, self._clock = route, options, clock
        try:
            self._tries = route.enter(now, options.breaker, options.retry.budget)
        except CircuitOpen as error:
            self._refused(error)
            raise
        self._span = start_span(route.target, path, now)

    def headers(self) -> Headers:
        """Answers what the call carries for the sake of tracing."""
        return self._span.headers() if self._span else ()

    def remaining(self, seconds: float) -> float:
        """Answers what is left of a timeout that runs since the call began."""
        return self.started + seconds - self._clock.now()

    def may_repeat(self) -> bool:
        """Answers whether the target's budget has one more repetition, and takes it."""
        return self._route.may_repeat(self._clock.now())

    def repeats(self, error: DifyrpcError, wait: float) -> None:
        """Takes that the call is sent again after `wait` seconds."""
        if self._span:
            self._span.repeats(error, self.attempts, wait)
        _tell_repetition(self._options.hooks, self._route, self.attempts, wait, error)
        self.attempts += 1

    def succeeded(self) -> None:
        """Takes that the call was answered."""
        options = self._options
        if self._tries or self._span or options.hooks.on_call:
            return self._end("OK", 0, None)
        now = self._clock.now()
        return self._route.succeeded(now, now - self.started, options.breaker)

    def failed(self, error: DifyrpcError) -> DifyrpcError:
        """Takes what the call ended with; answers it, to be raised."""
        self._end(STATUS_NAMES[error.code], error.code, error)
        return error

    def left(self, error: BaseException) -> None:
        """Takes that the caller broke the call off, or did not read it to its end."""
        self._end("CANCELLED", 1, error)

    def _end(self, code: str, number: int, error: BaseException | None) -> None:
        now = self._clock.now()
        seconds = now - self.started
        options = self._options
        state = self._route.leave(now, code, error, seconds=seconds, breaker=options.breaker, tries=self._tries)
        if self._span:
            self._span.end(number, error, self.attempts)
        if options.hooks.on_call:
            self._tell_end(error, code, seconds)
        if state and options.hooks.on_circuit:
            self._tell_circuit(state, now)

    def _refused(self, error: CircuitOpen) -> None:
        error.request_id = self.request_id
        self.attempts = 0
        self._tell_end(error, STATUS_NAMES[error.code], 0.0)

    def _tell_end(self, error: BaseException | None, code: str, seconds: float) -> None:
        if self._options.hooks.on_call:
            event = CallEnded(
                target=self._route.target,
                method=self._route.method,
                code=code,
                seconds=seconds,
                attempts=self.attempts,
                request_id=self.request_id,
                error=error,
            )
            tell(self._options.hooks.on_call, event)

    def _tell_circuit(self, state: State, now: float) -> None:
        event = CircuitChanged(
            target=self._route.target, method=self._route.method, state=state, retry_after=self._route.retry_after(now)
        )
        tell(self._options.hooks.on_circuit, event)


class TransferWatch:
    """Follows a transfer whose streams go on where the one before broke; each stream has a Watch of its own."""

    def __init__(self, route: Route, hooks: Hooks, clock: Clock) -> None:
        self._route, self._hooks, self._clock = route, hooks, clock
        self._streams = 1

    def may_repeat(self) -> bool:
        """Answers whether the target's budget has one more repetition, and takes it."""
        return self._route.may_repeat(self._clock.now())

    def repeats(self, error: DifyrpcError, wait: float) -> None:
        """Takes that the transfer goes on after `wait` seconds."""
        _tell_repetition(self._hooks, self._route, self._streams, wait, error)
        self._streams += 1


def _tell_repetition(hooks: Hooks, route: Route, attempt: int, wait: float, error: DifyrpcError) -> None:
    if hooks.on_retry:
        event = CallRepeated(
            target=route.target,
            method=route.method,
            attempt=attempt,
            wait_seconds=wait,
            request_id=error.request_id,
            error=error,
        )
        tell(hooks.on_retry, event)
