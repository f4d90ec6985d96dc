"""Calls over HTTP with TLS and through proxies."""

from __future__ import annotations

import ssl

import pytest
import trustme
from forward_proxy import ForwardProxy
from http_calls import FILE, get
from raw_http import RawServer, message

from difyrpc_client import TLS, ConfigurationError, PermissionDenied, TLSError, Unauthenticated, Unavailable, connect

pytestmark = pytest.mark.usefixtures("no_proxy")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def server_tls(authority: trustme.CA, name: str = "localhost", ask: bool = False) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    if ask:
        authority.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def test_tls_is_spoken_with_the_given_authority(authority: trustme.CA) -> None:
    ca = authority.cert_pem.bytes()
    with RawServer(message(FILE), tls=server_tls(authority)) as server:
        assert get(server, tls=TLS(ca=ca)).display_name == "x"
    with RawServer(message(FILE), tls=server_tls(authority, "other.example")) as server:
        assert get(server, tls=TLS(ca=ca, server_name="other.example")).display_name == "x"
        with pytest.raises(TLSError, match="Hostname mismatch") as named:
            get(server, tls=TLS(ca=ca))
        with pytest.raises(TLSError, match="unable to get local issuer certificate") as signed:
            get(server)
    assert (named.value.reason, named.value.attempts) == ("SERVER_CERTIFICATE_NAME", 1)
    assert (signed.value.reason, signed.value.attempts) == ("SERVER_CERTIFICATE_UNTRUSTED", 1)


def test_a_connection_with_tls_is_used_again(authority: trustme.CA) -> None:
    mine = TLS(ca=authority.cert_pem.bytes())
    with RawServer(message(FILE), tls=server_tls(authority)) as server, connect(server.url, tls=mine) as dify:
        assert [dify.files.get("files/x").display_name for _ in range(3)] == ["x"] * 3
        assert server.connections == 1


def test_the_client_shows_its_certificate(authority: trustme.CA) -> None:
    mine = authority.issue_cert("client.example")
    pems = {
        "certificate": b"".join(blob.bytes() for blob in mine.cert_chain_pems),
        "key": mine.private_key_pem.bytes(),
        "ca": authority.cert_pem.bytes(),
    }
    with RawServer(message(FILE), tls=server_tls(authority, ask=True)) as server:
        assert get(server, tls=TLS(**pems)).display_name == "x"
        with pytest.raises(Unavailable):
            get(server, tls=TLS(ca=pems["ca"]))


def test_a_connection_that_would_not_be_encrypted_is_refused_where_tls_was_asked_for() -> None:
    with connect("http://localhost:1", tls=True) as dify, pytest.raises(ConfigurationError, match="write https://"):
        dify.files.get("files/x")


def proxied(proxy: ForwardProxy, login: str = "", **more: str) -> dict[str, str]:
    url = proxy.url.replace("//", f"//{login}@") if login else proxy.url
    return {"HTTP_PROXY": url, "HTTPS_PROXY": url, **more}


def test_a_proxy_is_given_the_whole_url_for_http() -> None:
    with RawServer(message(FILE)) as server, ForwardProxy() as proxy:
        assert get(server, env=proxied(proxy)).display_name == "x"
        assert proxy.requests == [f"POST {server.url}/difyrpc.files.v1.FileStorage/GetFile HTTP/1.1"]


def test_a_proxy_is_a_tunnel_for_https(authority: trustme.CA) -> None:
    with RawServer(message(FILE), tls=server_tls(authority)) as server, ForwardProxy() as proxy:
        assert get(server, env=proxied(proxy), tls=TLS(ca=authority.cert_pem.bytes())).display_name == "x"
        assert proxy.requests == [f"CONNECT {server.url.removeprefix('https://')} HTTP/1.1"]


def test_a_proxy_is_left_aside_for_hosts_that_are_excepted() -> None:
    with RawServer(message(FILE)) as server, ForwardProxy() as proxy:
        get(server, env=proxied(proxy, NO_PROXY="localhost"))
        assert proxy.requests == []


@pytest.mark.parametrize("secure", [False, True])
def test_a_proxy_that_refuses_is_named(authority: trustme.CA, secure: bool) -> None:
    tls = server_tls(authority) if secure else None
    with RawServer(message(FILE), tls=tls) as server, ForwardProxy(denies=True) as proxy:
        with pytest.raises(PermissionDenied, match=r"proxy 127.0.0.1:\d+.*ERR_ACCESS_DENIED"):
            get(server, env=proxied(proxy))
        assert server.connections == 0


@pytest.mark.parametrize("secure", [False, True])
def test_a_proxy_s_login_opens_it(authority: trustme.CA, secure: bool) -> None:
    tls = server_tls(authority) if secure else None
    mine = TLS(ca=authority.cert_pem.bytes()) if secure else None
    with RawServer(message(FILE), tls=tls) as server, ForwardProxy(login="a:b") as proxy:
        assert get(server, env=proxied(proxy, "a:b"), tls=mine).display_name == "x"
        with pytest.raises(Unauthenticated):
            get(server, env=proxied(proxy), tls=mine)
        assert "proxy-authorization" not in server.requests[0]
