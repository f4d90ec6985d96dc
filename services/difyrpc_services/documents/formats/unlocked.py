"""Opens Office documents that are encrypted with a password (ECMA-376, MS-OFFCRYPTO), if msoffcrypto is installed."""

from __future__ import annotations

import io
from typing import Final

from difyrpc_services.documents.formats.reading import encrypted, too_large

LARGEST: Final = 64 * 1024 * 1024  # bytes; it is decrypted in memory
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_PACKAGE: Final = "EncryptedPackage".encode("utf-16-le")


def unlocked(content: memoryview, password: str) -> memoryview:
    """Answers the document inside an encrypted one; any other document as it is.

    Without a password, where nothing is installed that could use it, and for a kind of encryption that is not known,
    the encrypted document stays as it is too. ENCRYPTED for a wrong password, TOO_LARGE.
    """
    if not password or bytes(content[:8]) != _OLE or _PACKAGE not in bytes(content):
        return content
    if len(content) > LARGEST:
        raise too_large("encrypted_bytes", LARGEST)
    try:
        from msoffcrypto.exceptions import (
            DecryptionError,
            FileFormatError,
            InvalidKeyError,
            ParseError,
        )
    except ImportError:
        return content
    strange = (DecryptionError, FileFormatError, ParseError, ValueError, LookupError, OSError, ArithmeticError)
    try:
        return _decrypted(content, password)
    except InvalidKeyError as error:
        raise encrypted("ooxml", given=True) from error
    except strange:
        return content


def _decrypted(content: memoryview, password: str) -> memoryview:
    import msoffcrypto

    opened = io.BytesIO()
    file = msoffcrypto.OfficeFile(io.BytesIO(content))
    file.load_key(password=password, verify_password=True)
    file.decrypt(opened)
    return opened.getbuffer()
