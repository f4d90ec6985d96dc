"""Allowances out of settings and their file, the gate, and the counting of calls over time."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import throttled.utils
from prometheus_client import CollectorRegistry, generate_latest

from difyrpc_services.runtime.errors import DeadlineExceeded, ResourceExhausted
from difyrpc_services.runtime.exposition import CallMetrics
from difyrpc_services.runtime.gate import Gate
from difyrpc_services.runtime.limits import Allowance, Allowances, Limits, LimitSettings, Rate, read_allowances
from difyrpc_services.runtime.load import Load
from difyrpc_services.runtime.methods import Method
from difyrpc_services.runtime.rates import LocalRates
from difyrpc_services.runtime.settings import SettingsError

SERVICES = ("documents", "files")


def allowances(tmp_path: Path, *lines: str, **env: str) -> Allowances:
    file = tmp_path / "limits"
    file.write_text("\n".join(lines))
    return read_allowances(
        LimitSettings.from_env({"DIFYRPC_TENANT_LIMITS": str(file)} | {f"DIFYRPC_{key}": env[key] for key in env}),
        SERVICES,
    )


def test_nobody_is_limited_by_default():
    assert read_allowances(LimitSettings.from_env({}), SERVICES).is_empty


def test_a_burst_is_what_one_second_brings_unless_it_is_set():
    for env, burst in (({}, 2), ({"DIFYRPC_TENANT_BURST_CALLS": "9"}, 9)):
        settings = LimitSettings.from_env({"DIFYRPC_TENANT_CALLS_PER_SECOND": "2.5", **env})
        assert read_allowances(settings, SERVICES).usual.rate == Rate(calls_per_second=2.5, burst_calls=burst)


def test_the_closest_line_counts_and_a_line_with_a_service_counts_by_itself(tmp_path: Path):
    found = allowances(
        tmp_path,
        "# who  what",
        "acme calls_per_second=50 burst_calls=100 concurrent_calls=20",
        "acme documents concurrent_calls=2  # they are heavy",
        "* documents calls_per_second=1",
        TENANT_CALLS_PER_SECOND="5",
        TENANT_CONCURRENT_CALLS="7",
    )
    key, allowance = found.of("acme", "files")
    assert (key, allowance.rate, allowance.concurrent_calls) == ("acme", Rate(calls_per_second=50, burst_calls=100), 20)
    key, allowance = found.of("acme", "documents")
    assert (key, allowance.concurrent_calls) == ("acme/documents", 2)
    assert allowance.rate == Rate(calls_per_second=5, burst_calls=5)
    key, allowance = found.of("other", "documents")
    assert (key, allowance.rate, allowance.concurrent_calls) == (
        "other/documents",
        Rate(calls_per_second=1, burst_calls=1),
        7,
    )
    assert found.of("other", "files") == ("other", found.usual)


def test_a_refusal_names_the_setting_that_counted(tmp_path: Path):
    found = allowances(tmp_path, "acme calls_per_second=50", TENANT_CONCURRENT_CALLS="7")
    acme, other = found.of("acme", "files")[1], found.of("other", "files")[1]
    assert (acme.rate_setting, acme.concurrent_setting) == ("DIFYRPC_TENANT_LIMITS", "DIFYRPC_TENANT_CONCURRENT_CALLS")
    assert other.rate_setting == "DIFYRPC_TENANT_CALLS_PER_SECOND"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("acme", "expected `tenant"),
        ("acme speed=5", "calls_per_second=…"),
        ("acme calls_per_second=fast", "not a number"),
        ("acme calls_per_second=-1", "too small"),
        ("acme calls_per_second=0.0000001", "too small"),
        ("acme concurrent_calls=-1", "too small"),
        ("acme filez concurrent_calls=1", "there is no service 'filez'"),
        ("Acme! concurrent_calls=1", "not a tenant's name"),
        ("* concurrent_calls=1", "needs a service"),
        ("first concurrent_calls=2", "has a line already"),
    ],
)
def test_a_wrong_line_is_named_with_its_file_and_number(tmp_path: Path, line: str, words: str):
    with pytest.raises(SettingsError, match=words) as raised:
        allowances(tmp_path, "first concurrent_calls=1", line)
    assert f"{tmp_path / 'limits'}, line 2: " in str(raised.value)


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"DIFYRPC_TENANT_CALLS_PER_SECOND": "-1"}, "the least is 0"),
        ({"DIFYRPC_TENANT_CALLS_PER_SECOND": "0.000001"}, "less than one call a day"),
        ({"DIFYRPC_TENANT_ALGORITHM": "bucket"}, "token_bucket, leaky_bucket"),
        ({"DIFYRPC_TENANT_LIMITS": "/none"}, "DIFYRPC_TENANT_LIMITS=/none: cannot be read"),
        ({"DIFYRPC_REDIS_URL": "localhost:6379"}, "DIFYRPC_REDIS_URL"),
    ],
)
def test_settings_that_cannot_work_say_why(env: dict[str, str], words: str):
    with pytest.raises(SettingsError, match=words):
        read_allowances(LimitSettings.from_env(env), SERVICES)


def test_the_redis_password_is_never_printed():
    assert "hidden" not in repr(LimitSettings.from_env({"DIFYRPC_REDIS_URL": "redis://:hidden@host/0"}))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that the library counts by, in seconds, as a list of one; each look takes a microsecond."""
    now = [1000.0]

    def look() -> float:
        now[0] += 1e-6
        return now[0]

    monkeypatch.setattr(throttled.utils, "now_mono_f", look)
    return now


