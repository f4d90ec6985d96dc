"""`doctor`, `migrate`, `keys` and the help, as a person sees them."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
import trustme
from processes import FREE_PORTS, run, serve, state_folder

from difyrpc_client import connect


def test_the_help_names_every_command():
    shown = run("--help").stdout
    for name in ("demo", "doctor", "keys", "migrate", "parse", "serve"):
        assert f"  {name}" in shown
        assert run(name, "--help").returncode == 0


def test_doctor_says_that_all_is_well():
    with state_folder() as state:
        done = run("doctor", state=state)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "error" not in done.stdout
    for name in ("settings", "database", "documents", "vectors", "files", "metrics"):
        assert name in done.stdout


def test_doctor_finds_a_misspelt_setting():
    with state_folder() as state:
        done = run("doctor", state=state, env={"DIFYRPC_MAX_CONCURENT_CALLS": "5"})
    assert "DIFYRPC_MAX_CONCURENT_CALLS is not a setting" in done.stdout
    assert "did you mean DIFYRPC_MAX_CONCURRENT_CALLS?" in done.stdout


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"DIFYRPC_AUTH": "nobody"}, "DIFYRPC_AUTH='nobody' is not one of keys, none"),
        ({"DIFYRPC_DATABASE_URL": "postgresql://127.0.0.1:1/none"}, "Connection refused"),
    ],
)
def test_doctor_exits_with_one_when_something_must_be_mended(env: dict[str, str], words: str):
    with state_folder() as state:
        done = run("doctor", "files", state=state, env=env)
    assert done.returncode == 1
    assert words in done.stdout


def test_doctor_looks_at_the_certificate(tmp_path: Path):
    ca = trustme.CA()
    server, other = ca.issue_cert("localhost"), ca.issue_cert("localhost")
    (tmp_path / "cert.pem").write_bytes(server.cert_chain_pems[0].bytes())
    (tmp_path / "key.pem").write_bytes(other.private_key_pem.bytes())
    with state_folder() as state:
        done = run(
            "doctor",
            "files",
            state=state,
            env={
                "DIFYRPC_TLS_CERTIFICATE": str(tmp_path / "cert.pem"),
                "DIFYRPC_TLS_KEY_FILE": str(tmp_path / "key.pem"),
            },
        )
    assert done.returncode == 1
    assert "DIFYRPC_TLS_KEY does not fit DIFYRPC_TLS_CERTIFICATE" in done.stdout


def test_migrate_runs_twice_and_says_what_it_did():
    with state_folder() as state:
        assert "pending runtime/0001" in run("migrate", "--check", state=state).stdout
        assert "applied runtime/0001" in run("migrate", state=state).stdout
        assert run("migrate", state=state).stdout.strip() == "the schema is up to date"
        assert run("migrate", "--check", state=state).returncode == 0


def test_a_database_without_the_migrations_is_not_served_from(database_url: str):
    env = {"DIFYRPC_DATABASE_URL": database_url, "DIFYRPC_DATABASE_SCHEMA": "not_migrated", **FREE_PORTS}
    with state_folder() as state:
        done = run("serve", "files", state=state, env=env)
    assert done.returncode == 1
    assert "difyrpc migrate" in done.stderr


def test_doctor_sends_a_database_without_our_tables_to_migrate(database_url: str):
    env = {"DIFYRPC_DATABASE_URL": database_url, "DIFYRPC_DATABASE_SCHEMA": "not_migrated"}
    with state_folder() as state:
        done = run("doctor", state=state, env=env)
    assert done.returncode == 1
    assert "difyrpc migrate" in done.stdout
    assert done.stderr == ""


def test_doctor_finds_a_key_file_that_serve_would_refuse(tmp_path: Path):
    file = tmp_path / "key"
    file.write_text("password123")
    with state_folder() as state:
        done = run("doctor", "files", state=state, env={"DIFYRPC_BOOTSTRAP_KEY_FILE": str(file)})
    assert done.returncode == 1
    assert "DIFYRPC_BOOTSTRAP_KEY_FILE" in done.stdout


def test_a_start_that_fails_does_not_use_up_the_first_key():
    with state_folder() as state, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert run("serve", "files", "--listen", address, state=state).returncode == 1
        with serve("files", state=state, env={"DIFYRPC_BOOTSTRAP_TENANT": "acme"}) as process:
            listed = run("keys", "list", state=state).stdout
            assert process.token.split("_")[1] in listed
            assert " acme " in listed


def test_serve_warns_of_a_misspelt_setting():
    with state_folder() as state, serve("files", state=state, env={"DIFYRPC_GRACE_SECOND": "1"}) as process:
        process.stop()
    assert "DIFYRPC_GRACE_SECOND is not a setting; did you mean DIFYRPC_GRACE_SECONDS?" in "".join(process.log)


def test_a_token_made_beforehand_opens_the_server(tmp_path: Path):
    token = run("keys", "token").stdout.strip()
    file = tmp_path / "key"
    file.write_text(token + "\n")
    env = {"DIFYRPC_BOOTSTRAP_KEY_FILE": str(file), "DIFYRPC_BOOTSTRAP_TENANT": "acme"}
    with state_folder() as state, serve("files", state=state, env=env) as process:
        assert token not in process.banner
        with connect(process.target, token=token) as dify:
            assert dify.files.quota().used_bytes == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--tenant", "acme", "--scope", "everything"), "everything"),
        (("--tenant", "acme", "--scope", "filez:read"), "filez"),
        (("--tenant", "No Such Form!", "--scope", "*:read"), "tenant"),
    ],
)
def test_a_key_that_makes_no_sense_is_refused_in_one_line(arguments: tuple[str, ...], words: str):
    with state_folder() as state:
        done = run("keys", "create", *arguments, state=state)
    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr


CONTRACT = Path(__file__).parents[2] / "examples/contracts/supply-agreement.pdf"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--to", "markdown"), "# "),
        (("--to", "text", "--pages", "4-5"), "infusion pumps"),
        (("--to", "json"), '"page_count"'),
    ],
)
def test_parse_prints_a_document(arguments: tuple[str, ...], words: str):
    done = run("parse", str(CONTRACT), *arguments)
    assert (done.returncode, words in done.stdout, done.stderr) == (0, True, "")


def test_parse_prints_clauses_and_chunks_one_a_line(tmp_path: Path):
    clauses = run("parse", str(CONTRACT), "--to", "clauses").stdout.splitlines()
    assert json.loads(clauses[0])["number"] == "(A)"
    done = run("parse", str(CONTRACT), "--to", "chunks", "--size", "300", "--output", str(tmp_path / "chunks.jsonl"))
    chunks = [json.loads(line) for line in (tmp_path / "chunks.jsonl").read_text().splitlines()]
    assert (done.stdout, max(chunk["characters"] for chunk in chunks) <= 300) == ("", True)


@pytest.mark.parametrize(
    ("content", "arguments", "words"),
    [
        (b"%PDF-1.4", (), "not a readable PDF document"),
        (b"", (), "the document has no bytes"),
        (b"text", ("--pages", "1;2"), "'1;2' is no page"),
    ],
)
def test_what_cannot_be_parsed_is_said_in_one_line(
    content: bytes, arguments: tuple[str, ...], words: str, tmp_path: Path
):
    file = tmp_path / "file"
    file.write_bytes(content)
    done = run("parse", str(file), *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert words.lower() in done.stderr.lower()
    assert len(done.stderr.splitlines()) == 1
