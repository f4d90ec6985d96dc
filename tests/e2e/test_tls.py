"""Certificates that are replaced under several worker processes, as `/metrics` shows them."""

from __future__ import annotations

import urllib.request
from pathlib import Path

from issued import SOON, Issuer, Mount, server_env
from processes import Process, serve, state_folder

from difyrpc_client import TLS, connect

YEAR_3000 = 32503680000  # seconds; when the certificates of trustme end
EXPIRY = 'difyrpc_tls_certificate_expiry_timestamp_seconds{certificate="%s"}'


def test_each_worker_takes_the_new_certificate_and_the_dates_do_not_add_up(tmp_path: Path) -> None:
    issuer, mount = Issuer(), Mount(tmp_path / "mount")
    mine = issuer.pair("me")
    mount.write(client_ca=issuer.pem, **issuer.pair())
    env = server_env(mount, mutual=True)
    with state_folder() as state, serve("files", "--workers", "2", state=state, env=env) as process:
        assert value(shown(process), EXPIRY % "server") == YEAR_3000
        assert value(shown(process), EXPIRY % "client_ca") == YEAR_3000
        mount.write(client_ca=issuer.pem, **issuer.pair(until=SOON))
        while value(shown(process), 'difyrpc_file_reloads_total{files="certificates"}') < 2:
            assert process.popen.poll() is None
        assert value(shown(process), EXPIRY % "server") == int(SOON.timestamp())
        tls = TLS(ca=issuer.pem, certificate=mine["cert"], key=mine["key"])
        with connect(process.target, tls=tls, token=process.token) as dify:
            assert dify.files.quota().used_bytes == 0
        mount.write(client_ca=issuer.pem, **issuer.pair() | {"key": issuer.pair()["key"]})
        while value(shown(process), 'difyrpc_file_reload_failures_total{files="certificates"}') < 2:
            assert process.popen.poll() is None
        assert value(shown(process), 'difyrpc_files_unusable{files="certificates"}') == 1
        assert process.stop() == 0
    assert len([line for line in process.log if "ERROR" in line and "does not fit" in line]) == 2  # one a worker


def shown(process: Process) -> str:
    with urllib.request.urlopen(process.metrics_url, timeout=10) as answer:
        return answer.read().decode()


def value(text: str, series: str) -> float:
    """What a series stands at; every worker has it from its start."""
    return next(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(series))
