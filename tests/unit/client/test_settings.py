"""Arguments first, then the environment, then the defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from difyrpc_client import TLS, ConfigurationError, Retry, connect
from difyrpc_client import _settings as settings_module
from difyrpc_client._settings import TokenFile, read_settings

PEM = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"


def test_the_defaults_reach_a_server_on_this_machine() -> None:
    settings = read_settings(env={})
    assert settings.target_of("files") == "localhost:50051"
    assert settings.endpoint.tls is None
    assert settings.options.token is None


def test_the_placeholder_names_the_service() -> None:
    settings = read_settings("dns:///{service}.difyrpc.svc:50051", env={})
    assert settings.target_of("vectors") == "dns:///vectors.difyrpc.svc:50051"


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("localhost", "localhost:50051"),
        ("10.0.0.1", "10.0.0.1:50051"),
        ("host:443", "host:443"),
        ("::1", "[::1]:50051"),
        ("[::1]", "[::1]:50051"),
        ("[::1]:443", "[::1]:443"),
        ("dns:///host", "dns:///host:50051"),
        ("dns://8.8.8.8/host", "dns://8.8.8.8/host:50051"),
        ("dns:///host:443", "dns:///host:443"),
        ("dns:///{service}.svc", "dns:///files.svc:50051"),
        ("unix:/run/difyrpc.sock", "unix:/run/difyrpc.sock"),
        ("unix:difyrpc.sock", "unix:difyrpc.sock"),
        ("ipv4:10.0.0.1", "ipv4:10.0.0.1"),
        ("xds:///host", "xds:///host"),
    ],
)
def test_an_address_without_a_port_gets_the_servers_own(given: str, meant: str) -> None:
    assert read_settings(given, env={}).target_of("files") == meant
    assert read_settings(env={"DIFYRPC_FILES_TARGET": given.replace("{service}", "files")}).target_of("files") == meant


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"timeout": "5"}, "timeout='5' is not a number"),
        ({"stream_timeout": -1}, "stream_timeout=-1 is too small"),
        ({"channels": "2"}, "channels='2' is not a number"),
        ({"token": 7}, "token is of type int"),
        ({"app": 7}, "app=7 is of type int"),
        ({"user": "a\udc80"}, "user='a\\udc80' holds half"),
        ({"metadata": {"x": "密"}}, "metadata['x'] holds characters"),
        ({"metadata": {"x": 7}}, "metadata['x'] is of type int"),
        ({"metadata": {"x y": "z"}}, "metadata['x y'] is no key"),
        ({"metadata": {"x-bin": "z"}}, "metadata['x-bin'] is no key"),
        ({"metadata": {"grpc-x": "z"}}, "metadata['grpc-x'] is no key"),
        ({"metadata": "x"}, "metadata is of type str"),
        ({"target": 7}, "target=7 is no text"),
    ],
)
def test_a_wrong_argument_is_named(given: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        connect(**given, env={})
    assert named in str(caught.value)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"timeout": "5"}, "timeout='5' is not a number"),
        ({"request_id": "请求"}, "request_id holds characters"),
        ({"token": 7}, "token is of type int"),
        ({"metadata": {"authorization": "Bearer 密钥"}}, "metadata['authorization'] holds characters"),
    ],
)
def test_a_wrong_option_is_named_and_no_secret_shown(given: dict[str, Any], named: str) -> None:
    with connect(env={}) as dify, pytest.raises(ConfigurationError) as caught:
        dify.with_options(**given)
    assert named in str(caught.value)
    assert "密钥" not in str(caught.value)


def test_an_address_of_one_service_stands_above_the_argument() -> None:
    env = {"DIFYRPC_TARGET": "all:1", "DIFYRPC_FILES_TARGET": "files:2"}
    settings = read_settings("given:3", env=env)
    assert (settings.target_of("files"), settings.target_of("vectors")) == ("files:2", "given:3")
    assert read_settings(env=env).target_of("vectors") == "all:1"


def test_everything_can_come_from_the_environment(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_text(PEM)
    settings = read_settings(
        env={
            "DIFYRPC_TLS_CA": str(ca),
            "DIFYRPC_TLS_SERVER_NAME": "server",
            "DIFYRPC_TOKEN": "secret",
            "DIFYRPC_TIMEOUT": "7.5",
            "DIFYRPC_STREAM_TIMEOUT": "70",
            "DIFYRPC_RETRY_ATTEMPTS": "2",
            "DIFYRPC_CHANNELS": "3",
            "DIFYRPC_KEEPALIVE_SECONDS": "0",
            "DIFYRPC_APP": "crm",
            "DIFYRPC_USER": "u1",
        }
    )
    options, endpoint = settings.options, settings.endpoint
    assert (options.timeout, options.stream_timeout, options.retry.attempts, options.token) == (7.5, 70, 2, "secret")
    assert options.labels == (("x-difyrpc-app", "crm"), ("x-difyrpc-user", "u1"))
    assert (endpoint.channels, endpoint.keepalive_seconds) == (3, 0)
    assert endpoint.tls is not None
    assert (endpoint.tls.ca, endpoint.tls.server_name) == (PEM.encode(), "server")
    assert "secret" not in repr(settings)


def test_arguments_stand_above_the_environment() -> None:
    env = {"DIFYRPC_TIMEOUT": "7", "DIFYRPC_TOKEN": "env", "DIFYRPC_TLS": "true", "DIFYRPC_APP": "env"}
    settings = read_settings(env=env, timeout=1, token="given", tls=False, app="given", retry=Retry(attempts=9))
    assert (settings.options.timeout, settings.options.token, settings.options.retry.attempts) == (1, "given", 9)
    assert settings.endpoint.tls is None
    assert settings.options.labels == (("x-difyrpc-app", "given"),)


@pytest.mark.parametrize(
    ("env", "named"),
    [
        ({"DIFYRPC_TIMEOUT": "soon"}, "DIFYRPC_TIMEOUT='soon' is not a number"),
        ({"DIFYRPC_TIMEOUT": "0"}, "DIFYRPC_TIMEOUT=0.0 is too small"),
        ({"DIFYRPC_CHANNELS": "0"}, "DIFYRPC_CHANNELS=0 is too small"),
        ({"DIFYRPC_TLS": "perhaps"}, "DIFYRPC_TLS='perhaps'"),
        ({"DIFYRPC_TLS_CA": "/none.pem"}, "TLS ca '/none.pem' cannot be read: No such file"),
        ({"DIFYRPC_TLS_CERTIFICATE": PEM}, "both certificate and key"),
        ({"DIFYRPC_TOKEN": "a", "DIFYRPC_TOKEN_FILE": "b"}, "both set"),
        ({"DIFYRPC_TARGET": "https://"}, "'https://' is no address"),
        ({"DIFYRPC_VECTORS_TARGET": "http://host:port"}, "'http://host:port' is no address"),
    ],
)
def test_a_wrong_setting_is_named_with_its_value(env: dict[str, str], named: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        connect(env=env)
    assert named in str(caught.value)


def test_text_that_is_no_pem_is_refused_and_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    file.write_text("my secret")
    with pytest.raises(ConfigurationError, match="TLS certificate holds no PEM") as caught:
        TLS(certificate=file, key=PEM).load()
    assert "secret" not in str(caught.value)
    assert "BEGIN" not in repr(TLS(certificate=PEM, key=PEM).load()).partition("certificate")[0]


def test_a_replaced_token_file_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(settings_module.time, "monotonic", lambda: now[0])
    file = tmp_path / "token"
    file.write_text("one\n")
    token = read_settings(env={"DIFYRPC_TOKEN_FILE": str(file)}).options.token
    assert isinstance(token, TokenFile)
    assert token() == "one"
    file.write_text("two\n")
    assert token() == "one"
    now[0] = 11
    assert token() == "two"


def test_a_token_file_that_is_missing_is_named() -> None:
    with pytest.raises(ConfigurationError, match="'/none' cannot be read"):
        TokenFile(Path("/none"))()
