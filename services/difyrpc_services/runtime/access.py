"""Settles who makes a call: an API key, a client certificate, a colleague in this process, or nobody asked."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from difyrpc_services.runtime.caller import Caller
from difyrpc_services.runtime.errors import PermissionDenied, Unauthenticated
from difyrpc_services.runtime.keys import Key, allows
from difyrpc_services.runtime.methods import Method
from difyrpc_services.runtime.settings import SettingsError

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
        self._identities = identities or {}
        self._delegations = delegations or Delegations()

    @asynccontextmanager
    async def admit(
        self, method: Method, metadata: Mapping[str, str], peer_identities: Iterable[str], request_id: str
    ) -> AsyncIterator[Caller]:
        """Answers who calls `method`, for as long as it runs; Unauthenticated or PermissionDenied if it may not."""
        caller = await self._identify(metadata, peer_identities)
        if not allows(caller.scopes, method.service, method.level):
            raise PermissionDenied(
                "SCOPE_MISSING",
                "the key may not call {method}; it needs the scope {scope}",
                method=method.name,
                scope=f"{method.service}:{method.level}",
            )
        caller = replace(
            caller,
            request_id=request_id,
            app=metadata.get("x-difyrpc-app", "")[:LABEL_CHARACTERS],
            user=metadata.get("x-difyrpc-user", "")[:LABEL_CHARACTERS],
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
        for name in peer_identities:
            found = self._identities.get(name)
            if found:
                return Caller(tenant=found.tenant, key_id=f"certificate {name}", scopes=found.scopes)
        raise Unauthenticated("KEY_MISSING", "no API key was sent; send the metadata `authorization: Bearer <key>`")


def _token(metadata: Mapping[str, str]) -> str | None:
    header = metadata.get("authorization")
    if header is None:
        return None
    if not header[: len(BEARER)].lower() == BEARER:
        raise Unauthenticated("KEY_MALFORMED", "the authorization metadata is not of the form `Bearer <key>`")
    return header[len(BEARER) :].strip()


def read_identities(file: Path) -> dict[str, Identity]:
    """Reads which certificate identities are whom; SettingsError names a wrong line.

    One a line: identity, tenant, scopes with commas between; `#` begins a comment. An identity is a URI or DNS
    name of the certificate's subject alternative names, or its common name.
    """
    try:
        lines = file.read_text().splitlines()
    except OSError as error:
        raise SettingsError(f"DIFYRPC_CERTIFICATE_TENANTS={file}: cannot be read ({error.strerror})") from error
    found: dict[str, Identity] = {}
    for number, line in enumerate(lines, 1):
        words = line.split("#")[0].split()
        if not words:
            continue
        if len(words) != 3:
            raise SettingsError(f"{file}, line {number}: expected `identity tenant scope,scope`, found {line!r}")
        found[words[0]] = Identity(tenant=words[1], scopes=frozenset(words[2].split(",")))
    return found
