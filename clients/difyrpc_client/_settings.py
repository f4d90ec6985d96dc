"""Where the services are and how to call them: arguments first, then the environment, then the defaults."""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from difyrpc_client._circuit import Breaker
from difyrpc_client._errors import ConfigurationError
from difyrpc_client._hooks import Hooks
from difyrpc_client._http_proxy import Proxies, proxies_of
from difyrpc_client._labels import labels
from difyrpc_client._message import is_number
from difyrpc_client._retry import Retry
from difyrpc_client._target import DEFAULT_TARGET, checked_target
from difyrpc_client._tls import TLS, Material

Number = TypeVar("Number", int, float)
Token = str | Callable[[], str]
AsyncToken = str | Callable[[], str | Awaitable[str]]

DEFAULT_TIMEOUT = 60.0  # seconds
DEFAULT_STREAM_TIMEOUT = 600.0  # seconds; transfers and other streams
LEAST_SECONDS = 0.001  # of a timeout
DEFAULT_CHANNELS = 2  # a connection reaches one worker process of a server, so one is too few
DEFAULT_KEEPALIVE = 30.0  # seconds; servers that were not told refuse pings that come faster
MAX_MESSAGE_BYTES = 64 * 1024 * 1024
TOKEN_FILE_SECONDS = 10.0  # how long a token that was read from a file is believed
PLACEHOLDER = "{service}"
HTTP_CODECS = ("proto", "json")
SERVICES = ("apps", "documents", "files", "inference", "metrics", "tasks", "vectors")
TRUE, FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One address and how to connect to it; equal endpoints share their channels."""

    target: str
    """`host:port`, `dns:///host:port` or `unix:/path` for gRPC; `http://host:port` or `https://…` for HTTP."""
    tls: Material | None = None
    """None for an unencrypted connection."""
    channels: int = DEFAULT_CHANNELS
    """Connections to each address behind the target."""
    keepalive_seconds: float = DEFAULT_KEEPALIVE
    """Seconds without traffic after which the peer is asked whether it is still there; 0 never asks."""
    max_message_bytes: int = MAX_MESSAGE_BYTES
    """Largest message that is accepted."""
    http_codec: str = HTTP_CODECS[0]
    """How messages are written over HTTP: `proto` or `json`."""
    proxies: Proxies = ()
    """Proxies for HTTP, by scheme."""


@dataclass(frozen=True, kw_only=True)
class CallOptions:
    """What every call of a client carries."""

    timeout: float = DEFAULT_TIMEOUT
    """Seconds for one call, its repetitions included."""
    stream_timeout: float = DEFAULT_STREAM_TIMEOUT
    """Seconds for one upload, download or other stream."""
    retry: Retry = field(default_factory=Retry)
    """How often and how fast calls are repeated."""
    breaker: Breaker | None = field(default_factory=Breaker)
    """When calls are refused at once; None for never."""
    hooks: Hooks = field(default_factory=Hooks)
    """Functions that are told what happens."""
    token: AsyncToken | None = field(default=None, repr=False)
    """The bearer token, or what answers it before each try."""
    request_id: str | None = None
    """The `x-request-id` of the calls; None makes one for each."""
    labels: tuple[tuple[str, str], ...] = ()
    """Further metadata: `x-difyrpc-app`, `x-difyrpc-user` and the caller's own."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What `connect` was told, completed from the environment."""

    target: str
    """One address, or a template with `{service}`."""
    overrides: Mapping[str, str]
    """Addresses of single services, from `DIFYRPC_<SERVICE>_TARGET`."""
    endpoint: Endpoint
    """How to connect; its target is replaced by the service's."""
    options: CallOptions
    """What the calls carry."""

    def target_of(self, service: str) -> str:
        """Answers the address of one service."""
        return self.overrides.get(service) or self.target.replace(PLACEHOLDER, service)


def read_settings(
    target: str | None = None,
    *,
    env: Mapping[str, str] | None = None,
    token: AsyncToken | None = None,
    tls: TLS | bool | None = None,
    timeout: float | None = None,
    stream_timeout: float | None = None,
    retry: Retry | None = None,
    breaker: Breaker | bool | None = None,
    hooks: Hooks | None = None,
    app: str | None = None,
    user: str | None = None,
    metadata: Mapping[str, str] | None = None,
    channels: int | None = None,
    keepalive_seconds: float | None = None,
    max_message_bytes: int | None = None,
) -> Settings:
    """Completes the arguments of `connect` from `env`; ConfigurationError for the first that cannot be used."""
    env = os.environ if env is None else env
    endpoint = Endpoint(
        target="",
        tls=_tls(tls, env),
        channels=_number("DIFYRPC_CHANNELS", channels, env, DEFAULT_CHANNELS, 1),
        keepalive_seconds=_number("DIFYRPC_KEEPALIVE_SECONDS", keepalive_seconds, env, DEFAULT_KEEPALIVE, 0),
        max_message_bytes=max_message_bytes or MAX_MESSAGE_BYTES,
        http_codec=_http_codec(env),
        proxies=proxies_of(env),
    )
    options = CallOptions(
        timeout=_number("DIFYRPC_TIMEOUT", timeout, env, DEFAULT_TIMEOUT, LEAST_SECONDS),
        stream_timeout=_number("DIFYRPC_STREAM_TIMEOUT", stream_timeout, env, DEFAULT_STREAM_TIMEOUT, LEAST_SECONDS),
        retry=retry or Retry(attempts=_number("DIFYRPC_RETRY_ATTEMPTS", None, env, Retry.attempts, 1)),
        breaker=breaker_of(_boolean("DIFYRPC_BREAKER", env, default=True) if breaker is None else breaker),
        hooks=hooks or Hooks(),
        token=checked_token(token) if token is not None else _token(env),
        labels=labels(app or env.get("DIFYRPC_APP"), user or env.get("DIFYRPC_USER"), metadata),
    )
    return Settings(
        target=checked_target(target or env.get("DIFYRPC_TARGET") or DEFAULT_TARGET),
        overrides=_overrides(env),
        endpoint=endpoint,
        options=options,
    )


