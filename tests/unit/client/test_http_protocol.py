"""The Connect protocol without sockets: errors, ends of streams, headers, compression, proxies, targets."""

from __future__ import annotations

import gzip
import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from email.message import Message
from email.utils import format_datetime
from typing import Any

import pytest
from google.protobuf import duration_pb2
from google.rpc import error_details_pb2 as details
from hypothesis import given
from hypothesis import strategies as st

from difyrpc_client import (
    Cancelled,
    ConfigurationError,
    DataLoss,
    DifyrpcError,
    Internal,
    InvalidArgument,
    PermissionDenied,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
    Unimplemented,
    Unknown,
)
from difyrpc_client._http_connect import (
    CODES,
    answered_error,
    end_of_stream,
    headers,
    inflated,
    retry_after,
    stated_error,
)
from difyrpc_client._http_proxy import proxies_of, proxy_for
from difyrpc_client._http_route import read_address
from difyrpc_client._settings import read_settings
from difyrpc_client._target import checked_target


def detail(message: Any, padded: bool = False, prefix: str = "") -> dict[str, str]:
    value = b64encode(message.SerializeToString()).decode()
    return {"type": prefix + message.DESCRIPTOR.full_name, "value": value if padded else value.rstrip("=")}


INFO = details.ErrorInfo(reason="FILE_NOT_FOUND", domain="difyrpc", metadata={"name": "files/none"})
RETRY = details.RetryInfo(retry_delay=duration_pb2.Duration(seconds=2, nanos=500_000_000))
BAD = details.BadRequest(field_violations=[details.BadRequest.FieldViolation(field="spec.name", description="is bad")])


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("prefix", ["", "type.googleapis.com/"])
def test_an_error_keeps_what_its_details_say(padded: bool, prefix: str) -> None:
    found = [detail(each, padded, prefix) for each in (INFO, RETRY, BAD)]
    error = stated_error(json.dumps({"code": "not_found", "message": "no file", "details": found}).encode(), "r-1")
    assert (type(error).__name__, error.message, error.request_id) == ("NotFound", "no file", "r-1")
    assert (error.reason, error.metadata, error.retry_after) == ("FILE_NOT_FOUND", {"name": "files/none"}, 2.5)
    assert [(one.field, one.description) for one in error.field_violations] == [("spec.name", "is bad")]


@pytest.mark.parametrize("bad", [{"type": "a.B", "value": "!"}, {"type": "a.B"}, "x", None, {"type": 1, "value": 2}])
def test_a_detail_that_cannot_be_read_hides_no_other(bad: Any) -> None:
    error = stated_error(json.dumps({"code": "aborted", "details": [bad, detail(INFO)]}).encode())
    assert (type(error).__name__, error.reason) == ("Aborted", "FILE_NOT_FOUND")


@pytest.mark.parametrize("code", CODES)
def test_every_code_has_its_class(code: str) -> None:
    error = stated_error(json.dumps({"code": code}).encode())
    assert type(error) is not DifyrpcError
    assert error.code == CODES[code]


NO_ERRORS = [
    b"",
    b"<html>",
    b"[]",
    b'{"code": null}',
    b'{"code": 5}',
    b'{"code": []}',
    b"{}",
    b'{"detail": "Not Found"}',
]


@pytest.mark.parametrize("text", [*NO_ERRORS, b"[" * 100_000, b"\xff"])
def test_what_states_no_error_is_none(text: bytes) -> None:
    assert stated_error(text) is None


@given(
    st.binary()
    | st.recursive(st.none() | st.text() | st.integers(), lambda inner: st.lists(inner)).map(repr).map(str.encode)
)
def test_no_bytes_break_the_reading_of_errors(text: bytes) -> None:
    assert stated_error(text) is None or isinstance(stated_error(text), DifyrpcError)
    assert end_of_stream(text) is None or isinstance(end_of_stream(text), DifyrpcError)