async def test_a_bucket_gives_its_burst_then_one_call_at_a_time_and_says_truly_when(clock: list[float]):
    rates, rate = LocalRates(), Rate(calls_per_second=1.5, burst_calls=3)
    assert [(await rates.take("acme", rate))[0] for _ in range(4)] == [True, True, True, False]
    passed = 0
    for _ in range(30):
        may_begin, seconds = await rates.take("acme", rate)
        if may_begin:
            passed += 1
        else:
            clock[0] += seconds - 0.001
            assert not (await rates.take("acme", rate))[0]
            clock[0] += 0.002
    assert passed == 15
    assert clock[0] - 1000 == pytest.approx(15 / 1.5, rel=0.01)


async def test_tenants_do_not_use_up_each_others_rate():
    rates, rate = LocalRates(), Rate(calls_per_second=0.01, burst_calls=1)
    assert (await rates.take("acme", rate))[0]
    assert (await rates.take("other", rate))[0]
    assert not (await rates.take("acme", rate))[0]


async def test_each_of_several_processes_gives_its_share(clock: list[float]):
    processes = [LocalRates(shares=4) for _ in range(4)]
    rate = Rate(calls_per_second=20, burst_calls=8)
    begun = 0
    for _ in range(1001):
        for process in processes:
            begun += (await process.take("acme", rate))[0]
        clock[0] += 0.01
    assert begun == pytest.approx(8 + 200, abs=4)


async def test_the_turn_of_each_call_of_a_burst_comes_evenly(clock: list[float]):
    rates, rate = LocalRates(), Rate(calls_per_second=10, burst_calls=3)
    turns = [(await rates.take("acme", rate))[1] for _ in range(3)]
    assert turns == pytest.approx([0, 0.1, 0.2], abs=1e-4)


