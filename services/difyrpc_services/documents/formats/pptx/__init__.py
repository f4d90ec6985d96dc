"""Reads PowerPoint presentations (Office Open XML) straight from their XML, a slide a page."""

from __future__ import annotations

from difyrpc_services.documents.formats.pptx.read import read

__all__ = ["read"]
