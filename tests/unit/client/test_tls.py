"""Certificates of clients: read from files, read again when these change, and shared by who has equal ones."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest
from issued import LONG_AGO, NOW, SOON, YESTERDAY, Issuer, Mount

from difyrpc_client import TLS
from difyrpc_client._pool import IDLE_SECONDS, Connection, Lease, Pool
from difyrpc_client._settings import Endpoint
from difyrpc_client._tls import LOOK_SECONDS
from difyrpc_client._x509 import read_der, read_pem

OURS = Issuer()


class FakeChannel:
    def __init__(self) -> None:
        self.closed = False

    def close(self) -> None:
        self.closed = True


class World:
    """A pool whose channels are none, and a client whose certificates are files."""

    def __init__(self, folder: Path) -> None:
        self.time = 0.0
        self.opened: list[FakeChannel] = []
        self.pool = Pool(self.open, lambda: self.time)
        self.mount = Mount(folder / "mount")
        self.mount.write(ca=OURS.pem, **OURS.pair("me"))
        self.tls = TLS(ca=self.mount["ca.pem"], certificate=self.mount["cert.pem"], key=str(self.mount["key.pem"]))

    def open(self, endpoint: Endpoint) -> FakeChannel:
        self.opened.append(FakeChannel())
        return self.opened[-1]

    def lease(self, tls: TLS | None = None) -> Lease:
        endpoint = Endpoint(target="localhost:1", channels=1, tls=(tls or self.tls).load())
        return Lease(endpoint, self.pool)

    def text(self) -> TLS:
        material = self.tls.load()
        return TLS(ca=material.ca, certificate=material.certificate, key=material.key)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def certificate_of(connection: Connection) -> bytes | None:
    assert connection.tls is not None
    return connection.tls.certificate


def test_new_files_bring_new_channels_and_leave_the_old_ones_open(world) -> None:
    lease = world.lease()
    before = lease.connection()
    pair = OURS.pair("me")
    world.mount.write(ca=OURS.pem, **pair)
    world.time = LOOK_SECONDS - 1
    assert lease.connection() is before
    world.time = LOOK_SECONDS
    after = lease.connection()
    assert certificate_of(after) == pair["cert"]
    assert [channel.closed for channel in world.opened] == [False, False]
    assert world.pool.size() == 1


def test_files_that_hold_the_same_bring_nothing_new(world) -> None:
    lease = world.lease()
    before = lease.connection()
    same = {name: world.mount[f"{name}.pem"].read_bytes() for name in ("ca", "cert", "key")}
    world.mount.write(**same)
    for _ in range(3):
        world.time += LOOK_SECONDS
        assert lease.connection() is before


def test_between_two_looks_the_files_are_not_touched(world) -> None:
    lease = world.lease()
    before = lease.connection()
    for name in ("ca", "cert", "key"):
        world.mount[f"{name}.pem"].unlink()
    world.time = LOOK_SECONDS - 0.001
    assert lease.connection() is before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"cert": b"half of it"}, "TLS certificate holds no PEM block"),
        ({"cert": OURS.pair("me")["cert"]}, "do not belong together"),
        ({"key": OURS.pair("me")["key"]}, "do not belong together"),
        ({"ca": b"-----BEGIN CERTIFICATE-----\nhalf"}, "TLS ca holds no certificate in PEM"),
        (OURS.pair("me", since=LONG_AGO, until=YESTERDAY), "TLS certificate expired on"),
        ({"key": None}, "cannot be read"),
    ],
    ids=["no PEM", "another certificate", "another key", "half a CA", "expired", "gone"],
)
def test_files_that_cannot_be_used_keep_the_old_and_are_told_once(
    world, caplog: pytest.LogCaptureFixture, change: dict[str, bytes | None], words: str
) -> None:
    lease = world.lease()
    before = lease.connection()
    good = {"ca": OURS.pem, **OURS.pair("me")}
    held = {name: world.mount[f"{name}.pem"].read_bytes() for name in good} | change
    world.mount.write(**{name: data for name, data in held.items() if data is not None})
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            world.time += LOOK_SECONDS
            assert lease.connection() is before
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert words in caplog.text
    assert "goes on with what it read before" in caplog.text
    assert "PRIVATE" not in caplog.text
    world.mount.write(**good)
    world.time += LOOK_SECONDS
    assert certificate_of(lease.connection()) == good["cert"]


def test_text_is_never_read_again(world) -> None:
    lease = world.lease(world.text())
    before = lease.connection()
    world.mount.write(ca=OURS.pem, **OURS.pair("me"))
    world.time = 10 * LOOK_SECONDS
    assert lease.connection() is before


def test_clients_of_equal_files_share_channels_before_and_after(world) -> None:
    one, other = world.lease(), world.lease(replace(world.tls))
    assert one.connection() is other.connection()
    world.mount.write(ca=OURS.pem, **OURS.pair("me"))
    world.time = LOOK_SECONDS
    assert one.connection() is other.connection()
    for _ in range(3):
        assert one.connection() is other.connection()
    assert len(world.opened) == 2


def test_a_channel_that_was_replaced_for_one_client_still_serves_another(world) -> None:
    files, text = world.lease(), world.lease(world.text())
    before = text.connection()
    assert files.connection() is before
    world.mount.write(ca=OURS.pem, **OURS.pair("me"))
    world.time = LOOK_SECONDS
    assert files.connection() is not before
    assert text.connection() is before
    text.release()
    world.time += IDLE_SECONDS
    world.lease(TLS())
    assert not world.opened[0].closed  # calls of the first client may still run on it


def test_a_client_that_is_closed_gives_the_new_channels_back(world) -> None:
    lease = world.lease()
    lease.connection()
    world.mount.write(ca=OURS.pem, **OURS.pair("me"))
    world.time = LOOK_SECONDS
    lease.connection()
    lease.release()
    world.time += IDLE_SECONDS
    world.lease(TLS())
    assert [channel.closed for channel in world.opened] == [False, True]
    with pytest.raises(ValueError, match="closed"):
        lease.connection()


def test_a_hundred_rotations_leave_one_channel(world) -> None:
    lease = world.lease()
    for _ in range(100):
        lease.connection()
        world.mount.write(ca=OURS.pem, **OURS.pair("me"))
        world.time += LOOK_SECONDS
    lease.connection()
    assert len(world.opened) == 101
    assert world.pool.size() == 1


def test_after_a_fork_the_files_are_followed_as_before(world) -> None:
    lease = world.lease()
    lease.connection()
    world.pool.forget()
    after = lease.connection()
    world.mount.write(ca=OURS.pem, **OURS.pair("me"))
    world.time = LOOK_SECONDS
    assert lease.connection() is not after


def test_a_certificate_is_read_as_a_person_would() -> None:
    read = read_pem(OURS.pair("files.internal", "10.1.2.3", "::1", since=LONG_AGO, until=SOON)["cert"])
    assert read is not None
    assert read.names == ("files.internal", "10.1.2.3", "::1")
    assert (read.first, read.last) == (LONG_AGO.replace(microsecond=0), SOON.replace(microsecond=0))
    assert read.issuer.startswith("trustme")
    assert read.first < NOW < read.last


@pytest.mark.parametrize(
    "junk", [b"", b"\x30", b"\x30\x84\xff\xff\xff\xff", b"-----BEGIN CERTIFICATE-----\nx", b"\xff" * 99]
)
def test_what_is_no_certificate_is_none(junk: bytes) -> None:
    assert read_der(junk) is None
    assert read_pem(junk) is None