def answered(status: int, reason: str = "", body: bytes = b"", **named: str) -> DifyrpcError:
    head = Message()
    for name, value in named.items():
        head[name.replace("_", "-")] = value
    return answered_error(status, reason, head, body, where="http://gateway", request_id="r-1")


STATUSES = [
    (301, Unknown),
    (400, Internal),
    (401, Unauthenticated),
    (403, PermissionDenied),
    (404, Unimplemented),
    (407, Unauthenticated),
    (408, Unavailable),
    (413, ResourceExhausted),
    (418, Unknown),
    (429, ResourceExhausted),
    (431, ResourceExhausted),
    (499, Cancelled),
    (500, Internal),
    (501, Unimplemented),
    (502, Unavailable),
    (503, Unavailable),
    (504, Unavailable),
    (522, Unavailable),
]


@pytest.mark.parametrize(("status", "kind"), STATUSES)
def test_a_status_without_an_error_has_its_meaning(status: int, kind: type[DifyrpcError]) -> None:
    error = answered(status, "Because", b"<html>long</html>", content_type="text/html")
    assert type(error) is kind
    assert error.message.startswith(f"http://gateway answered {status} Because")
    assert "html" not in error.message
    assert error.request_id == "r-1"


def test_what_the_body_states_stands_above_the_status() -> None:
    error = answered(503, "No", b'{"code": "invalid_argument", "message": "bad"}', content_type="application/json")
    assert (type(error), error.message) == (InvalidArgument, "bad")


def test_the_message_says_what_can_be_done() -> None:
    assert "a proxy says ERR_ACCESS_DENIED 0" in answered(403, "Forbidden", x_squid_error="ERR_ACCESS_DENIED 0").message
    assert "moved to https://new; give that address" in answered(308, "Moved", location="https://new").message
    assert answered(404, "Not Found", b'{"detail":"Not Found"}', content_type="application/json").message.endswith(
        '404 Not Found: {"detail":"Not Found"}'
    )


def test_retry_after_is_obeyed_in_seconds_and_as_a_date() -> None:
    assert answered(429, "Slow down", retry_after="7").retry_after == 7
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    assert answered(503, "Later", retry_after=date).retry_after == pytest.approx(100, abs=5)
    assert [retry_after(value) for value in ("", "soon", "-1", "Wed, 21 Oct 2015 07:28:00 GMT")] == [
        None,
        None,
        None,
        0,
    ]


@pytest.mark.parametrize("text", [b"", b"no", b"[]", b'{"error": null}', b'{"error": {}}', b'{"error": {"code": "x"}}'])
def test_an_end_that_is_none_is_an_error(text: bytes) -> None:
    assert isinstance(end_of_stream(text), Unknown)


def test_an_end_is_well_or_states_its_error() -> None:
    assert end_of_stream(b"{}") is None
    assert end_of_stream(b'{"metadata": {"a": ["1"]}}') is None
    error = end_of_stream(json.dumps({"error": {"code": "unavailable", "details": [detail(RETRY)]}}).encode(), "r-1")
    assert (type(error), error.retry_after, error.request_id) == (Unavailable, 2.5, "r-1")


def test_gzip_is_unpacked_up_to_the_limit() -> None:
    assert inflated(gzip.compress(b"x" * 1000), 1000) == b"x" * 1000
    with pytest.raises(ResourceExhausted, match="larger than 999 bytes"):
        inflated(gzip.compress(b"x" * 1000), 999)
    for broken in (b"x" * 100, gzip.compress(b"x" * 1000)[:-4]):
        with pytest.raises(DataLoss):
            inflated(broken, 1000)


@pytest.mark.parametrize(("timeout", "sent"), [(0.0001, "1"), (1.2341, "1235"), (1e12, "9999999999")])
def test_the_timeout_is_sent_in_whole_milliseconds(timeout: float, sent: str) -> None:
    assert headers("proto", timeout, (), stream=False)["Connect-Timeout-Ms"] == sent


