"""Says in words what is wrong between a client's TLS and a server's."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from difyrpc_client._errors import DifyrpcError, TLSError, Unavailable
from difyrpc_client._tls import Material
from difyrpc_client._x509 import Certificate, read_pem

if TYPE_CHECKING:
    from difyrpc_client._probe import Seen

NO_CONNECTION = "last error: "  # gRPC's words where a call found no connection, and only there
# Connections that a server refuses or ends; a host that does not answer is not asked again.
WORTH_A_LOOK = ("handshake", "erification", "Socket closed", "Connection reset", "refused", "Cannot check peer")
FINDING_SECONDS = 1.0  # how long what was found is believed

EXPIRED = "SERVER_CERTIFICATE_EXPIRED"
EARLY = "SERVER_CERTIFICATE_NOT_YET_VALID"
NAME = "SERVER_CERTIFICATE_NAME"
UNTRUSTED = "SERVER_CERTIFICATE_UNTRUSTED"
PLAIN = "SERVER_IS_PLAIN"
OLD = "TLS_VERSION"
SPEAKS_TLS = "SERVER_SPEAKS_TLS"
MISSING = "CLIENT_CERTIFICATE_MISSING"
REFUSED = "CLIENT_CERTIFICATE_REFUSED"
MISFIT = "CLIENT_KEY_MISFIT"

SAID_BY_GRPC = {  # marks in the texts of gRPC and BoringSSL
    "certificate has expired": EXPIRED,
    "certificate is not yet valid": EARLY,
    "Hostname Verification Check failed": NAME,
    "CERTIFICATE_VERIFY_FAILED": UNTRUSTED,
    "WRONG_VERSION_NUMBER": PLAIN,
    "ALERT_PROTOCOL_VERSION": OLD,
    "UNSUPPORTED_PROTOCOL": OLD,
}
SAID_BY_OPENSSL = {9: EARLY, 10: EXPIRED, 62: NAME, 64: NAME}  # X509_V_ERR_…; every other is UNTRUSTED


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What keeps client and server apart."""

    reason: str
    words: str
    metadata: dict[str, str]

    def error(self, error: DifyrpcError, said: str) -> TLSError:
        """Answers the error that says so in place of gRPC's, whose own text comes last."""
        message = f"{self.metadata['target']}: {self.words} ({said})"
        return TLSError(message, reason=self.reason, metadata=self.metadata, request_id=error.request_id)


def got_no_connection(error: DifyrpcError) -> bool:
    """Answers whether a call never reached a server."""
    return isinstance(error, Unavailable) and NO_CONNECTION in error.message


def with_new_files(error: DifyrpcError) -> DifyrpcError:
    """Adds to an error that the same call would go over a connection with other certificates."""
    error.message += "; the files of TLS have changed since, and the next calls use what they hold now"
    error.args = (error.message,)
    return error


class Doctor:
    """Finds out why calls of one client to one target get no connection; may be used by several threads."""

    def __init__(self, target: str, now: Callable[[], float] = time.monotonic) -> None:
        self._target = target
        self._now = now
        self._lock = threading.Lock()
        self._found: tuple[float, Material | None, Finding | None] = (float("-inf"), None, None)

    def examine(self, error: DifyrpcError, material: Material | None, timeout: float) -> DifyrpcError:
        """Answers what to raise: a TLSError where TLS is what keeps the two apart, else the same error.

        Connects to the server, at most once a second, and waits at most `timeout` seconds for each of its answers.
        """
        said = error.message.partition(NO_CONNECTION)[2]
        if not any(mark in said for mark in WORTH_A_LOOK):
            return error
        finding = self._finding(material, said, timeout)
        return finding.error(error, said) if finding else error

    def _finding(self, material: Material | None, said: str, timeout: float) -> Finding | None:
        if not self._lock.acquire(blocking=False):
            return None  # another thread looks; this one's call may be repeated meanwhile
        try:
            at, of, finding = self._found
            missed = finding is None and bool(_known(said))  # gRPC tells now what it did not tell at the look before
            if missed or self._now() - at > FINDING_SECONDS or of != material:
                finding = diagnose(self._target, material, said, timeout)
                self._found = self._now(), material, finding
            return finding
        finally:
            self._lock.release()


def diagnose(target: str, material: Material | None, said: str, timeout: float) -> Finding | None:
    """Answers what must change; None where TLS is not what keeps the two apart. `said` is gRPC's text."""
    from difyrpc_client._probe import look  # brings in OpenSSL, which only a failure needs

    seen = look(target, material, timeout)
    reason = _reason(material, said, seen)
    return _finding(reason, target, material, seen) if reason else None


def _reason(material: Material | None, said: str, seen: Seen) -> str:
    if material is None:
        return SPEAKS_TLS if seen.speaks_tls else ""
    if seen.key_misfits:
        return MISFIT
    known = _known(said)
    if known or seen.verdict:
        return known or SAID_BY_OPENSSL.get(seen.verdict, UNTRUSTED)
    if seen.hangs_up:
        return REFUSED if material.certificate else MISSING
    return PLAIN if seen.is_plain else OLD if seen.is_old else ""


def _known(said: str) -> str:
    return next((reason for mark, reason in SAID_BY_GRPC.items() if mark in said), "")


def _finding(reason: str, target: str, material: Material | None, seen: Seen) -> Finding:
    mine = read_pem(material.certificate) if material else None
    metadata = {"target": target, **dict(_facts(mine if reason == REFUSED else seen.certificate))}
    words = WORDS[reason].format_map(_Known(metadata))
    if reason == REFUSED and mine is not None and mine.last < datetime.now(UTC):
        words = "the client's certificate expired on {until}; give one that is valid".format_map(_Known(metadata))
    return Finding(reason=reason, words=words, metadata=metadata)


def _facts(certificate: Certificate | None) -> Iterator[tuple[str, str]]:
    if certificate is not None:
        yield "since", f"{certificate.first:%F %H:%M} UTC"
        yield "until", f"{certificate.last:%F %H:%M} UTC"
        yield "issuer", certificate.issuer
        yield "names", ", ".join(certificate.names) or "none"


class _Known(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return "(unknown)"


WORDS = {
    EXPIRED: "the server's certificate expired on {until}; renew it there",
    EARLY: "the server's certificate is not valid before {since}; compare the clocks, or give it another",
    NAME: "the server's certificate is for other names: {names}; call it by one of them, or give one as "
    "TLS(server_name=…) or DIFYRPC_TLS_SERVER_NAME",
    UNTRUSTED: "the server's certificate, issued by {issuer}, is not signed by an authority that this client trusts; "
    "give its authority as TLS(ca=…) or DIFYRPC_TLS_CA",
    PLAIN: "the server does not speak TLS; connect without tls, or give the server a certificate",
    OLD: "the server offers no version of TLS that is safe; 1.2 is the least",
    SPEAKS_TLS: "the server speaks TLS and this client does not; give tls=TLS(ca=…) or DIFYRPC_TLS_CA, or tls=True "
    "where a public authority signed its certificate",
    MISSING: "the server asks for a client's certificate; give TLS(certificate=…, key=…), or DIFYRPC_TLS_CERTIFICATE "
    "and DIFYRPC_TLS_KEY",
    REFUSED: "the server refuses the client's certificate, issued by {issuer} and valid until {until}; give one of an "
    "authority that it trusts (its DIFYRPC_TLS_CLIENT_CA)",
    MISFIT: "the client's key is not its certificate's; give TLS(certificate=…, key=…) that were made together",
}
