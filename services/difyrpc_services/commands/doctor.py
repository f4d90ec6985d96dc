"""`difyrpc doctor`: look at settings, backends and certificates, and say what to do."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import click
import uvloop
from cryptography import x509
from rich.console import Console

from difyrpc_services import assembly
from difyrpc_services.assembly import Premises
from difyrpc_services.catalogue import CATALOGUE
from difyrpc_services.runtime.access import read_identities
from difyrpc_services.runtime.certificates import read_certificates
from difyrpc_services.runtime.errors import ServiceError
from difyrpc_services.runtime.keyring import KeySettings, read_token
from difyrpc_services.runtime.schema import pending
from difyrpc_services.runtime.server import ServerSettings
from difyrpc_services.runtime.service import Check
from difyrpc_services.runtime.settings import Asked, SettingsError

EXPIRY_WARNING = timedelta(days=14)
HERE = frozenset({"localhost", "127.0.0.1", "::1"})
EVERYWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104  # nothing is opened here
# Read by the client, and by peers when they are first called.
READ_ELSEWHERE = {"DIFYRPC_TARGET", "DIFYRPC_TOKEN", "DIFYRPC_TOKEN_FILE", "DIFYRPC_TIMEOUT", "DIFYRPC_TLS"}
READ_ELSEWHERE |= {f"DIFYRPC_{entry.name.upper()}_TARGET" for entry in CATALOGUE}
MARKS = {"ok": "[green]ok     [/]", "warning": "[yellow]warning[/]", "error": "[red]error  [/]"}


@click.command("doctor")
@click.argument("names", nargs=-1, metavar="[SERVICE]...")
def command(names: tuple[str, ...]) -> None:
    """Check the settings, the database, each service's backend and the certificates.

    Exits with 1 when something must be mended, and says what to do. Uses the same environment as `serve`.
    """
    raise SystemExit(uvloop.run(examine(dict(os.environ), names)))


async def examine(env: Mapping[str, str], names: Sequence[str]) -> int:
    """Prints one line a check as it is made; answers the exit status."""
    console, failed = Console(highlight=False, soft_wrap=True), False
    async for check in checks(env, names):
        failed |= check.level == "error"
        console.print(f"{MARKS[check.level]} {check.name}: ", end="")
        console.print(check.found, markup=False)
        if check.advice:
            console.print(f"        → {check.advice}", markup=False)
    return 1 if failed else 0


async def checks(env: Mapping[str, str], names: Sequence[str]) -> AsyncIterator[Check]:
    """Makes all checks, settings first; stops where the next ones cannot be made."""
    asked = Asked(env)
    try:
        settings = ServerSettings.from_env(asked)
        yield Check(name="settings", level="ok", found=f"listens on {settings.listen}")
        for check in (*certificate_checks(settings), *access_checks(settings, asked), *port_checks(settings)):
            yield check
        async with assembly.open_premises(asked, names) as premises:
            services = assembly.build_services(premises, names)
            for check in await premises.admission.check():
                yield check
            for check in misspelt(asked) if not names else ():
                yield check
            schema = await schema_check(premises)
            yield schema
            for service in services if schema.level == "ok" else ():
                for check in await service.check():
                    yield check
    except SettingsError as error:
        yield Check(name="settings", level="error", found=str(error))
    except ServiceError as error:
        yield Check(name="backends", level="error", found=str(error))


def misspelt(env: Asked) -> Iterator[Check]:
    """Warns about variables that nothing reads, with the one that was probably meant."""
    for name, meant in env.unread("DIFYRPC_").items():
        if name not in READ_ELSEWHERE:
            advice = f"did you mean {meant}?" if meant else "remove it; docs/settings.md lists them all"
            yield Check(name="settings", level="warning", found=f"{name} is not a setting", advice=advice)


def access_checks(settings: ServerSettings, env: Mapping[str, str]) -> Iterator[Check]:
    """Reads the files that say who may call; SettingsError when `serve` would refuse one."""
    keys = KeySettings.from_env(env)
    if keys.bootstrap_key_file:
        read_token(keys.bootstrap_key_file)
        yield Check(name="access", level="ok", found=f"first key out of {keys.bootstrap_key_file}")
    if settings.certificate_tenants:
        known = read_identities(settings.certificate_tenants, assembly.CONTRACTS)
        yield Check(name="access", level="ok", found=f"{len(known)} certificate identities are mapped to tenants")


def port_checks(settings: ServerSettings) -> Iterator[Check]:
    """Tries whether the ports are free."""
    for name, address in (
        ("DIFYRPC_LISTEN", settings.listen),
        ("DIFYRPC_HEALTH_LISTEN", settings.health_listen),
        ("DIFYRPC_METRICS_LISTEN", settings.metrics_listen),
    ):
        if address != "off" and not is_free(address):
            advice = f"all is well if that is a difyrpc that runs already; else set {name}"
            yield Check(name="ports", level="warning", found=f"{address} is taken", advice=advice)


def is_free(address: str) -> bool:
    """Answers whether a port can be listened on now."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((host, int(port)))
        except OSError:
            return False
    return True


