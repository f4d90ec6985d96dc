"""Reads PDF with pdfium."""

from __future__ import annotations

from difyrpc_services.documents.formats.pdf.read import read

__all__ = ["read"]
