"""Reads text documents of OpenDocument (LibreOffice Writer)."""

from __future__ import annotations

from difyrpc_services.documents.formats.odt.read import read

__all__ = ["read"]
