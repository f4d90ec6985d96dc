"""Reads Rich Text Format with its tables, lists, notes and code pages."""

from __future__ import annotations

from difyrpc_services.documents.formats.rtf.read import read

__all__ = ["read"]
