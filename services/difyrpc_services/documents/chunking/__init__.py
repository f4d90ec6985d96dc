"""Cuts elements into chunks for retrieval, along the structure of the text; nothing is left out."""

from __future__ import annotations

from difyrpc_services.documents.chunking import tokenizers
from difyrpc_services.documents.chunking.cutting import chunks_of, pairs_of
from difyrpc_services.documents.chunking.values import SIZE, SIZE_TOKENS, Boundary, Chunk, Chunking, Mode, Unit

__all__ = [
    "SIZE",
    "SIZE_TOKENS",
    "Boundary",
    "Chunk",
    "Chunking",
    "Mode",
    "Unit",
    "chunks_of",
    "pairs_of",
    "tokenizers",
]