async def schema_check(premises: Premises) -> Check:
    """Says whether the database has every migration."""
    database, name = premises.database, "database"
    if database.is_embedded:
        await assembly.ready_schema(database)
    waiting = await pending(database)
    if waiting:
        found = f"{len(waiting)} migrations are missing: {', '.join(map(str, waiting))}"
        return Check(name=name, level="error", found=found, advice="run `difyrpc migrate`")
    return Check(name=name, level="ok", found=database.describe())


def certificate_checks(settings: ServerSettings) -> Iterator[Check]:
    """Looks at the certificates' dates and names, and whether the key fits."""
    files = settings.tls_files()
    if files is None:
        if not settings.is_loopback:
            found = f"{settings.listen} is plain: keys cross the network readable"
            advice = "set DIFYRPC_TLS_CERTIFICATE and DIFYRPC_TLS_KEY_FILE, unless a mesh encrypts"
            yield Check(name="TLS", level="warning", found=found, advice=advice)
        return
    files.read()
    _, chain = read_certificates(files.certificate, "DIFYRPC_TLS_CERTIFICATE")
    yield expiry_check(min(chain, key=lambda one: one.not_valid_after_utc), "certificate")
    yield name_check(chain[0], settings.listen)
    if files.client_ca:
        _, authorities = read_certificates(files.client_ca, "DIFYRPC_TLS_CLIENT_CA")
        for authority in authorities:
            yield expiry_check(authority, "client authority", one_of=len(authorities))
    if files.key_file is None:
        found = "DIFYRPC_TLS_KEY is text, so that a new certificate needs a restart"
        yield Check(name="TLS", level="warning", found=found, advice="give the key as DIFYRPC_TLS_KEY_FILE")


def expiry_check(certificate: x509.Certificate, what: str, *, one_of: int = 1, now: datetime | None = None) -> Check:
    """Says until when a certificate is valid; of several authorities one may have expired."""
    now = now or datetime.now(UTC)
    first, last = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    found = f"{what} of {certificate.subject.rfc4514_string() or 'an empty subject'}, valid {first:%F} to {last:%F}"
    if not first <= now <= last:
        advice = "replace it: it is refused now, and so is what it has signed"
        return Check(name="TLS", level="error" if one_of == 1 else "warning", found=found, advice=advice)
    if last - now < EXPIRY_WARNING:
        return Check(name="TLS", level="warning", found=found, advice=f"renew it: {(last - now).days} days are left")
    return Check(name="TLS", level="ok", found=found)


def name_check(certificate: x509.Certificate, listen: str) -> Check:
    """Says which names clients may call the server by."""
    names = names_of(certificate)
    host = listen.rpartition(":")[0].strip("[]")
    if not names:
        found = "the certificate has no alternative names, and clients do not look at its common name"
        return Check(name="TLS", level="error", found=found, advice="make one with the names that clients call")
    listed = ", ".join(sorted(names))
    if host in EVERYWHERE or names & (HERE if host in HERE else {host}):
        return Check(name="TLS", level="ok", found=f"clients may call the server {listed}")
    found = f"the certificate is for {listed}, and the server listens on {host}"
    advice = "clients that call it otherwise need DIFYRPC_TLS_SERVER_NAME, or the certificate needs their name"
    return Check(name="TLS", level="warning", found=found, advice=advice)


def names_of(certificate: x509.Certificate) -> set[str]:
    """Answers the DNS names and addresses that a certificate is for."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    return {*found.get_values_for_type(x509.DNSName), *map(str, found.get_values_for_type(x509.IPAddress))}