class Gates:
    """Makes gates, and notes what they refuse."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.metrics = CallMetrics(self.registry)
        self.limits = Limits(concurrent_calls=3)

    def gate(self, usual: Allowance | None = None, **more: object) -> Gate:
        return Gate(self.limits, metrics=self.metrics, allowances=Allowances(usual=usual or Allowance()), **more)

    def shown(self) -> str:
        return generate_latest(self.registry).decode()


def test_one_tenant_cannot_take_all_places():
    gates = Gates()
    gate = gates.gate(Allowance(concurrent_calls=2))
    with gate.place("acme", "files"), gate.place("acme", "documents"):
        with (
            pytest.raises(ResourceExhausted, match="2 calls of the tenant acme") as refused,
            gate.place("acme", "files"),
        ):
            pass
        assert (refused.value.reason, refused.value.metadata["limit_value"]) == ("TOO_MANY_TENANT_CALLS", "2")
        assert refused.value.metadata["limit"] == "DIFYRPC_TENANT_CONCURRENT_CALLS"
        with gate.place("other", "files"):
            assert gates.limits.running == 3
    with gate.place("acme", "files"):
        assert gates.limits.running == 1
    assert gates.limits.running == 0


def test_a_place_is_given_back_after_an_error():
    gates = Gates()
    gate = gates.gate(Allowance(concurrent_calls=1))
    for _ in range(3):
        with pytest.raises(ValueError, match="broke"), gate.place("acme", "files"):
            raise ValueError("broke")
    assert gates.limits.running == 0


def test_refusals_are_counted_by_reason_and_name_no_tenant():
    gates = Gates()
    gate = gates.gate(Allowance(concurrent_calls=1))
    for _ in range(2):
        with gate.place("acme", "files"), pytest.raises(ResourceExhausted), gate.place("acme", "files"):
            pass
    assert 'difyrpc_calls_refused_total{reason="TOO_MANY_TENANT_CALLS"} 2.0' in gates.shown()
    assert "acme" not in gates.shown()


async def test_a_call_that_comes_too_early_hears_when_and_why():
    rate = Rate(calls_per_second=0.5, burst_calls=1)
    gate = Gates().gate(Allowance(rate=rate), rates=LocalRates())
    await gate.turn("acme", "files", None)
    with pytest.raises(ResourceExhausted) as refused:
        await gate.turn("acme", "files", None)
    error = refused.value
    assert (error.reason, error.quota_of) == ("RATE_LIMITED", "tenants/acme")
    assert (error.metadata["limit"], error.metadata["limit_value"]) == ("DIFYRPC_TENANT_CALLS_PER_SECOND", "0.5")
    assert 1.5 < error.retry_after <= 2.0


async def test_a_call_whose_turn_comes_after_its_deadline_is_refused_at_once():
    gate = Gates().gate(Allowance(rate=Rate(calls_per_second=0.01, burst_calls=2)), rates=LocalRates(), is_even=True)
    await gate.turn("acme", "files", 5.0)
    with pytest.raises(ResourceExhausted) as refused:
        await asyncio.wait_for(gate.turn("acme", "files", 5.0), 30)
    assert refused.value.reason == "RATE_LIMITED"


def test_a_call_that_cannot_end_in_its_time_is_not_begun_and_what_is_known_can_change():
    gate = Gates().gate(load=load())
    for _ in range(5):
        gate.note_time("/a/slow", 2.0)
    gate.check_time("/a/slow", None)
    gate.check_time("/a/slow", 2.1)
    gate.check_time("/a/other", 0.1)
    with pytest.raises(DeadlineExceeded) as refused:
        gate.check_time("/a/slow", 1.9)
    assert (refused.value.reason, refused.value.metadata["seconds"]) == ("DEADLINE_TOO_SHORT", "2.000")
    gate.check_time("/a/slow", 1.9)


def test_a_call_whose_time_is_over_is_not_begun():
    with pytest.raises(DeadlineExceeded):
        Gates().gate(load=load()).check_time("/a/any", 0.0)


class Panel:
    """Takes what a load shows."""

    def __init__(self) -> None:
        self.share = 0.0

    def show_load(self, *, wait_seconds: float, shed_share: float) -> None:
        self.share = shed_share


class Waits:
    """Answers what a test says."""

    seconds = 0.0

    def __init__(self) -> None:
        self.paths: list[str] = []

    def note(self, path: str) -> None:
        self.paths.append(path)

    def look(self) -> float:
        return self.seconds


class Memory:
    percent: float | None = 50.0


def load(panel: Panel | None = None, memory: Memory | None = None, waits: Waits | None = None) -> Load:
    return Load(
        wait_seconds=0.25,
        memory_percent=90,
        metrics=panel or Panel(),
        memory_used=lambda: (memory or Memory()).percent,
        waits=waits or Waits(),
    )


async def test_memory_near_its_limit_refuses_calls_beside_others_until_there_is_room_again():
    memory = Memory()
    watched = load(memory=memory)

    def refuses_at(percent: float | None, running: int = 1) -> bool:
        memory.percent = percent
        for _ in range(10):
            watched.see()
        return watched.refuses("/a/get", running)

    assert not refuses_at(89)
    assert refuses_at(91)
    assert refuses_at(86)
    assert not refuses_at(86, running=0)
    assert not refuses_at(84)
    assert not refuses_at(None)


async def test_what_is_shown_and_said_of_a_queue_that_stands(caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO")
    panel, waits = Panel(), Waits()
    watched = load(panel, waits=waits)
    waits.seconds = 0.3
    for _ in range(3):
        watched.see()
        watched.refuses("/a/get", running=1)
    watched.see()
    assert waits.paths == ["/a/get"] * 3
    assert panel.share == 1
    waits.seconds = 0.0
    for _ in range(20):
        watched.see()
    assert panel.share == 0
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert "wait 0.30 s" in caplog.messages[0]


async def test_a_call_that_is_one_too_many_is_counted_by_its_method_and_by_the_reason():
    gates, waits = Gates(), Waits()
    watched = load(waits=waits)
    gate = gates.gate(load=watched)
    method = Method(path="/a/get", service="files", name="Get", level="read", replayed=False)
    assert gate.refusal(method) is None
    waits.seconds = 0.3
    for _ in range(3):
        watched.see()
    assert gate.refusal(method) is not None
    assert 'difyrpc_calls_refused_total{reason="SERVER_OVERLOADED"} 1.0' in gates.shown()
    assert 'difyrpc_calls_total{code="UNAVAILABLE",method="Get",service="files"} 1.0' in gates.shown()
