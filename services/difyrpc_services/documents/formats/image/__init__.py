"""Reads pictures: their text is recognised, a frame a page."""

from __future__ import annotations

from difyrpc_services.documents.formats.image.read import read

__all__ = ["read"]