@pytest.mark.parametrize("key", ["content-length", "transfer-encoding", "host", "connect-timeout-ms"])
def test_metadata_that_http_would_understand_is_refused(key: str) -> None:
    with pytest.raises(ConfigurationError, match=key):
        headers("proto", 1, [(key, "1")], stream=True)


def test_proxies_are_read_as_curl_reads_them() -> None:
    assert proxies_of({"HTTP_PROXY": "http://upper", "http_proxy": "http://lower"}) == (("http", "http://lower"),)
    assert proxies_of({"HTTP_PROXY": "http://upper", "http_proxy": ""}) == ()
    assert proxies_of({"HTTP_PROXY": "http://upper", "REQUEST_METHOD": "GET"}) == ()


@pytest.mark.parametrize("none", ["", "gateway", "*", "other,.gateway", "gateway:8080"])
def test_a_proxy_stands_in_the_way_unless_the_host_is_excepted(none: str) -> None:
    found = proxy_for("http", "gateway", 8080, proxies_of({"HTTP_PROXY": "squid:3128", "NO_PROXY": none}))
    assert (found is None) is (none != "")
    if found:
        assert (found.host, found.port) == ("squid", 3128)


@pytest.mark.parametrize("url", ["socks5://user:secret@host:1", "https://secret@host", "http://", "http://host:x"])
def test_what_is_no_http_proxy_is_refused_without_showing_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError, match="http_proxy is") as caught:
        proxy_for("http", "gateway", 80, (("http", url),))
    assert "secret" not in str(caught.value)


def test_a_proxy_s_login_is_sent_to_it() -> None:
    found = proxy_for("https", "gateway", 443, (("all", "http://a:b%40@squid"),))
    assert found.headers == (("Proxy-Authorization", f"Basic {b64encode(b'a:b@').decode()}"),)


@pytest.mark.parametrize(
    ("target", "authority", "prefix"),
    [
        ("http://gateway", "gateway", ""),
        ("http://gateway:80/", "gateway", ""),
        ("http://gateway:8080/rpc/v1/", "gateway:8080", "/rpc/v1"),
        ("https://gateway:443", "gateway", ""),
        ("https://[::1]:8443/rpc", "[::1]:8443", "/rpc"),
    ],
)
def test_a_url_is_an_address_and_a_prefix(target: str, authority: str, prefix: str) -> None:
    address = read_address(checked_target(target))
    assert (address.authority, address.prefix) == (authority, prefix)


@pytest.mark.parametrize(
    "target",
    [
        "http://",
        "http://:80",
        "http://host:port",
        "https://host?x=1",
        "http://host/#x",
        "http://ho st",
        "http://hö",
        "http://host:0",
    ],
)
def test_a_url_that_is_no_address_is_refused(target: str) -> None:
    with pytest.raises(ConfigurationError, match="is no address"):
        checked_target(target)


def test_a_url_with_a_password_is_refused_without_showing_it() -> None:
    with pytest.raises(ConfigurationError, match="give the key as token") as caught:
        checked_target("http://user:secret@host")
    assert "secret" not in str(caught.value)


def test_the_service_s_name_may_stand_anywhere_in_a_url() -> None:
    for target, expected in {
        "http://{service}.difyrpc:8080": "http://files.difyrpc:8080",
        "https://gateway/{service}/": "https://gateway/files",
    }.items():
        assert read_settings(target, env={}).target_of("files") == expected


def test_a_codec_that_there_is_not_is_refused() -> None:
    assert read_settings(env={"DIFYRPC_HTTP_CODEC": "json"}).endpoint.http_codec == "json"
    with pytest.raises(ConfigurationError, match="DIFYRPC_HTTP_CODEC='xml' is none of proto, json"):
        read_settings(env={"DIFYRPC_HTTP_CODEC": "xml"})
