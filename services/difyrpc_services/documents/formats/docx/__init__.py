"""Reads Word documents (Office Open XML) straight from their XML."""

from __future__ import annotations

from difyrpc_services.documents.formats.docx.read import read

__all__ = ["read"]
