"""What a running server does with files that change: certificates, keys, authorities, and the tenants' file."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest
from issued import LONG_AGO, SOON, TOMORROW, YESTERDAY, Issuer, Mount
from prometheus_client import CollectorRegistry

from difyrpc_services.commands.doctor import certificate_checks
from difyrpc_services.runtime.access import Identities, watched_identities
from difyrpc_services.runtime.certificates import ServerCertificates, ServerFiles
from difyrpc_services.runtime.server import ServerSettings
from difyrpc_services.runtime.settings import SettingsError
from difyrpc_services.runtime.watched import Lookout

OURS, THEIRS = Issuer(), Issuer()
OURS_LAST = 32503680000.0  # seconds; trustme's authorities end with the year 2999
EXPIRY = "difyrpc_tls_certificate_expiry_timestamp_seconds"


class World:
    """A server's certificates, looked at when a test says so."""

    def __init__(self, folder: Path, **files: bytes) -> None:
        self.mount = Mount(folder / "mount")
        self.mount.write(**{"ca": OURS.pem, **OURS.pair(), **files})
        self.files = ServerFiles(
            certificate=self.mount["cert.pem"], key="", key_file=self.mount["key.pem"], client_ca=self.mount["ca.pem"]
        )
        self.registry = CollectorRegistry()
        self.lookout = Lookout(self.registry, {})
        self.certificates = ServerCertificates(self.files, self.registry)
        self.certificates.watched_by(self.lookout)

    def expiry(self, certificate: str) -> float | None:
        return self.registry.get_sample_value(EXPIRY, {"certificate": certificate})

    def count(self, name: str) -> float | None:
        return self.registry.get_sample_value(name, {"files": "certificates"})


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_the_dates_of_what_is_in_use_are_shown(world) -> None:
    world.mount.write(ca=OURS.pem + THEIRS.pem, **OURS.pair(until=SOON))
    world.lookout.look()
    assert world.expiry("server") == int(SOON.timestamp())
    assert world.expiry("client_ca") == OURS_LAST
    assert (world.count("difyrpc_file_reloads_total"), world.count("difyrpc_file_reload_failures_total")) == (1, 0)


def test_what_changes_without_a_newer_time_is_seen(tmp_path: Path) -> None:
    world = World(tmp_path)
    times = {path: os.stat(path).st_mtime_ns for path in (world.mount["cert.pem"], world.mount["key.pem"])}
    pair = OURS.pair(until=SOON)
    for path, data in zip(times, pair.values(), strict=True):
        path.write_bytes(data)
        os.utime(path, ns=(times[path], times[path]))
    world.lookout.look()
    assert world.expiry("server") == int(SOON.timestamp())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"cert": b"half of it"}, "holds no certificate in PEM"),
        ({"cert": OURS.pair()["cert"]}, "DIFYRPC_TLS_KEY does not fit DIFYRPC_TLS_CERTIFICATE"),
        ({"key": b"half"}, "DIFYRPC_TLS_KEY is not a private key in PEM"),
        ({"key": None}, "DIFYRPC_TLS_KEY_FILE="),
        ({"ca": b""}, "DIFYRPC_TLS_CLIENT_CA="),
        (OURS.pair(since=LONG_AGO, until=YESTERDAY), f"expired on {YESTERDAY:%F %H:%M} UTC"),
        (OURS.pair(since=TOMORROW), f"not valid before {TOMORROW:%F %H:%M} UTC"),
    ],
    ids=["no PEM", "another certificate", "half a key", "no key", "no CA", "expired", "not yet valid"],
)
def test_files_that_cannot_be_used_keep_the_old_and_are_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, change: dict[str, bytes | None], words: str
) -> None:
    first = OURS.pair(until=SOON)
    world = World(tmp_path, **first)
    held = {"ca": OURS.pem, **first} | change
    world.mount.write(**{name: data for name, data in held.items() if data is not None})
    for _ in range(5):
        world.lookout.look()
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert words in caplog.text
    assert "the server goes on with what it read before" in caplog.text
    assert "PRIVATE" not in caplog.text
    assert world.expiry("server") == int(SOON.timestamp())
    assert world.count("difyrpc_file_reload_failures_total") == world.count("difyrpc_files_unusable") == 1
    world.mount.write(ca=OURS.pem, **OURS.pair())
    world.lookout.look()
    assert world.count("difyrpc_files_unusable") == 0
    assert world.count("difyrpc_file_reloads_total") == 1


def test_a_pair_that_is_halfway_written_at_one_look_is_no_fault(world, caplog: pytest.LogCaptureFixture) -> None:
    pair = OURS.pair(until=SOON)
    world.mount["cert.pem"].write_bytes(pair["cert"])
    world.lookout.look()
    world.mount["key.pem"].write_bytes(pair["key"])
    world.lookout.look()
    with caplog.at_level(logging.WARNING):
        world.lookout.look()
    assert caplog.records == []
    assert world.count("difyrpc_file_reload_failures_total") == 0
    assert world.expiry("server") == int(SOON.timestamp())


