"""Settles who makes a call: an API key, a client certificate, a colleague in this process, or nobody asked."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote

from difyrpc_services.runtime.caller import Caller
from difyrpc_services.runtime.errors import InvalidArgument, PermissionDenied, Unauthenticated
from difyrpc_services.runtime.keys import Key, allows, check_scopes, check_tenant
from difyrpc_services.runtime.methods import Method
from difyrpc_services.runtime.settings import SettingsError
from difyrpc_services.runtime.watched import Watched

BEARER = "bearer "
LABEL_CHARACTERS = 128  # of x-difyrpc-app and x-difyrpc-user; the rest is cut
EVERYTHING = frozenset({"*:admin"})


class Verifier(Protocol):
    """Tells a valid token from others; KeyRing is the one that asks the database."""

    async def verify(self, token: str) -> Key:
        """Answers the key of a token; Unauthenticated when it is not valid now."""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """A tenant and scopes that an operator gave to a certificate."""

    tenant: str
    scopes: frozenset[str]


class Delegations:
    """Tokens that stand for a caller inside this process, for peers that answer in it.

    A caller who came with a certificate has no token to hand on. The tokens are random, live as long as the
    call that made them, and are known to this process alone.
    """

    def __init__(self) -> None:
        """Starts without any."""
        self._callers: dict[str, Caller] = {}

    @contextmanager
    def token_of(self, caller: Caller) -> Iterator[str]:
        """Answers the caller's own token, or one that is valid inside the block for a caller without."""
        if caller.token:
            yield caller.token
            return
        token = f"delegated_{secrets.token_urlsafe(24)}"
        self._callers[token] = caller
        try:
            yield token
        finally:
            del self._callers[token]

    def find(self, token: str) -> Caller | None:
        """Answers the caller behind a token that is valid."""
        return self._callers.get(token)


class Identities(Mapping[str, Identity]):
    """Which certificate identities are whom, as a file says that may change while the server runs."""

    def __init__(self, watched: Watched[dict[str, Identity]]) -> None:
        """Takes what was read out of the file."""
        self._watched = watched

    def __getitem__(self, name: str) -> Identity:
        return self._watched.value[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._watched.value)

    def __len__(self) -> int:
        return len(self._watched.value)


class Doorkeeper:
    """Answers the caller of a call, or refuses it."""

    def __init__(
        self,
        *,
        verifier: Verifier | None,
        tenant: str = "",
        identities: Mapping[str, Identity] | None = None,
        delegations: Delegations | None = None,
    ) -> None:
        """Takes what verifies tokens; without it every caller belongs to `tenant`."""
        self._verifier = verifier
        self._tenant = tenant
        self._identities = {} if identities is None else identities
        self._delegations = delegations or Delegations()

    async def identify(self, metadata: Mapping[str, str], peer_identities: Iterable[str], request_id: str) -> Caller:
        """Answers who calls; Unauthenticated when that is nobody we know."""
        caller = await self._identify(metadata, peer_identities)
        return replace(
            caller,
            request_id=request_id,
            app=unquote(metadata.get("x-difyrpc-app", ""))[:LABEL_CHARACTERS],
            user=unquote(metadata.get("x-difyrpc-user", ""))[:LABEL_CHARACTERS],
        )

    @contextmanager
    def admitted(self, caller: Caller, method: Method) -> Iterator[Caller]:
        """Lets the caller in for as long as the call runs; PermissionDenied when it may not make it."""
        if not allows(caller.scopes, method.service, method.level):
            raise PermissionDenied(
                "SCOPE_MISSING",
                "the caller may not call {method}; its key or certificate needs the scope {scope}",
                method=method.name,
                scope=f"{method.service}:{method.level}",
            )
        with self._delegations.token_of(caller) as token:
            yield replace(caller, token=token)

    async def _identify(self, metadata: Mapping[str, str], peer_identities: Iterable[str]) -> Caller:
        if self._verifier is None:
            return Caller(tenant=self._tenant, scopes=EVERYTHING)
        token = _token(metadata)
        if token is None:
            return self._by_certificate(peer_identities)
        delegated = self._delegations.find(token)
        if delegated is not None:
            return delegated
        key = await self._verifier.verify(token)
        return Caller(tenant=key.tenant, key_id=key.id, scopes=frozenset(key.scopes), token=token)

    def _by_certificate(self, peer_identities: Iterable[str]) -> Caller:
        names = list(peer_identities)
        for name in names:
            found = self._identities.get(name)
            if found:
                return Caller(tenant=found.tenant, key_id=f"certificate {name}", scopes=found.scopes)
        if names:
            raise Unauthenticated(
                "CERTIFICATE_UNKNOWN",
                "no tenant is known for the certificate's names {names}; send an API key, or let the operator map one"
                " in the file of DIFYRPC_CERTIFICATE_TENANTS",
                names=", ".join(names),
            )
        raise Unauthenticated("KEY_MISSING", "no API key was sent; send the metadata `authorization: Bearer <key>`")


def _token(metadata: Mapping[str, str]) -> str | None:
    header = metadata.get("authorization")
    if header is None:
        return None
    if not header[: len(BEARER)].lower() == BEARER:
        raise Unauthenticated("KEY_MALFORMED", "the authorization metadata is not of the form `Bearer <key>`")
    return header[len(BEARER) :].strip()


def read_identities(file: Path, services: Collection[str]) -> dict[str, Identity]:
    """Reads which certificate identities are whom; SettingsError names a wrong line.

    One a line: identity, tenant, scopes with commas between; `#` begins a comment. An identity is a URI or DNS
    name of the certificate's subject alternative names, or its common name.
    """
    try:
        lines = file.read_text().splitlines()
    except OSError as error:
        raise SettingsError(f"DIFYRPC_CERTIFICATE_TENANTS={file}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"DIFYRPC_CERTIFICATE_TENANTS={file}: is not text in UTF-8") from error
    found: dict[str, Identity] = {}
    for number, line in enumerate(lines, 1):
        words = line.split("#")[0].split()
        if not words:
            continue
        if len(words) != 3:
            raise SettingsError(f"{file}, line {number}: expected `identity tenant scope,scope`, found {line!r}")
        try:
            scopes = frozenset(check_scopes(words[2].split(","), services))
            found[words[0]] = Identity(tenant=check_tenant(words[1]), scopes=scopes)
        except InvalidArgument as error:
            raise SettingsError(f"{file}, line {number}: {error.message}") from error
    return found


def watched_identities(file: Path, services: Collection[str]) -> Watched[dict[str, Identity]]:
    """Reads which certificate identities are whom, and again when the file changes; SettingsError for a wrong line."""
    return Watched(read_identities(file, services), lambda: read_identities(file, services))
