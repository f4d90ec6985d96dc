"""The command `difyrpc serve` and what it promises to who operates it."""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
import urllib.request

import grpc
import pytest
from bystanders import calls_in_flight
from grpc_health.v1 import health_pb2, health_pb2_grpc
from processes import Process, run, serve, state_folder

from difyrpc.files.v1 import files_pb2, files_pb2_grpc
from difyrpc_client import NotFound, Unauthenticated, connect

SERVICES = ("documents", "vectors", "files", "metrics")


def test_it_says_where_it_listens_what_it_stands_on_and_where_state_lies(process: Process):
    for name in SERVICES:
        assert re.search(rf"^  {name} +difyrpc\.{name}\.v1\.\w+  on \S+", process.banner, re.MULTILINE)
    assert f"state    {process.state}" in process.banner
    assert "database" in process.banner
    assert process.token


def test_the_probe_port_says_serving(process: Process):
    with grpc.insecure_channel(process.health_target) as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_metrics_show_the_calls(process: Process):
    with connect(process.target, token=process.token) as dify, pytest.raises(NotFound):
        dify.files.get("files/none")
    assert calls(process)["NOT_FOUND"] >= 1


@pytest.mark.parametrize("arguments", [(), ("files", "--workers", "2")])
def test_ctrl_c_exits_with_zero_and_without_complaints(arguments: tuple[str, ...]):
    with state_folder() as state, serve(*arguments, state=state) as process:
        assert process.press_ctrl_c() == 0
    assert not [line for line in process.log if "INFO" not in line]


def test_sigterm_lets_a_running_call_end():
    with (
        state_folder() as state,
        serve("files", state=state, env={"DIFYRPC_AUTH": "none"}) as process,
        grpc.insecure_channel(process.target) as channel,
    ):
        upload = Parts()
        answer = files_pb2_grpc.FileStorageStub(channel).UploadFile.future(upload, timeout=30)
        while not calls_in_flight(process):
            assert not answer.done()
        process.popen.send_signal(signal.SIGTERM)
        assert process.popen.poll() is None
        upload.go_on.set()
        assert answer.result().file.size_bytes == 3
        assert process.popen.wait(30) == 0


def test_probes_see_the_drain_until_the_end():
    with (
        state_folder() as state,
        serve("files", state=state, env={"DIFYRPC_DRAIN_SECONDS": "1.5"}) as process,
        grpc.insecure_channel(process.health_target) as channel,
    ):
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=30)
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        process.popen.send_signal(signal.SIGTERM)
        assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
        with grpc.insecure_channel(process.target) as plain:  # the client would look for a server that serves
            ask = files_pb2_grpc.FileStorageStub(plain).GetQuota
            ask(files_pb2.GetQuotaRequest(), timeout=10, metadata=[("authorization", f"Bearer {process.token}")])
        assert calls(process)["OK"] == 1
        assert process.popen.wait(30) == 0


def test_the_series_of_worker_processes_add_up_too():
    with state_folder() as state, serve("vectors", "--workers", "2", state=state) as process:
        for word in ("one", "two", "three", "four"):
            with connect(process.target, token=process.token, channels=1) as dify:
                dify.vectors.embed([word], purpose="query")
        wanted = 'difyrpc_vectors_embedding_cache_lookups_total{outcome="miss"} 4.0'
        while wanted not in shown(process):
            assert process.popen.poll() is None


def test_only_the_named_services_run():
    with state_folder() as state, serve("metrics", state=state) as process:
        assert "files" not in process.banner
        with (
            connect(process.target, token=process.token) as dify,
            pytest.raises(Exception, match="difyrpc serve files"),
        ):
            dify.files.get("files/none")


def test_a_port_that_is_taken_is_one_clear_line():
    with state_folder() as state, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        ended = run("serve", "files", state=state, env={"DIFYRPC_LISTEN": address})
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith(f"difyrpc: DIFYRPC_LISTEN={address}: cannot listen there")
    assert "Traceback" not in ended.stderr


