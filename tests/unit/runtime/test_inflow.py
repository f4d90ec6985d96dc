"""How many calls a second begin, as a server that is only arithmetic shows it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from difyrpc_services.runtime.inflow import TICK_SECONDS, Inflow

LIMIT = 0.25  # seconds
STEPS, STEP_SECONDS = 10, 0.001  # of each call
TAKE_SECONDS, TURNS_TO_TAKE = 0.0003, 5  # of processor time; turns of the loop between a call and the next
DEADLINE_SECONDS = 2.0
CAPACITY = 1 / (STEPS * STEP_SECONDS + TAKE_SECONDS)  # calls a second, were nothing else to do


@dataclass(kw_only=True)
class Arithmetic:
    """A server as grpc.aio is one: each turn every running call makes a step, in some turns one more is taken up."""

    inflow: Inflow | None
    now: float = 0.0
    arrivals: float = 0.0
    waiting: deque[tuple[float, bool]] = field(default_factory=deque)
    running: list[list[float]] = field(default_factory=list)
    done: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    probe: float | None = None
    waited: float = 0.0
    next_tick: float = TICK_SECONDS

    def offer(self, rate: float, seconds: float) -> float:
        """Offers so many calls a second; answers how many a second were answered in time in the second half."""
        begun, self.arrivals = self.now, self.now
        for turn in self._turns(begun + seconds):
            while self.arrivals <= self.now:
                self.waiting.append((self.arrivals, False))
                self.arrivals += 1 / rate
            if turn % TURNS_TO_TAKE == 0 and self.waiting:
                self._take(*self.waiting.popleft())
        return sum(at >= begun + seconds / 2 for at in self.done) / (seconds / 2)

    def _turns(self, end: float) -> Iterator[int]:
        turn = 0
        while self.now < end:
            turn += 1
            self.now += 0.00004 + STEP_SECONDS * len(self.running)
            for call in self.running:
                call[1] -= 1
                if not call[1] and self.now - call[0] < DEADLINE_SECONDS:
                    self.done.append(self.now)
            self.running = [call for call in self.running if call[1]]
            if self.inflow and self.now >= self.next_tick:
                self._tick(self.inflow)
            yield turn

    def _take(self, came: float, is_probe: bool) -> None:
        self.now += TAKE_SECONDS
        if is_probe:
            self.waited, self.probe = self.now - came, None
        elif self.inflow is None or self.inflow.lets_in(self.now):
            self.running.append([came, STEPS])
        else:
            self.refused.append(self.now)

    def _tick(self, inflow: Inflow) -> None:
        self.next_tick = self.now + TICK_SECONDS
        if self.probe is None:
            inflow.tick(self.waited)
            self.probe = self.now
            self.waiting.append((self.now, True))
        else:
            inflow.tick(max(self.waited, self.now - self.probe))


def test_without_it_a_server_collapses():
    assert Arithmetic(inflow=None).offer(5 * CAPACITY, 8) < 0.1 * CAPACITY


@pytest.mark.parametrize(("times", "share"), [(1.5, 0.75), (2, 0.75), (5, 0.7), (10, 0.5)])
def test_under_overload_most_of_what_the_server_bears_is_answered_in_time(times: float, share: float):
    assert Arithmetic(inflow=Inflow(LIMIT)).offer(times * CAPACITY, 12) > share * CAPACITY


def test_a_load_that_the_server_bears_is_never_refused():
    server = Arithmetic(inflow=Inflow(LIMIT))
    assert server.offer(0.8 * CAPACITY, 10) == pytest.approx(0.8 * CAPACITY, rel=0.05)
    assert not server.refused


def test_nothing_is_refused_two_seconds_after_the_load_fell():
    server = Arithmetic(inflow=Inflow(LIMIT))
    server.offer(10 * CAPACITY, 8)
    fell = server.now
    server.offer(0.5 * CAPACITY, 8)
    assert server.refused[-1] < fell + 2
    assert server.inflow is not None
    assert server.inflow.rate is None


def test_one_long_step_is_no_overload():
    inflow = Inflow(LIMIT)
    for wait in (5.0, 0.0, 0.3, 0.3, 0.0, 0.3, 0.0):
        inflow.tick(wait)
        assert inflow.rate is None


def test_a_queue_that_stands_is_drained_before_anything_is_let_in_again():
    inflow = Inflow(LIMIT)
    for _ in range(3):
        assert all(inflow.lets_in(0.0) for _ in range(10))
        inflow.tick(0.3)
    assert inflow.rate == pytest.approx(100)
    assert not any(inflow.lets_in(at / 10) for at in range(100))
    inflow.tick(0.01)
    assert inflow.lets_in(10.1)


def test_what_may_begin_does_not_pile_up_while_nothing_comes():
    inflow = Inflow(LIMIT)
    for _ in range(3):
        assert all(inflow.lets_in(0.0) for _ in range(10))
        inflow.tick(0.3)
    inflow.tick(0.01)
    assert sum(inflow.lets_in(60.0) for _ in range(100)) == 2


def test_a_rate_never_falls_so_low_that_nothing_shows_that_it_got_better():
    inflow = Inflow(LIMIT)
    for _ in range(3):
        inflow.tick(0.3)
    for _ in range(300):
        inflow.tick(0.3)
        inflow.tick(0.2)
        inflow.lets_in(0.0)
    assert inflow.rate == 1.0
