"""Who may call: rules without a server."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from difyrpc_services.runtime.access import Doorkeeper, Identity, read_identities
from difyrpc_services.runtime.errors import PermissionDenied, Unauthenticated
from difyrpc_services.runtime.keys import Key
from difyrpc_services.runtime.methods import Method
from difyrpc_services.runtime.settings import SettingsError

READ = Method(path="/f/Get", service="files", name="Get", level="read", replayed=False)
WRITE = Method(path="/f/Put", service="files", name="Put", level="write", replayed=False)


KEY = Key(
    id="k",
    tenant="acme",
    name="",
    scopes=("files:read",),
    secret_sha256=b"",
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
)


class OneKey:
    async def verify(self, token: str) -> Key:
        if token != "t":
            raise Unauthenticated("KEY_UNKNOWN", "no")
        return KEY


async def admitted(doorkeeper: Doorkeeper, method: Method = READ, certificates: tuple[str, ...] = (), **metadata: str):
    named = {name.replace("_", "-"): value for name, value in metadata.items()}
    async with doorkeeper.admit(method, named, certificates, "r") as caller:
        return caller


async def test_the_tenant_is_the_keys_and_labels_are_only_labels():
    caller = await admitted(
        Doorkeeper(verifier=OneKey()), authorization="bearer t", x_difyrpc_app="a", x_difyrpc_user="u" * 500
    )
    assert (caller.tenant, caller.key_id, caller.token, caller.request_id) == ("acme", "k", "t", "r")
    assert (caller.app, len(caller.user)) == ("a", 128)


async def test_a_key_without_the_scope_is_denied():
    with pytest.raises(PermissionDenied) as caught:
        await admitted(Doorkeeper(verifier=OneKey()), WRITE, authorization="Bearer t")
    assert caught.value.metadata["scope"] == "files:write"


@pytest.mark.parametrize("header", ["", "t", "Basic t", "Bearer x"])
async def test_what_is_no_valid_key_is_unauthenticated(header: str):
    with pytest.raises(Unauthenticated):
        await admitted(Doorkeeper(verifier=OneKey()), authorization=header)


async def test_without_authentication_everybody_is_the_one_tenant():
    caller = await admitted(Doorkeeper(verifier=None, tenant="home"), WRITE, authorization="nonsense")
    assert caller.tenant == "home"


async def test_a_certificate_holder_gets_a_token_for_the_length_of_the_call():
    identities = {"spiffe://x": Identity(tenant="acme", scopes=frozenset({"*:write"}))}
    doorkeeper = Doorkeeper(verifier=OneKey(), identities=identities)
    async with doorkeeper.admit(READ, {}, ["other", "spiffe://x"], "r") as caller:
        assert caller.tenant == "acme"
        inner = await admitted(doorkeeper, authorization=f"Bearer {caller.token}")
        assert inner.tenant == "acme"
    with pytest.raises(Unauthenticated):
        await admitted(doorkeeper, authorization=f"Bearer {caller.token}")


def test_identities_are_read_line_by_line(tmp_path: Path):
    file = tmp_path / "tenants"
    file.write_text("# who is who\nspiffe://x  acme  files:read,vectors:write\n\nci.example lab *:admin # robots\n")
    assert read_identities(file) == {
        "spiffe://x": Identity(tenant="acme", scopes=frozenset({"files:read", "vectors:write"})),
        "ci.example": Identity(tenant="lab", scopes=frozenset({"*:admin"})),
    }


def test_a_wrong_line_is_named(tmp_path: Path):
    file = tmp_path / "tenants"
    file.write_text("spiffe://x acme\n")
    with pytest.raises(SettingsError, match="line 1"):
        read_identities(file)


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(SettingsError, match="DIFYRPC_CERTIFICATE_TENANTS"):
        read_identities(tmp_path / "none")
