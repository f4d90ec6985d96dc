"""Reads EPUB books."""

from __future__ import annotations

from difyrpc_services.documents.formats.epub.read import read

__all__ = ["read"]
