from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from difyrpc_services.metrics.core.values import MICROS, Labels, Observation, Status
from difyrpc_services.metrics.exposition import UsageCollector
from difyrpc_services.runtime.errors import Unavailable

LABELS = Labels(operation="chat", provider="openai", model="gpt", app="secret app", user="ada")


def shown(totals):
    registry = CollectorRegistry()
    registry.register(UsageCollector(totals))
    text = generate_latest(registry).decode()
    return text, {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def key(name, **labels):
    base = {"gen_ai_operation_name": "chat", "gen_ai_provider_name": "openai", "gen_ai_request_model": "gpt"}
    return (name, *sorted((base | {"error_type": ""} | labels).items()))


async def test_totals_are_those_of_all_tenants_and_name_none(world):
    seen = Observation(
        labels=LABELS, input=100, output=20, cached_input=30, duration=MICROS, time_to_first_token=10_000
    )
    await world.record(seen, tenant="a")
    await world.record(seen, seen, tenant="b")

    text, samples = shown(world.backend.totals)

    assert samples[key("difyrpc_usage_calls_total", status="ok")] == 3
    assert samples[key("gen_ai_client_token_usage_sum", gen_ai_token_type="input")] == 300
    assert samples[key("gen_ai_client_token_usage_bucket", gen_ai_token_type="input", le="64.0")] == 0
    assert samples[key("gen_ai_client_token_usage_bucket", gen_ai_token_type="input", le="256.0")] == 3
    assert samples[key("gen_ai_client_operation_duration_seconds_bucket", le="0.64")] == 0
    assert samples[key("gen_ai_client_operation_duration_seconds_bucket", le="1.28")] == 3
    assert samples[key("gen_ai_client_operation_duration_seconds_sum")] == 3
    assert samples[key("gen_ai_client_operation_time_to_first_chunk_seconds_bucket", le="0.01")] == 3
    assert samples[key("difyrpc_usage_tokens_total", gen_ai_token_type="cached_input")] == 90
    assert "secret" not in text
    assert "ada" not in text


async def test_errors_without_a_type_have_the_conventions_word(world):
    await world.record(
        Observation(labels=LABELS, status=Status.ERROR),
        Observation(labels=LABELS, error_type="429"),
        Observation(labels=LABELS, status=Status.CANCELLED),
    )

    _, samples = shown(world.backend.totals)

    for status, error in (("error", "_OTHER"), ("error", "429"), ("cancelled", "cancelled")):
        assert samples[key("difyrpc_usage_calls_total", status=status, error_type=error)] == 1


async def test_hostile_labels_do_not_break_the_format(world):
    await world.record(Observation(labels=Labels(model='"} evil 1 \\'), duration=1))
    registry = CollectorRegistry()
    registry.register(UsageCollector(world.backend.totals))

    _, samples = shown(world.backend.totals)

    assert samples[key("difyrpc_usage_calls_total", status="ok", gen_ai_request_model='"} evil 1 \\',
                       gen_ai_operation_name="", gen_ai_provider_name="")] == 1  # fmt: skip
    assert openmetrics(registry).endswith(b"# EOF\n")


def test_a_store_that_is_away_leaves_a_gap():
    def away():
        raise Unavailable("DATABASE_UNAVAILABLE", "the database does not answer", retry_after=1)

    assert shown(away) == ("", {})
