"""Reads Excel workbooks (Office Open XML) straight from their XML, a sheet a page."""

from __future__ import annotations

from difyrpc_services.documents.formats.xlsx.read import read

__all__ = ["read"]
