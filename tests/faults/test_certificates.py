"""What a person reads when client and server cannot agree on TLS, from the synchronous and the asynchronous client."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import threading
import warnings
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import pytest
from issued import LONG_AGO, TOMORROW, YESTERDAY, Issuer, Mount, server_env
from scripted import scene

from difyrpc_client import TLS, DifyrpcError, Retry, TLSError, Unavailable, connect, connect_async

RESTARTS = 60 if os.environ.get("DIFYRPC_TEST_LONG") == "1" else 6
ONCE = Retry(attempts=1)
PATIENT = Retry(attempts=4, wait_min=0.01, wait_max=0.02)

OURS, THEIRS = Issuer(), Issuer()


async def failure(kind: str, target: str, tls: TLS | None) -> Unavailable:
    """How a call that the contract lets be repeated ends."""
    call = asyncio.to_thread(get, target, tls) if kind == "sync" else get_async(target, tls)
    with pytest.raises(Unavailable) as caught:
        await call
    return caught.value


def get(target: str, tls: TLS | None) -> str:
    with connect(target, tls=tls or False, retry=PATIENT, timeout=10, env={}) as dify:
        return dify.files.get("files/a").name


async def get_async(target: str, tls: TLS | None) -> str:
    async with connect_async(target, tls=tls or False, retry=PATIENT, timeout=10, env={}) as dify:
        return (await dify.files.get("files/a")).name


def client(issuer: Issuer = OURS, pair: dict[str, bytes] | None = None, name: str | None = None) -> TLS:
    pair = pair or {}
    return TLS(ca=issuer.pem, certificate=pair.get("cert"), key=pair.get("key"), server_name=name)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A server and a client that cannot agree."""

    pair: dict[str, bytes] = field(default_factory=OURS.pair)
    client_ca: bytes = b""
    is_plain: bool = False
    tls: TLS | None = field(default_factory=client)
    reason: str
    words: tuple[str, ...]


CASES = {
    "expired": Case(
        pair=OURS.pair(since=LONG_AGO, until=YESTERDAY),
        reason="SERVER_CERTIFICATE_EXPIRED",
        words=(f"expired on {YESTERDAY:%F %H:%M} UTC", "renew it there"),
    ),
    "not yet valid": Case(
        pair=OURS.pair(since=TOMORROW),
        reason="SERVER_CERTIFICATE_NOT_YET_VALID",
        words=(f"not valid before {TOMORROW:%F %H:%M} UTC", "clocks"),
    ),
    "other names": Case(
        pair=OURS.pair("files.internal", "10.1.2.3"),
        reason="SERVER_CERTIFICATE_NAME",
        words=("for other names: files.internal, 10.1.2.3", "DIFYRPC_TLS_SERVER_NAME"),
    ),
    "another name asked for": Case(
        tls=client(name="files.internal"),
        reason="SERVER_CERTIFICATE_NAME",
        words=("for other names: localhost, 127.0.0.1",),
    ),
    "another authority": Case(
        tls=client(THEIRS),
        reason="SERVER_CERTIFICATE_UNTRUSTED",
        words=("issued by trustme", "not signed by an authority that this client trusts", "DIFYRPC_TLS_CA"),
    ),
    "a public authority alone": Case(
        tls=TLS(),
        reason="SERVER_CERTIFICATE_UNTRUSTED",
        words=("not signed by an authority that this client trusts",),
    ),
    "no client certificate": Case(
        client_ca=OURS.pem,
        reason="CLIENT_CERTIFICATE_MISSING",
        words=("asks for a client's certificate", "DIFYRPC_TLS_CERTIFICATE"),
    ),
    "expired client certificate": Case(
        client_ca=OURS.pem,
        tls=client(pair=OURS.pair("me", since=LONG_AGO, until=YESTERDAY)),
        reason="CLIENT_CERTIFICATE_REFUSED",
        words=(f"the client's certificate expired on {YESTERDAY:%F %H:%M} UTC",),
    ),
    "client certificate of another authority": Case(
        client_ca=OURS.pem,
        tls=client(pair=THEIRS.pair("me")),
        reason="CLIENT_CERTIFICATE_REFUSED",
        words=("refuses the client's certificate, issued by trustme", "DIFYRPC_TLS_CLIENT_CA"),
    ),
    "a key of another certificate": Case(
        client_ca=OURS.pem,
        tls=client(pair={"cert": OURS.pair("me")["cert"], "key": OURS.pair("me")["key"]}),
        reason="CLIENT_KEY_MISFIT",
        words=("the client's key is not its certificate's",),
    ),
    "a plain client": Case(tls=None, reason="SERVER_SPEAKS_TLS", words=("speaks TLS and this client does not",)),
    "a plain server": Case(is_plain=True, reason="SERVER_IS_PLAIN", words=("does not speak TLS", "without tls")),
}


