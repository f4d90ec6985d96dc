"""Which URLs may be read, and at which addresses."""

from __future__ import annotations

import pytest

from difyrpc_services.documents.origins import Origins
from difyrpc_services.runtime.errors import ServiceError
from difyrpc_services.runtime.settings import SettingsError

LISTED = ("https://files.example.com", "https://*.cdn.example.com", "http://minio.internal:9000", "http://10.1.2.3")


def origins(*networks: str) -> Origins:
    return Origins(LISTED, networks, setting="DIFYRPC_DOCUMENTS_URL_")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://files.example.com/a.pdf?sig=1", "https://files.example.com/a.pdf"),
        ("https://FILES.example.com:443/a.pdf", "https://files.example.com/a.pdf"),
        ("https://files.example.com./a.pdf", "https://files.example.com/a.pdf"),
        ("https://a.b.cdn.example.com/", "https://a.b.cdn.example.com/"),
        ("http://minio.internal:9000/bucket/合同.pdf", "http://minio.internal:9000/bucket/%E5%90%88%E5%90%8C.pdf"),
    ],
)
def test_urls_of_listed_origins_may_be_read(url: str, shown: str) -> None:
    assert origins().checked(url).shown == shown


@pytest.mark.parametrize(
    "url",
    [
        "http://files.example.com/a.pdf",
        "https://files.example.com:8443/a.pdf",
        "https://files.example.com.evil.example/a.pdf",
        "https://evil-files.example.com/",
        "https://cdn.example.com/",
        "https://evilcdn.example.com/",
        "http://minio.internal/",
        "https://example.com/?https://files.example.com/",
        "http://0x0a010203/",
    ],
)
def test_urls_of_other_origins_may_not(url: str) -> None:
    assert refusal(url) == "URL_NOT_ALLOWED"


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://files.example.com/a",
        "https://user:secret@files.example.com/",
        "https://files.example.com\\@evil.example/",
        "https://files.example.com/\r\nhost: evil",
        "https://[::1/",
        "https://files.example.com:99999/",
        "https://",
        "files.example.com/a.pdf",
        "https://files.example.com/" + "a" * 8_000,
    ],
)
def test_what_is_no_usable_url_is_refused(url: str) -> None:
    assert refusal(url) == "BAD_URL"


def refusal(url: str) -> str:
    with pytest.raises(ServiceError) as caught:
        origins().checked(url)
    assert "secret" not in str(caught.value)
    return caught.value.reason


@pytest.mark.parametrize("location", ["//evil.example/a", "http://169.254.169.254/latest", "http://files.example.com/"])
def test_redirects_to_other_origins_are_refused(location: str) -> None:
    url = origins().checked("https://files.example.com/a/b.pdf")
    with pytest.raises(ServiceError, match="is not one that this server may read"):
        origins().redirected(url, location)


def test_redirects_inside_an_origin_are_followed() -> None:
    url = origins().checked("https://files.example.com/a/b.pdf")
    assert origins().redirected(url, "../c.pdf").shown == "https://files.example.com/c.pdf"


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:4700::1111", "10.1.2.3"])
def test_public_addresses_and_listed_ones_are_admitted(address: str) -> None:
    assert origins().admits(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "::1",
        "fd00::1",
        "fe80::1%eth0",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "not an address",
    ],
)
def test_private_addresses_are_not(address: str) -> None:
    assert not origins().admits(address)


@pytest.mark.parametrize("address", ["10.9.9.9", "::ffff:10.9.9.9", "fd00::7"])
def test_private_addresses_of_listed_networks_are(address: str) -> None:
    assert origins("10.0.0.0/8", "fd00::/8").admits(address)


@pytest.mark.parametrize(
    ("listed", "networks", "message"),
    [
        ("files.example.com", "", "ORIGINS holds 'files.example.com'"),
        ("https://files.example.com/path", "", "an origin ends behind its host and port"),
        ("https://*", "", "give https"),
        ("https://*.com", "", "give https://files"),
        ("https://a.*.example.com", "", "give https://files"),
        ("https://a.example", "10.0.0.1/8", "NETWORKS holds '10.0.0.1/8'"),
    ],
)
def test_a_wrong_setting_is_named(listed: str, networks: str, message: str) -> None:
    with pytest.raises(SettingsError, match=f"DIFYRPC_DOCUMENTS_URL_.*{message}"):
        Origins((listed,), tuple(filter(None, [networks])), setting="DIFYRPC_DOCUMENTS_URL_")
