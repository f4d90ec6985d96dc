"""A small embedding model for tests: texts that share words are near each other; no weights, always the same."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import blake2b

import numpy as np

from difyrpc_services.vectors.core.values import Floats, Model, Purpose

WORD = re.compile(r"[a-z0-9]+|[\u4e00-\u9fff]")


class WordEmbedder:
    """Adds up a fixed random direction for each word, or Chinese character."""

    def __init__(
        self, name: str = "words", *, dimension: int = 64, window: int = 16, fingerprint: str = "words-1"
    ) -> None:
        self.model = Model(name=name, dimension=dimension, window_tokens=window, fingerprint=fingerprint)
        self.runs: list[list[str]] = []
        """The texts of each run, for tests of batching and caching."""
        self.is_closed = False

    async def load(self) -> None:
        return None

    async def close(self) -> None:
        self.is_closed = True

    async def count_tokens(self, texts: Sequence[str], purpose: Purpose) -> Sequence[int]:
        return [len(self._words(text)) for text in texts]

    async def embed(self, texts: Sequence[str], purpose: Purpose) -> Floats:
        self.runs.append(list(texts))
        return np.stack([self._vector(text) for text in texts])

    def _vector(self, text: str) -> Floats:
        total = np.sum([self._direction(word) for word in self._words(text)], axis=0)
        return (total / np.linalg.norm(total)).astype(np.float32)

    def _direction(self, word: str) -> Floats:
        seed = int.from_bytes(blake2b(word.encode(), digest_size=8).digest())
        return np.random.default_rng(seed).standard_normal(self.model.dimension).astype(np.float32)

    def _words(self, text: str) -> list[str]:
        return WORD.findall(text.lower()) or ["\0"]
