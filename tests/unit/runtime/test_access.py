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
SERVICES = ("files", "vectors")
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
    caller = await doorkeeper.identify(named, certificates, "r")
    with doorkeeper.admitted(caller, method) as inside:
        return inside


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


async def test_labels_in_any_script_come_percent_encoded():
    caller = await admitted(
        Doorkeeper(verifier=OneKey()), authorization="Bearer t", x_difyrpc_app="%E5%90%88%E5%90%8C", x_difyrpc_user="a"
    )
    assert (caller.app, caller.user) == ("合同", "a")


async def test_a_certificate_that_nobody_mapped_is_told_its_names():
    with pytest.raises(Unauthenticated) as caught:
        await admitted(Doorkeeper(verifier=OneKey()), certificates=("spiffe://y",))
    assert (caught.value.reason, caught.value.metadata["names"]) == ("CERTIFICATE_UNKNOWN", "spiffe://y")


async def test_without_authentication_everybody_is_the_one_tenant():
    caller = await admitted(Doorkeeper(verifier=None, tenant="home"), WRITE, authorization="nonsense")
    assert caller.tenant == "home"


async def test_a_certificate_holder_gets_a_token_for_the_length_of_the_call():
    identities = {"spiffe://x": Identity(tenant="acme", scopes=frozenset({"*:write"}))}
    doorkeeper = Doorkeeper(verifier=OneKey(), identities=identities)
    caller = await doorkeeper.identify({}, ["other", "spiffe://x"], "r")
    with doorkeeper.admitted(caller, READ) as caller:
        assert caller.tenant == "acme"
        inner = await admitted(doorkeeper, authorization=f"Bearer {caller.token}")
        assert inner.tenant == "acme"
    with pytest.raises(Unauthenticated):
        await admitted(doorkeeper, authorization=f"Bearer {caller.token}")


def test_identities_are_read_line_by_line(tmp_path: Path):
    file = tmp_path / "tenants"
    file.write_text("# who is who\nspiffe://x  acme  files:read,vectors:write\n\nci.example lab *:admin # robots\n")
    assert read_identities(file, SERVICES) == {
        "spiffe://x": Identity(tenant="acme", scopes=frozenset({"files:read", "vectors:write"})),
        "ci.example": Identity(tenant="lab", scopes=frozenset({"*:admin"})),
    }


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("spiffe://x acme", "expected"),
        ("spiffe://x ACME! files:read", "not a tenant's name"),
        ("spiffe://x acme files:raed", "files:raed"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: str, words: str):
    file = tmp_path / "tenants"
    file.write_text(f"# who is who\n{line}\n")
    with pytest.raises(SettingsError, match=f"line 2: .*{words}"):
        read_identities(file, SERVICES)


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(SettingsError, match="DIFYRPC_CERTIFICATE_TENANTS"):
        read_identities(tmp_path / "none", SERVICES)
