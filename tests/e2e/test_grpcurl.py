"""What a platform engineer types: grpcurl and buf curl, by reflection."""

from __future__ import annotations

import base64
import json
import subprocess

import pytest
from processes import BIN, Process

TEXT = "第一条 目的。本合同规定交货。\n第二条 付款。买方应当在三十日内付款。\n"


def grpcurl(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([BIN / "grpcurl", *arguments], capture_output=True, text=True, timeout=60)


def test_grpcurl_lists_and_describes_without_a_key(process: Process):
    listed = grpcurl("-plaintext", process.target, "list").stdout.split()
    assert {"difyrpc.documents.v1.DocumentParser", "grpc.health.v1.Health"} <= set(listed)
    described = grpcurl("-plaintext", process.target, "describe", "difyrpc.vectors.v1.VectorSearch.Search")
    assert "rpc Search" in described.stdout, described.stderr


def test_grpcurl_checks_health_without_a_key(process: Process):
    assert "SERVING" in grpcurl("-plaintext", process.target, "grpc.health.v1.Health/Check").stdout


def test_grpcurl_parses_a_document_with_a_key(process: Process):
    body = json.dumps({"content": base64.b64encode(TEXT.encode()).decode(), "name": "合同.txt"})
    done = grpcurl(
        "-plaintext",
        "-H",
        f"authorization: Bearer {process.token}",
        "-d",
        body,
        process.target,
        "difyrpc.documents.v1.DocumentParser/Parse",
    )
    assert done.returncode == 0, done.stderr
    numbers = [clause["number"] for clause in json.loads(done.stdout)["clauses"]]
    assert numbers == ["第一条", "第二条"], done.stdout


def test_grpcurl_without_a_key_is_told_what_to_send(process: Process):
    done = grpcurl("-plaintext", "-d", "{}", process.target, "difyrpc.files.v1.FileStorage/GetQuota")
    assert done.returncode != 0
    assert "Unauthenticated" in done.stderr
    assert "authorization" in done.stderr


def test_buf_curl_calls_by_reflection_v1(process: Process):
    done = subprocess.run(
        [
            BIN / "buf",
            "curl",
            "--protocol",
            "grpc",
            "--http2-prior-knowledge",
            "--reflect-protocol",
            "grpc-v1",
            "-H",
            f"authorization: Bearer {process.token}",
            f"http://{process.target}/difyrpc.files.v1.FileStorage/GetQuota",
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) in ({}, {"usedBytes": json.loads(done.stdout).get("usedBytes")})


@pytest.mark.parametrize("service", ["TaskQueue", "Inference", "DifyApps"])
def test_a_contract_without_a_server_is_not_listed(process: Process, service: str):
    assert service not in grpcurl("-plaintext", process.target, "list").stdout
