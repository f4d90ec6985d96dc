"""Series of several worker processes, added up by their parent."""

from __future__ import annotations

from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest

from difyrpc_services.runtime.worker_series import WorkerSeries

ONE = """# HELP texts Texts.
# TYPE texts counter
texts_total{kind="a"} 2.0
# HELP busy Busy.
# TYPE busy gauge
busy 1.0
"""


def exposed(series: WorkerSeries) -> str:
    registry = CollectorRegistry()
    registry.register(series)
    return generate_latest(registry).decode()


def test_equal_series_are_summed_and_others_stand_beside_each_other(tmp_path: Path):
    (tmp_path / "1.series").write_text(ONE)
    (tmp_path / "2.series").write_text(ONE.replace('"a"', '"b"'))
    (tmp_path / "3.series").write_text(ONE)
    text = exposed(WorkerSeries(tmp_path))
    assert 'texts_total{kind="a"} 4.0' in text
    assert 'texts_total{kind="b"} 2.0' in text
    assert "busy 3.0" in text


def test_a_worker_that_ended_keeps_its_counts_and_loses_its_gauges(tmp_path: Path):
    (tmp_path / "1.series").write_text(ONE)
    (tmp_path / "2.series").write_text(ONE)
    series = WorkerSeries(tmp_path)
    series.forget(1)
    text = exposed(series)
    assert 'texts_total{kind="a"} 4.0' in text
    assert "busy 1.0" in text
