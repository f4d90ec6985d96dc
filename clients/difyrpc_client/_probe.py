"""Looks at the TLS of a server by one connection of Python's own, since gRPC does not tell what it saw."""

from __future__ import annotations

import os
import re
import socket
import ssl
from dataclasses import dataclass

from difyrpc_client._tls import Material
from difyrpc_client._x509 import Certificate, read_der

PROBE_SECONDS = 3.0  # the longest wait for each answer of the server
_ADDRESS = re.compile(r"(?:dns:(?://[^/]*/)?|ipv[46]:)?(?:\[([^\]]+)\]|([^:/,\[\]]+)):(\d+)")


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a server showed."""

    speaks_tls: bool = False
    """Whether it took part in a handshake."""
    is_old: bool = False
    """Whether it offers no version of TLS that is safe."""
    is_plain: bool = False
    """Whether its answer to the handshake was no TLS."""
    certificate: Certificate | None = None
    """What it showed of itself."""
    verdict: int = 0
    """Why the certificate is not valid for us: OpenSSL's X509_V_ERR_…, 0 for none that is known."""
    key_misfits: bool = False
    """Whether it was not asked, since the client's key is not its certificate's."""
    hangs_up: bool = False
    """Whether it shook hands and left before a word, as one does whom our certificate does not please."""


def look(target: str, material: Material | None, timeout: float) -> Seen:
    """Answers what the server at a target shows a client with this material; nothing where it cannot be reached."""
    found = _ADDRESS.fullmatch(target)
    if not found:
        return Seen()
    address = found[1] or found[2], int(found[3])
    name = (material.server_name if material else None) or address[0]
    wait = min(timeout, PROBE_SECONDS)
    try:
        verdict = _verdict(address, name, material, wait) if material else 0
        seen = _shown(address, name, _context(material), wait, verdict)
        # One that stops in this moment hangs up as well, and is gone or well when it is looked at again.
        return _shown(address, name, _context(material), wait, verdict) if seen.hangs_up else seen
    except ssl.SSLError as error:
        return _refusal(error)
    except (OSError, ValueError):
        return Seen()


def _verdict(address: tuple[str, int], name: str, material: Material, wait: float) -> int:
    context = _context(material)
    try:
        if not _trusts(context, material):
            return 0
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # as gRPC has it
        context.verify_mode, context.check_hostname = ssl.CERT_REQUIRED, True
        with socket.create_connection(address, wait) as plain, context.wrap_socket(plain, server_hostname=name):
            return 0
    except ssl.SSLCertVerificationError as error:
        return error.verify_code
    except (OSError, ValueError):
        return 0


def _trusts(context: ssl.SSLContext, material: Material) -> bool:
    """Has a context trust whom the client trusts; answers whether there is anybody."""
    if material.ca:
        context.load_verify_locations(cadata=material.ca.decode("ascii", "ignore"))
        return True
    public = ssl.get_default_verify_paths()  # gRPC has a list of its own, of much the same authorities
    context.load_default_certs()
    return bool(public.cafile or (public.capath and os.listdir(public.capath)))


def _shown(address: tuple[str, int], name: str, context: ssl.SSLContext, wait: float, verdict: int) -> Seen:
    with (
        socket.create_connection(address, wait) as plain,
        context.wrap_socket(plain, server_hostname=name, suppress_ragged_eofs=True) as secure,
    ):
        certificate = read_der(secure.getpeercert(binary_form=True))
        return Seen(speaks_tls=True, certificate=certificate, verdict=verdict, hangs_up=_hangs_up(secure))


def _hangs_up(secure: ssl.SSLSocket) -> bool:
    try:
        return not secure.recv(1)  # a server of HTTP/2 speaks first
    except TimeoutError:
        return False
    except OSError:
        return True


def _context(material: Material | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # it looks; nothing is trusted to it
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["h2"])
    if material is not None:
        material.show(context)
    return context


def _refusal(error: ssl.SSLError) -> Seen:
    reason = error.reason or ""
    if reason == "KEY_VALUES_MISMATCH":
        return Seen(key_misfits=True)
    if "PROTOCOL_VERSION" in reason or "UNSUPPORTED_PROTOCOL" in reason:
        return Seen(speaks_tls=True, is_old=True)
    return Seen(is_plain="WRONG_VERSION_NUMBER" in reason, hangs_up="ALERT" in reason and "CERTIFICATE" in reason)
