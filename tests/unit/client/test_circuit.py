"""When calls to what keeps failing are refused, and how many repetitions a failing target gets."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_files import AWAY, Files, add

from difyrpc.files.v1 import files_pb2 as pb
from difyrpc.files.v1 import files_pb2_grpc
from difyrpc_client import (
    Breaker,
    CircuitOpen,
    ConfigurationError,
    DifyrpcError,
    InvalidArgument,
    NotFound,
    Retry,
    Unavailable,
    call_counts,
    channel,
    connect,
    connect_async,
)
from difyrpc_client._circuit import Circuit

ONCE = Retry(attempts=1)
MISSING = (grpc.StatusCode.NOT_FOUND, {"reason": "FILE_NOT_FOUND"})


def fail(dify, times: int, kind: type[DifyrpcError] = Unavailable) -> None:
    for _ in range(times):
        with pytest.raises(kind):
            dify.files.get("files/1")


def counted(target: str, method: str = "files.GetFile"):
    return next(one for one in call_counts() if (one.target, one.method) == (target, method))


def test_a_method_that_keeps_failing_is_not_called_any_more(serve, refuse, fake_time) -> None:
    server = Files(refuse, *[AWAY] * 20)
    target = serve(add(server))
    with connect(target, clock=fake_time.clock, retry=ONCE) as dify:
        fail(dify, 20)
        with pytest.raises(
            CircuitOpen, match=r"files.GetFile at localhost:\d+ is not called for 5.0 s: 20 of 20"
        ) as caught:
            dify.files.get("files/1")
    assert (caught.value.retry_after, caught.value.reason, caught.value.attempts) == (5.0, "CIRCUIT_OPEN", 0)
    assert caught.value.request_id
    assert len(server.metadata) == 20
    assert (counted(target).circuit, counted(target).refused) == ("open", 1)


def test_other_methods_and_other_targets_are_called_all_the_same(serve, refuse, fake_time) -> None:
    failing, other = Files(refuse, *[AWAY] * 20), Files(refuse)
    with (
        connect(serve(add(failing)), clock=fake_time.clock, retry=ONCE) as dify,
        connect(serve(add(other)), clock=fake_time.clock) as elsewhere,
    ):
        fail(dify, 20)
        assert dify.files.read("files/1") == b"0123456789"
        assert elsewhere.files.get("files/1").name == "files/1"


def test_clients_of_one_process_share_what_they_know_of_a_target(serve, refuse, fake_time) -> None:
    target = serve(add(Files(refuse, *[AWAY] * 20)))
    with connect(target, clock=fake_time.clock, retry=ONCE) as dify:
        fail(dify, 20)
    with connect(target, clock=fake_time.clock) as another:
        fail(another, 1, CircuitOpen)
    with connect(target, clock=fake_time.clock, breaker=False) as reckless:
        assert reckless.files.get("files/1").name == "files/1"


def test_after_a_while_one_call_tries_and_its_success_closes(serve, refuse, fake_time) -> None:
    server = Files(refuse, *[AWAY] * 21)
    with connect(serve(add(server)), clock=fake_time.clock, retry=ONCE) as dify:
        fail(dify, 20)
        fake_time.sleep(5)
        fail(dify, 1)  # tries, and fails
        fake_time.sleep(4.9)
        fail(dify, 1, CircuitOpen)
        fake_time.sleep(0.1)
        assert dify.files.get("files/1").name == "files/1"
        assert dify.files.get("files/2").name == "files/2"
    assert len(server.metadata) == 23


def test_only_one_call_tries(serve, refuse, fake_time) -> None:
    server = Files(refuse, *[AWAY] * 20)
    with connect(serve(add(server)), clock=fake_time.clock, retry=ONCE) as dify, ThreadPoolExecutor(1) as other:
        fail(dify, 20)
        fake_time.sleep(5)
        trying = other.submit(dify.files.get, "files/slow")
        assert server.waiting.wait(20)
        fail(dify, 1, CircuitOpen)
        server.release.set()
        assert trying.result().name == "files/slow"
        assert dify.files.get("files/1").name == "files/1"


def test_a_call_that_never_ends_does_not_keep_the_circuit_open(serve, refuse, fake_time) -> None:
    server = Files(refuse, *[AWAY] * 20)
    with connect(serve(add(server)), clock=fake_time.clock, retry=ONCE) as dify, ThreadPoolExecutor(1) as other:
        fail(dify, 20)
        fake_time.sleep(5)
        trying = other.submit(dify.files.get, "files/slow")
        assert server.waiting.wait(20)
        fake_time.sleep(5)
        assert dify.files.get("files/1").name == "files/1"
        server.release.set()
        trying.result()


def test_what_the_caller_did_wrong_opens_nothing(serve, refuse, fake_time) -> None:
    server = Files(refuse, *[MISSING] * 40)
    with connect(serve(add(server)), clock=fake_time.clock) as dify:
        fail(dify, 40, NotFound)
    assert len(server.metadata) == 40


def test_what_the_caller_breaks_off_says_nothing(serve, refuse, fake_time) -> None:
    target = serve(add(Files(refuse)))
    breaker = Breaker(least_calls=1, failure_rate=1)
    with connect(target, clock=fake_time.clock, breaker=breaker) as dify:
        for _ in range(5):
            chunks = dify.files.iter_bytes("files/1")
            next(chunks)
            chunks.close()
        assert dify.files.read("files/1") == b"0123456789"
    assert counted(target, "files.DownloadFile").ended == {"CANCELLED": 5, "OK": 1}


def test_what_a_repetition_has_mended_counts_as_a_success(serve, refuse, fake_time) -> None:
    server = Files(refuse, *[AWAY, AWAY, None] * 30)
    target = serve(add(server))
    with connect(target, clock=fake_time.clock, retry=Retry(wait_min=0)) as dify:
        for _ in range(30):
            dify.files.get("files/1")
    assert (counted(target).ended, counted(target).retries, counted(target).circuit) == ({"OK": 30}, 60, "closed")


def test_failures_that_are_long_past_do_not_count(serve, refuse, fake_time) -> None:
    with connect(serve(add(Files(refuse, *[AWAY] * 38))), clock=fake_time.clock, retry=ONCE) as dify:
        fail(dify, 19)
        fake_time.sleep(31)
        fail(dify, 19)
        assert dify.files.get("files/1").name == "files/1"


def test_it_can_be_turned_off(serve, refuse, fake_time) -> None:
    server = Files(refuse, *[AWAY] * 60)
    with connect(serve(add(server)), clock=fake_time.clock, retry=ONCE, env={"DIFYRPC_BREAKER": "off"}) as dify:
        fail(dify, 30)
        fail(dify.with_options(breaker=False), 30)
    assert len(server.metadata) == 60
    with pytest.raises(ConfigurationError, match="breaker is of type int"):
        connect(breaker=3)
    with pytest.raises(ConfigurationError, match=r"Breaker\(failure_rate=2\) is out of range: above 0, to 1"):
        Breaker(failure_rate=2)


async def test_the_asynchronous_client_is_refused_as_well(serve, refuse, fake_time) -> None:
    async with connect_async(serve(add(Files(refuse, *[AWAY] * 20))), clock=fake_time.clock, retry=ONCE) as dify:
        for _ in range(20):
            with pytest.raises(Unavailable):
                await dify.files.get("files/1")
        with pytest.raises(CircuitOpen):
            await dify.files.get("files/1")
        fake_time.sleep(5)
        assert (await dify.files.get("files/1")).name == "files/1"


def test_generated_stubs_are_refused_with_a_grpc_error(serve, refuse, fake_time) -> None:
    server = Files(refuse, *[AWAY] * 20)
    with channel(serve(add(server)), clock=fake_time.clock, retry=ONCE) as pooled:
        stub = files_pb2_grpc.FileStorageStub(pooled)
        for _ in range(20):
            with pytest.raises(grpc.RpcError):
                stub.GetFile(pb.GetFileRequest(name="files/1"))
        with pytest.raises(grpc.RpcError, match=r"is not called for 5\.0 s") as caught:
            stub.GetFile(pb.GetFileRequest(name="files/1"))
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert caught.value.error.retry_after == 5.0
    assert len(server.metadata) == 20


def test_a_failing_target_gets_no_flood_of_repetitions(serve, refuse, fake_time) -> None:
    server = Files(refuse, *[AWAY] * 1000)
    target = serve(add(server))
    retry = Retry(attempts=5, wait_min=0, budget=0.25)
    with connect(target, clock=fake_time.clock, retry=retry, breaker=False) as dify:
        fail(dify, 100)
        saved = counted(target).retries
        assert 100 <= saved <= 100 + 25
        assert saved == len(server.metadata) - 100
        with pytest.raises(Unavailable) as caught:
            dify.files.get("files/1")
        assert caught.value.attempts <= 2
        fake_time.sleep(1)
        fail(dify, 100)
    assert 10 + 25 - 1 <= counted(target).retries - saved <= 10 + 26


def test_the_budget_is_the_targets_and_not_the_methods(serve, refuse, fake_time) -> None:
    server = Files(refuse, *[AWAY] * 1000)
    target = serve(add(server))
    with connect(target, clock=fake_time.clock, retry=Retry(wait_min=0, budget=0), breaker=False) as dify:
        fail(dify, 30)
        with pytest.raises(Unavailable) as caught:
            dify.files.read("files/away")
    assert caught.value.attempts == 1
    assert counted(target, "files.DownloadFile").retries_denied == 1


def test_a_forked_process_does_not_wait_for_its_parents_threads(serve, refuse) -> None:
    from difyrpc_client._route import Routes

    routes = Routes()
    route = routes.of("localhost:1", "/difyrpc.files.v1.FileStorage/GetFile")
    held = threading.Event()
    release = threading.Event()

    def hold() -> None:
        with route._budget.lock:
            held.set()
            release.wait(20)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(20)
    routes.renew_locks()  # what the fork does
    assert route.may_repeat(1.0)
    release.set()
    holder.join()


@given(st.lists(st.tuples(st.floats(0, 20), st.sampled_from(["good", "ill", "wrong", "left"])), max_size=200))
def test_it_never_refuses_a_healthy_method_and_never_for_ever(steps) -> None:
    circuit, breaker, now, failures = Circuit("target", "method"), Breaker(least_calls=5), 0.0, 0
    outcomes = {"good": None, "ill": Unavailable(), "wrong": InvalidArgument(), "left": KeyboardInterrupt()}
    for seconds, outcome in steps:
        now += seconds
        try:
            tries = circuit.enter(now, breaker)
        except CircuitOpen:
            assert failures >= 3
            assert 0 < circuit.retry_after(now) <= breaker.open_seconds
            now += circuit.retry_after(now)
            tries = circuit.enter(now, breaker)
            assert tries
        circuit.leave(now, outcomes[outcome], breaker, tries=tries)
        failures += outcome == "ill"
        if tries and outcome in ("good", "wrong"):
            assert circuit.state == "closed"
            failures = 0