def _overrides(env: Mapping[str, str]) -> dict[str, str]:
    found = {service: env.get(f"DIFYRPC_{service.upper()}_TARGET", "") for service in SERVICES}
    return {service: checked_target(target) for service, target in found.items() if target}


def _http_codec(env: Mapping[str, str]) -> str:
    name = env.get("DIFYRPC_HTTP_CODEC") or HTTP_CODECS[0]
    if name not in HTTP_CODECS:
        raise ConfigurationError(f"DIFYRPC_HTTP_CODEC={name!r} is none of {', '.join(HTTP_CODECS)}")
    return name


def _tls(tls: TLS | bool | None, env: Mapping[str, str]) -> Material | None:
    if isinstance(tls, TLS):
        return tls.load()
    named = TLS(
        ca=env.get("DIFYRPC_TLS_CA") or None,
        certificate=env.get("DIFYRPC_TLS_CERTIFICATE") or None,
        key=env.get("DIFYRPC_TLS_KEY") or None,
        server_name=env.get("DIFYRPC_TLS_SERVER_NAME") or None,
    )
    if tls is None:
        tls = _boolean("DIFYRPC_TLS", env, default=named != TLS())
    return named.load() if tls else None


def breaker_of(given: Breaker | bool) -> Breaker | None:
    """Answers the breaker that an argument stands for; None for none, ConfigurationError for anything else."""
    if not isinstance(given, Breaker | bool):
        raise ConfigurationError(f"breaker is of type {type(given).__name__}; give Breaker(…), True or False")
    return (Breaker() if given else None) if isinstance(given, bool) else given


def _boolean(name: str, env: Mapping[str, str], *, default: bool) -> bool:
    text = env.get(name, "").lower()
    if text and text not in TRUE + FALSE:
        raise ConfigurationError(f"{name}={env[name]!r} is not true or false")
    return text in TRUE if text else default


def _number(name: str, given: Number | None, env: Mapping[str, str], default: Number, least: float) -> Number:
    text = env.get(name, "")
    try:
        value = given if given is not None else type(default)(text) if text else default
    except ValueError as error:
        raise ConfigurationError(f"{name}={text!r} is not a number") from error
    return checked_number(name if given is None else name.removeprefix("DIFYRPC_").lower(), value, least)


def checked_number(name: str, value: Number, least: float) -> Number:
    """Answers a number; ConfigurationError for what is none, and for one that is too small."""
    if not is_number(value):
        raise ConfigurationError(f"{name}={value!r} is not a number")
    if value < least:
        raise ConfigurationError(f"{name}={value} is too small; the least is {least}")
    return value


def checked_token(token: AsyncToken) -> AsyncToken:
    """Answers a token or its provider; ConfigurationError for anything else."""
    if not isinstance(token, str) and not callable(token):
        raise ConfigurationError(f"token is of type {type(token).__name__}; give text, or what answers text")
    return token


def _token(env: Mapping[str, str]) -> Token | None:
    text, file = env.get("DIFYRPC_TOKEN"), env.get("DIFYRPC_TOKEN_FILE")
    if text and file:
        raise ConfigurationError("DIFYRPC_TOKEN and DIFYRPC_TOKEN_FILE are both set; keep one")
    if file:
        return TokenFile(Path(file))
    return text or None


class TokenFile:
    """A token in a file that may be replaced while the client runs; called for the token of each try."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._token = ""
        self._read_at = float("-inf")

    def __call__(self) -> str:
        """Answers the token, read anew every ten seconds; ConfigurationError if the file cannot be read."""
        now = time.monotonic()
        if now - self._read_at > TOKEN_FILE_SECONDS:
            self._token, self._read_at = self._read(), now
        return self._token

    def _read(self) -> str:
        try:
            return self._path.read_text().strip()
        except OSError as error:
            raise ConfigurationError(f"token file {str(self._path)!r} cannot be read: {error.strerror}") from error
