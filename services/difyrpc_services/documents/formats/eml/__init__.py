"""Reads mails (RFC 5322, MIME) and mailboxes."""

from __future__ import annotations

from difyrpc_services.documents.formats.eml.read import read

__all__ = ["read"]