def test_an_unknown_service_is_named_with_the_choices():
    ended = run("serve", "filez")
    assert ended.returncode == 1
    assert "documents, vectors, files, metrics" in ended.stderr


def test_what_was_acknowledged_survives_kill_9():
    with state_folder() as state:
        with serve("files", state=state) as process:
            token = process.token
            with connect(process.target, token=token) as dify:
                file = dify.files.upload(b"acknowledged", name="a.txt")
            process.stop(signal.SIGKILL)
        with serve("files", state=state) as process, connect(process.target, token=token) as dify:
            assert dify.files.read(file.name) == b"acknowledged"
            assert process.stop() == 0


def test_workers_share_a_port_and_their_metrics_add_up():
    with state_folder() as state, serve("files", "--workers", "2", state=state) as process:
        assert "2 processes" in process.banner
        for _ in range(20):
            with grpc.insecure_channel(process.target, [("grpc.use_local_subchannel_pool", 1)]) as channel:
                ask = files_pb2_grpc.FileStorageStub(channel).GetQuota
                ask(files_pb2.GetQuotaRequest(), timeout=10, metadata=[("authorization", f"Bearer {process.token}")])
        assert calls(process)["OK"] == 20
        assert process.stop() == 0
    assert "Traceback" not in "".join(process.log)


def test_a_worker_that_dies_is_replaced_and_none_outlives_the_parent():
    with state_folder() as state, serve("files", "--workers", "2", state=state) as process:
        first = workers(process)
        os.kill(first[0], signal.SIGKILL)
        with connect(process.target, token=process.token) as dify:
            assert dify.files.quota().used_bytes == 0
        while len(set(workers(process)) - {first[0]}) < 2:
            assert process.popen.poll() is None
        process.stop(signal.SIGKILL)
        while any(os.path.exists(f"/proc/{pid}") for pid in first[1:]):
            pass


def test_a_revoked_key_is_refused_within_five_seconds():
    with state_folder() as state, serve("files", state=state) as process:
        made = run("keys", "create", "--tenant", "acme", "--scope", "files:read", "--name", "for a test", state=state)
        token = made.stdout.strip()
        with connect(process.target, token=token) as dify:
            assert dify.files.quota().used_bytes == 0
            key_id = token.split("_")[1]
            listed = run("keys", "list", state=state, env={"COLUMNS": "200"}).stdout
            assert key_id in listed
            assert token not in listed
            assert run("keys", "revoke", key_id, state=state).returncode == 0
            with pytest.raises(Unauthenticated) as caught:
                until_refused(dify.files.quota)
        assert caught.value.reason == "KEY_REVOKED"


def until_refused(call: object, seconds: float = 5.0) -> None:
    import time

    last = time.monotonic() + seconds
    while time.monotonic() < last:
        call()  # type: ignore[operator]


class Parts:
    """An upload that waits in the middle until it is told to go on."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self._parts = iter(
            [
                files_pb2.UploadFileRequest(spec=files_pb2.FileSpec(display_name="a.txt")),
                files_pb2.UploadFileRequest(chunk=files_pb2.Chunk(data=b"abc")),
            ]
        )

    def __iter__(self) -> Parts:
        return self

    def __next__(self) -> files_pb2.UploadFileRequest:
        part = next(self._parts)
        if part.HasField("chunk"):
            assert self.go_on.wait(20)
        return part


def workers(process: Process) -> list[int]:
    import psutil

    return [child.pid for child in psutil.Process(process.popen.pid).children() if "--worker-pipes" in child.cmdline()]


def shown(process: Process) -> str:
    with urllib.request.urlopen(process.metrics_url, timeout=10) as answer:
        return answer.read().decode()


def calls(process: Process) -> dict[str, float]:
    text = shown(process)
    found: dict[str, float] = {}
    for code, value in re.findall(r'^difyrpc_calls_total\{code="(\w+)".*\} (\S+)$', text, re.MULTILINE):
        found[code] = found.get(code, 0) + float(value)
    return found