@asynccontextmanager
async def server(folder: Path, case: Case) -> AsyncIterator[str]:
    mount = Mount(folder / "server")
    mount.write(**case.pair, **({"client_ca": case.client_ca} if case.client_ca else {}))
    env = {} if case.is_plain else server_env(mount, mutual=bool(case.client_ca))
    async with scene(env=env) as at:
        yield f"localhost:{at.server.port}"


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("name", CASES)
async def test_what_keeps_the_two_apart_is_said_once_and_not_repeated(tmp_path: Path, name: str, kind: str) -> None:
    case = CASES[name]
    async with server(tmp_path, case) as target:
        error = await failure(kind, target, case.tls)
    assert isinstance(error, TLSError), error
    assert (error.reason, error.attempts, error.metadata["target"]) == (case.reason, 1, target)
    assert str(error).startswith(f"{target}: the ")
    for words in case.words:
        assert words in str(error)


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_server_that_is_away_is_no_matter_of_tls_and_is_tried_again(kind: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        target = f"localhost:{free.getsockname()[1]}"
    for tls in (None, client(), client(pair=OURS.pair("me"))):
        error = await failure(kind, target, tls)
        assert (type(error), error.attempts) == (Unavailable, 4), error


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_server_that_hangs_up_at_once_is_no_matter_of_tls(kind: str) -> None:
    with answering(lambda plain: plain.close()) as target:
        for tls in (None, client(), client(pair=OURS.pair("me"))):
            error = await failure(kind, target, tls)
            assert (type(error), error.attempts) == (Unavailable, 4), error


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_server_with_tls_1_1_alone_is_refused_and_named_so(tmp_path: Path, kind: str) -> None:
    with answering(old_server(tmp_path)) as target:
        error = await failure(kind, target, client())
    assert isinstance(error, TLSError)
    assert error.reason == "TLS_VERSION"
    assert "no version of TLS that is safe; 1.2 is the least" in str(error)


@pytest.mark.parametrize(
    ("version", "is_served"), [(ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True)], ids=str
)
async def test_a_client_with_tls_1_1_alone_is_refused(tmp_path: Path, version: ssl.TLSVersion, is_served: bool) -> None:
    context = old(ssl.PROTOCOL_TLS_CLIENT, version)
    context.load_verify_locations(cadata=OURS.pem.decode())

    def shake_hands(target: str) -> bool:
        address = "127.0.0.1", int(target.rpartition(":")[2])
        try:
            with (
                socket.create_connection(address, 10) as plain,
                context.wrap_socket(plain, server_hostname=address[0]) as secure,
            ):
                return secure.recv(1) != b""
        except (ssl.SSLError, ConnectionError):
            return False

    async with server(tmp_path, Case(reason="", words=())) as target:
        assert await asyncio.to_thread(shake_hands, target) == is_served


class Outcomes:
    """Clients of both kinds that call again and again, and how their calls ended."""

    def __init__(self, target: str, tls: TLS) -> None:
        self._target = target
        self._tls = tls
        self._over = asyncio.Event()
        self.counts: Counter[str] = Counter()
        self._changed = threading.Condition()

    def _count(self, outcome: str) -> None:
        with self._changed:
            self.counts[outcome] += 1
            self._changed.notify_all()

    def _block(self) -> None:
        with connect(self._target, tls=self._tls, retry=ONCE, breaker=False, env={}) as dify:
            while not self._over.is_set():
                try:
                    dify.files.get("files/a")
                    self._count("OK")
                except DifyrpcError as error:
                    self._count(error.reason or type(error).__name__)

    async def _loop(self) -> None:
        async with connect_async(self._target, tls=self._tls, retry=ONCE, breaker=False, env={}) as dify:
            while not self._over.is_set():
                try:
                    await dify.files.get("files/a")
                    self._count("OK")
                except DifyrpcError as error:
                    self._count(error.reason or type(error).__name__)

    async def more(self, outcome: str, number: int) -> None:
        """Waits until so many further calls have ended so."""

        def wait() -> bool:
            with self._changed:
                wanted = self.counts[outcome] + number
                return self._changed.wait_for(lambda: self.counts[outcome] >= wanted, 60)

        assert await asyncio.to_thread(wait), self.counts

    async def __aenter__(self) -> Self:
        self._running = asyncio.gather(asyncio.to_thread(self._block), asyncio.to_thread(self._block), self._loop())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._over.set()
        await self._running


@pytest.mark.parametrize("mutual", [False, True])
async def test_a_server_that_restarts_is_never_taken_for_one_with_a_wrong_certificate(
    tmp_path: Path, mutual: bool
) -> None:
    mount = Mount(tmp_path / "server")
    mount.write(client_ca=OURS.pem, **OURS.pair())
    env = {**server_env(mount, mutual=mutual), "DIFYRPC_GRACE_SECONDS": "0"}
    async with scene(env=env) as at:
        port = at.server.port
    env["DIFYRPC_LISTEN"] = f"127.0.0.1:{port}"
    tls = client(pair=OURS.pair("me")) if mutual else client()
    async with Outcomes(f"localhost:{port}", tls) as outcomes:
        for number in range(RESTARTS):
            async with scene(env=env):
                await outcomes.more("OK", 1 + number % 5 * 10)
            await outcomes.more("Unavailable", 1 + number % 3 * 10)
    assert set(outcomes.counts) <= {"OK", "Unavailable", "Cancelled"}


def old(protocol: int, version: ssl.TLSVersion) -> ssl.SSLContext:
    """A context of one version, as old machines have it."""
    context = ssl.SSLContext(protocol)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.set_alpn_protocols(["h2"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = version
    return context


def old_server(folder: Path) -> Callable[[socket.socket], None]:
    context = old(ssl.PROTOCOL_TLS_SERVER, ssl.TLSVersion.TLSv1_1)
    mount = Mount(folder / "old")
    mount.write(**OURS.pair())
    context.load_cert_chain(mount["cert.pem"], mount["key.pem"])

    def answer(plain: socket.socket) -> None:
        try:
            context.wrap_socket(plain, server_side=True).close()
        except OSError:
            plain.close()

    return answer


@contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A port of loopback on which each connection is handed to `answer`."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    answer(listening.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"localhost:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()
