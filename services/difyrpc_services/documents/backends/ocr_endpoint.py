"""Asks an operator's endpoint to recognise pictures, on behalf of workers, which have no network.

The contract: `POST` of one `image/png` with `Accept-Language` (BCP 47, the likeliest first), `X-Dpi` (pixels an inch)
and, if a token is set, `Authorization: Bearer`. The answer is 200 with JSON lines, one a printed line:
`{"text": "…", "box": [left, top, right, bottom], "confidence": 0.98}`, in pixels from the top left; an empty answer is
a picture without text. Redirects are not followed.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

from difyrpc_services.runtime.errors import Unavailable
from difyrpc_services.runtime.settings import SettingsError

MOST_ANSWER: Final = 32 * 1024 * 1024  # bytes
RETRY_SECONDS: Final = 5.0
_TAG: Final = re.compile(r"[A-Za-z0-9-]{1,35}")


class OcrEndpoint:
    """One endpoint."""

    def __init__(self, url: str, *, token: str = "", seconds: float = 60.0) -> None:
        """Takes its URL, the token that it wants, and the longest wait for it; SettingsError for no URL."""
        self._url = urlsplit(url)
        self._token = token
        self._seconds = seconds
        if self._url.scheme not in ("http", "https") or not self._url.hostname:
            raise SettingsError(f"DIFYRPC_DOCUMENTS_OCR_URL={url!r} is no http or https URL")

    async def answer(self, question: bytes) -> bytes:
        """Answers the JSON lines for a worker's picture; OCR_NOT_REACHABLE."""
        head, _, picture = question.partition(b"\n")
        stated = json.loads(head)
        headers = {
            "Content-Type": "image/png",
            "Accept": "application/x-ndjson",
            "Accept-Language": ", ".join(tag for tag in map(str, stated["languages"]) if _TAG.fullmatch(tag)),
            "X-Dpi": str(int(stated["dpi"])),
        }
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        try:
            return await asyncio.to_thread(_post, self._url, headers, picture, self._seconds)
        except (OSError, http.client.HTTPException, _Refused) as error:
            cause = str(error) or type(error).__name__
            raise Unavailable(
                "OCR_NOT_REACHABLE", "the endpoint for recognition: {cause}", retry_after=RETRY_SECONDS, cause=cause
            ) from error


class _Refused(Exception):
    """An answer other than lines."""


def _post(url: SplitResult, headers: dict[str, str], picture: bytes, seconds: float) -> bytes:
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    connection = kind(url.hostname or "", url.port, timeout=seconds)
    try:
        connection.request("POST", url._replace(scheme="", netloc="").geturl() or "/", body=picture, headers=headers)
        response = connection.getresponse()
        body = response.read(MOST_ANSWER + 1)
    finally:
        connection.close()
    if response.status != http.client.OK:
        raise _Refused(f"HTTP {response.status}")
    if len(body) > MOST_ANSWER:
        raise _Refused(f"an answer of more than {MOST_ANSWER} bytes")
    return body
