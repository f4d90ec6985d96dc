from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest
from word_embedder import WordEmbedder

from difyrpc_services.runtime.errors import InvalidArgument, Unavailable
from difyrpc_services.vectors.core.embedding import Embedded, Embeddings, Text
from difyrpc_services.vectors.core.embedding_cache import ENTRY_OVERHEAD_BYTES, Cached, EmbeddingCache
from difyrpc_services.vectors.core.values import Floats, Purpose


class GatedEmbedder(WordEmbedder):
    """Runs only when the gate is open, so that a test decides what gathers meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.entered = asyncio.Event()
        self.failure: Exception | None = None

    async def embed(self, texts: Sequence[str], purpose: Purpose) -> Floats:
        self.runs.append(list(texts))
        self.entered.set()
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return np.stack([self._vector(text) for text in texts])


def embeddings(embedder: WordEmbedder, *, cache_bytes: int = 1 << 20, batch: int = 4, runs: int = 1) -> Embeddings:
    return Embeddings([embedder], batch=batch, runs=runs, cache=EmbeddingCache(cache_bytes), max_tokens=100)


async def embed(made: Embeddings, *texts: str, tenant: str = "a", purpose: Purpose = Purpose.PASSAGE) -> Embedded:
    return await made.embed(tenant, [Text(text=text, path="texts") for text in texts], purpose)


async def test_a_text_is_embedded_once_and_then_comes_out_of_the_cache() -> None:
    embedder = WordEmbedder()
    made = embeddings(embedder)
    first = await embed(made, "late delivery", "lease")
    again = await embed(made, "lease", "late delivery")
    assert np.array_equal(first.vectors[::-1], again.vectors)
    assert (first.usage.tokens, first.usage.cached_texts, first.usage.texts) == (3, 0, 2)
    assert (again.usage.tokens, again.usage.cached_tokens, again.usage.cached_texts) == (0, 3, 2)
    assert len(embedder.runs) == 1
    await made.close()


async def test_a_text_that_comes_twice_is_embedded_once() -> None:
    embedder = WordEmbedder()
    made = embeddings(embedder)
    found = await embed(made, "lease", "lease")
    assert embedder.runs == [["lease"]]
    assert found.usage.tokens == 1
    assert np.array_equal(found.vectors[0], found.vectors[1])
    await made.close()


async def test_the_cache_tells_tenants_and_purposes_apart() -> None:
    embedder = WordEmbedder()
    made = embeddings(embedder)
    await embed(made, "lease", tenant="a")
    await embed(made, "lease", tenant="b")
    await embed(made, "lease", purpose=Purpose.QUERY)
    assert len(embedder.runs) == 3
    await made.close()


def test_the_cache_forgets_what_was_used_longest_ago() -> None:
    vector = np.ones(4, dtype=np.float32)
    size = vector.nbytes + ENTRY_OVERHEAD_BYTES
    cache = EmbeddingCache(2 * size)
    keys = [cache.key("a", "f", Purpose.QUERY, text) for text in ("one", "two", "three")]
    cache.put(keys[0], Cached(vector, 1))
    cache.put(keys[1], Cached(vector, 1))
    assert cache.get(keys[0]) is not None
    cache.put(keys[2], Cached(vector, 1))
    assert [cache.get(key) is not None for key in keys] == [True, False, True]
    assert cache.used_bytes == 2 * size


def test_a_cache_without_memory_keeps_nothing() -> None:
    cache = EmbeddingCache(0)
    cache.put(cache.key("a", "f", Purpose.QUERY, "one"), Cached(np.ones(4, dtype=np.float32), 1))
    assert (len(cache), cache.used_bytes) == (0, 0)


async def test_texts_of_many_callers_gather_while_the_model_is_busy() -> None:
    embedder = GatedEmbedder()
    made = embeddings(embedder)
    first = asyncio.create_task(embed(made, "first"))
    await embedder.entered.wait()
    others = [asyncio.create_task(embed(made, f"text {n}")) for n in range(6)]
    await asyncio.gather(*(asyncio.create_task(asyncio.sleep(0)) for _ in range(20)))
    embedder.gate.set()
    await asyncio.gather(first, *others)
    assert [len(run) for run in embedder.runs] == [1, 4, 2]
    await made.close()


async def test_as_many_runs_as_allowed_go_side_by_side() -> None:
    embedder = GatedEmbedder()
    made = embeddings(embedder, batch=1, runs=2)
    texts = [asyncio.create_task(embed(made, f"text {n}")) for n in range(3)]
    await asyncio.gather(*(asyncio.create_task(asyncio.sleep(0)) for _ in range(20)))
    assert embedder.runs == [["text 0"], ["text 1"]]
    embedder.gate.set()
    await asyncio.gather(*texts)
    assert len(embedder.runs) == 3
    await made.close()


async def test_a_query_does_not_wait_for_passages() -> None:
    embedder = GatedEmbedder()
    made = embeddings(embedder)
    passage = asyncio.create_task(embed(made, "passage"))
    await embedder.entered.wait()
    embedder.entered.clear()
    query = asyncio.create_task(embed(made, "query", purpose=Purpose.QUERY))
    await embedder.entered.wait()
    embedder.gate.set()
    await asyncio.gather(passage, query)
    assert embedder.runs == [["passage"], ["query"]]
    await made.close()


async def test_who_gave_up_is_not_embedded_for() -> None:
    embedder = GatedEmbedder()
    made = embeddings(embedder)
    first = asyncio.create_task(embed(made, "first"))
    await embedder.entered.wait()
    impatient = asyncio.create_task(embed(made, "impatient"))
    await asyncio.gather(*(asyncio.create_task(asyncio.sleep(0)) for _ in range(5)))
    impatient.cancel()
    await asyncio.wait([impatient])
    embedder.gate.set()
    await first
    await embed(made, "last")
    assert embedder.runs == [["first"], ["last"]]
    await made.close()


async def test_a_run_that_fails_is_everybodys_error_and_the_next_run_works() -> None:
    embedder = GatedEmbedder()
    embedder.gate.set()
    embedder.failure = Unavailable("EMBEDDING_UNAVAILABLE", "away")
    made = embeddings(embedder)
    with pytest.raises(Unavailable):
        await embed(made, "one", "two")
    embedder.failure = None
    assert (await embed(made, "one")).vectors.shape == (1, 64)
    await made.close()


async def test_a_text_beyond_the_limit_is_refused_and_not_cut() -> None:
    embedder = WordEmbedder()
    made = embeddings(embedder)
    with pytest.raises(InvalidArgument) as caught:
        await embed(made, "word " * 101)
    assert caught.value.reason == "TEXT_TOO_LONG"
    assert caught.value.metadata == {"tokens": "101", "limit": "100"}
    assert embedder.runs == []
    await made.close()


async def test_usage_says_which_texts_were_split() -> None:
    made = embeddings(WordEmbedder(window=16))
    found = await embed(made, "word " * 17, "word " * 16)
    assert found.usage.split_texts == 1
    await made.close()


@pytest.mark.parametrize("text", ["", " \n\t"])
async def test_a_blank_text_is_refused(text: str) -> None:
    made = embeddings(WordEmbedder())
    with pytest.raises(InvalidArgument) as caught:
        await embed(made, text)
    assert caught.value.reason == "TEXT_BLANK"
    await made.close()
