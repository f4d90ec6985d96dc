"""When a call is sent again, and how long the client waits before."""

from __future__ import annotations

from typing import Any

import pytest

from difyrpc_client import Cancelled, ConfigurationError, InvalidArgument, ResourceExhausted, Retry, Unavailable
from difyrpc_client._errors import Aborted, DeadlineExceeded, DifyrpcError, Internal
from difyrpc_client._retry import UNWATCHED, Attempts, Clock, Resumption, passing, repeat, repeat_async


class Calls:
    """Fails as told, then answers."""

    def __init__(self, *errors: DifyrpcError) -> None:
        self.errors = list(errors)
        self.left: list[float] = []

    def __call__(self, left: float) -> str:
        self.left.append(left)
        if self.errors:
            raise self.errors.pop(0)
        return "answer"

    async def later(self, left: float) -> str:
        return self(left)


STEADY = Retry(attempts=4, wait_min=1, wait_max=3, factor=2, jitter=0)


def after(first: DifyrpcError, deadline: float, clock: Clock) -> Attempts:
    return Attempts(first, STEADY, deadline, UNWATCHED, clock)


def again(send: Calls, attempts: Attempts) -> str:
    return repeat(lambda: send(attempts.left()), attempts)


async def again_async(send: Any, attempts: Attempts) -> str:
    return await repeat_async(lambda: send(attempts.left()), attempts)


def test_only_passing_errors_may_be_repeated() -> None:
    assert passing(Unavailable())
    assert passing(Cancelled())
    assert passing(ResourceExhausted(retry_after=1))
    assert not passing(ResourceExhausted())
    assert not any(passing(kind()) for kind in (Aborted, DeadlineExceeded, Internal, InvalidArgument))


def test_waits_grow_to_the_cap(fake_time) -> None:
    send = Calls(Unavailable(), Unavailable())
    assert again(send, after(Unavailable(), 1100, fake_time.clock)) == "answer"
    assert fake_time.sleeps == [1, 2, 3]
    assert send.left == [99, 97, 94]


async def test_the_asynchronous_twin_waits_the_same(fake_time) -> None:
    send = Calls(Unavailable(), Unavailable())
    assert await again_async(send.later, after(Unavailable(), 1100, fake_time.clock)) == "answer"
    assert fake_time.sleeps == [1, 2, 3]


def test_the_last_error_is_raised_after_all_attempts(fake_time) -> None:
    send = Calls(Unavailable("2"), Unavailable("3"), Unavailable("4"), Unavailable("5"))
    with pytest.raises(Unavailable, match="4") as caught:
        again(send, after(Unavailable("1"), 1100, fake_time.clock))
    assert caught.value.attempts == 4
    assert len(send.left) == 3


def test_an_error_that_will_not_pass_ends_the_repetition(fake_time) -> None:
    with pytest.raises(InvalidArgument):
        again(Calls(InvalidArgument()), after(Unavailable(), 1100, fake_time.clock))
    assert fake_time.sleeps == [1]


def test_nothing_is_sent_after_the_deadline(fake_time) -> None:
    send = Calls(Unavailable(), Unavailable())
    with pytest.raises(Unavailable):
        again(send, after(Unavailable(), 1002.5, fake_time.clock))
    assert send.left == [1.5]
    assert fake_time.sleeps == [1]


def test_the_servers_retry_info_is_obeyed_beyond_the_cap(fake_time) -> None:
    again(Calls(), after(ResourceExhausted(retry_after=20), 1100, fake_time.clock))
    assert 20 <= fake_time.sleeps[0] <= 22


def test_a_wait_that_outlasts_the_deadline_is_not_begun(fake_time) -> None:
    with pytest.raises(Unavailable):
        again(Calls(), after(Unavailable(retry_after=200), 1100, fake_time.clock))
    assert fake_time.sleeps == []


def test_jitter_spreads_the_waits() -> None:
    waits = {Retry(wait_min=1, wait_max=1, jitter=0.5).wait(1) for _ in range(50)}
    assert len(waits) > 10
    assert all(0.5 <= wait <= 1 for wait in waits)


@pytest.mark.parametrize("wrong", [{"attempts": 0}, {"wait_min": 9, "wait_max": 1}, {"factor": 0.5}, {"jitter": 2}])
def test_values_out_of_range_are_named(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        Retry(**wrong)


def test_a_transfer_that_moves_on_is_given_new_tries(fake_time) -> None:
    resumption = Resumption(Retry(attempts=2, wait_min=1, wait_max=1, jitter=0), 2000, clock=fake_time.clock)
    assert [resumption.after(Unavailable(), position) for position in (0, 5, 9)] == [1, 1, 1]
    last = Unavailable()
    assert resumption.after(last, 9) is None
    assert last.attempts == 4


def test_a_transfer_ends_with_an_error_that_will_not_pass(fake_time) -> None:
    resumption = Resumption(Retry(), 2000, clock=fake_time.clock)
    assert resumption.after(Aborted(), 0) is None
    assert resumption.after(Aborted(), 0, also=True) is not None