def test_each_fault_is_told_anew(world, caplog: pytest.LogCaptureFixture) -> None:
    for data in (b"half", OURS.pair()["cert"]):
        world.mount["cert.pem"].write_bytes(data)
        for _ in range(3):
            world.lookout.look()
    assert len(caplog.records) == world.count("difyrpc_file_reload_failures_total") == 2


def test_an_expired_certificate_is_served_from_the_start_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(tmp_path, **OURS.pair(since=LONG_AGO, until=YESTERDAY))
    assert world.expiry("server") == int(YESTERDAY.timestamp())
    world.lookout.look()
    world.lookout.look()
    assert "expired on" in caplog.text


def test_a_key_that_is_text_stays_as_it_was(tmp_path: Path) -> None:
    world, pair = World(tmp_path), OURS.pair()
    world.mount.write(ca=OURS.pem, **pair)
    files = ServerFiles(certificate=world.mount["cert.pem"], key=pair["key"].decode(), key_file=None, client_ca=None)
    assert files.read().key == pair["key"].decode()
    world.mount.write(ca=OURS.pem, **OURS.pair())
    with pytest.raises(SettingsError, match="does not fit"):
        files.read()


def test_the_tenants_file_is_followed_and_a_wrong_line_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "tenants"
    file.write_text("caller-7 acme files:read\n")
    watched = watched_identities(file, ["files"])
    known, lookout = Identities(watched), Lookout(CollectorRegistry(), {"certificate_tenants": watched})
    file.write_text("caller-7 globex files:read\ncaller-8 acme files:read\n")
    lookout.look()
    assert (known["caller-7"].tenant, sorted(known), len(known)) == ("globex", ["caller-7", "caller-8"], 2)
    file.write_text("caller-7 acme\n")
    lookout.look()
    lookout.look()
    assert known["caller-7"].tenant == "globex"
    assert "expected `identity tenant scope,scope`" in watched.trouble


def doctor(folder: Path, *, listen: str = "127.0.0.1:0", **files: bytes) -> list[tuple[str, str]]:
    mount = Mount(folder / "doctor")
    mount.write(ca=OURS.pem, **files)
    env = {
        "DIFYRPC_LISTEN": listen,
        "DIFYRPC_TLS_CERTIFICATE": str(mount["cert.pem"]),
        "DIFYRPC_TLS_KEY_FILE": str(mount["key.pem"]),
        "DIFYRPC_TLS_CLIENT_CA": str(mount["ca.pem"]),
    }
    return [(check.level, check.found + check.advice) for check in certificate_checks(ServerSettings.from_env(env))]


@pytest.mark.parametrize(
    ("pair", "listen", "level", "words"),
    [
        (OURS.pair(), "127.0.0.1:0", "ok", "clients may call the server 127.0.0.1, localhost"),
        (OURS.pair(until=SOON), "127.0.0.1:0", "warning", "6 days are left"),
        (OURS.pair(since=LONG_AGO, until=YESTERDAY), "127.0.0.1:0", "error", "it is refused now"),
        (OURS.pair("files.internal"), "127.0.0.1:0", "warning", "DIFYRPC_TLS_SERVER_NAME"),
        (OURS.pair("files.internal"), "10.1.2.3:0", "warning", "the server listens on 10.1.2.3"),
        (OURS.pair("files.internal"), "0.0.0.0:0", "ok", "clients may call the server files.internal"),
    ],
    ids=["good", "soon", "expired", "another name", "another address", "everywhere"],
)
def test_doctor_says_what_a_certificate_is_worth(
    tmp_path: Path, pair: dict[str, bytes], listen: str, level: str, words: str
) -> None:
    found = doctor(tmp_path, listen=listen, **pair)
    assert [said for rank, said in found if rank == level and words in said], found
    if level != "ok":
        assert {rank for rank, said in found if words not in said} == {"ok"}


def test_doctor_refuses_a_certificate_that_has_a_common_name_alone(tmp_path: Path) -> None:
    found = doctor(tmp_path, **OURS.pair(common_name="files.internal"))
    assert [said for rank, said in found if rank == "error" and "no alternative names" in said], found


def test_doctor_warns_of_a_key_that_cannot_be_replaced(tmp_path: Path) -> None:
    mount, pair = Mount(tmp_path / "doctor"), OURS.pair()
    mount.write(**pair)
    env = {"DIFYRPC_TLS_CERTIFICATE": str(mount["cert.pem"]), "DIFYRPC_TLS_KEY": pair["key"].decode()}
    found = list(certificate_checks(ServerSettings.from_env(env)))
    assert [check.advice for check in found if check.level != "ok"] == ["give the key as DIFYRPC_TLS_KEY_FILE"]
