"""Makes vectors out of texts: out of the cache what was embedded before, through the model the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from difyrpc_services.runtime.errors import FailedPrecondition, InvalidArgument
from difyrpc_services.vectors.core.batching import Batcher
from difyrpc_services.vectors.core.embedding_cache import Cached, EmbeddingCache
from difyrpc_services.vectors.core.seams import Embedder
from difyrpc_services.vectors.core.values import Collection, Floats, Model, Purpose, Usage


@dataclass(frozen=True, kw_only=True)
class Text:
    """One text to embed, and where it stands in the request."""

    text: str
    path: str


@dataclass(frozen=True, kw_only=True)
class Embedded:
    """Vectors of some texts, and what they cost."""

    vectors: Floats
    """One row a text, in order."""
    usage: Usage


class Embeddings:
    """The models of this server behind one cache."""

    def __init__(
        self, embedders: Sequence[Embedder], *, batch: int, cache: EmbeddingCache, max_tokens: int, runs: int = 1
    ) -> None:
        """Takes the embedders, the default one first, texts a run, runs at a time, and the most tokens of a text."""
        self._embedders = {embedder.model.name: embedder for embedder in embedders}
        self._batchers = {name: Batcher(embedder, batch, runs) for name, embedder in self._embedders.items()}
        self._default = embedders[0].model.name
        self.cache = cache
        self.max_tokens = max_tokens
        self.tokens = 0
        """Tokens that went through the models so far."""

    async def close(self) -> None:
        """Ends the queues and lets go of the models."""
        for name, embedder in self._embedders.items():
            await self._batchers[name].close()
            await embedder.close()

    def models(self) -> list[Model]:
        """Answers the models, the default one first, loaded or not."""
        return [embedder.model for embedder in self._embedders.values()]

    async def model(self, name: str = "", *, path: str = "model") -> Model:
        """Answers one model, loaded; the default one for an empty name."""
        embedder = self._embedders.get(name or self._default)
        if embedder is None:
            raise InvalidArgument(
                "EMBEDDING_MODEL_UNKNOWN",
                "there is no embedding model {model}; there are: {choices}",
                field=path,
                model=name,
                choices=", ".join(self._embedders),
            )
        await embedder.load()
        return embedder.model

    async def for_collection(
        self, tenant: str, collection: Collection, texts: Sequence[Text], purpose: Purpose
    ) -> Embedded:
        """Embeds with the collection's own model; FailedPrecondition if this server has not got it."""
        if not collection.model:
            raise FailedPrecondition(
                "COLLECTION_WITHOUT_MODEL",
                "collection {collection} embeds no texts: give vectors of {dimension} dimensions",
                collection=collection.name,
                dimension=collection.dimension,
            )
        embedder = self._embedders.get(collection.model)
        if embedder is not None:
            await embedder.load()
        if embedder is None or embedder.model.fingerprint != collection.fingerprint:
            raise FailedPrecondition(
                "EMBEDDING_MODEL_MISMATCH",
                "collection {collection} was made with {model} {fingerprint}, which this server does not have; "
                "its vectors would mean something else",
                collection=collection.name,
                model=collection.model,
                fingerprint=collection.fingerprint,
            )
        return await self.embed(tenant, texts, purpose, model=collection.model)

    async def embed(self, tenant: str, texts: Sequence[Text], purpose: Purpose, *, model: str = "") -> Embedded:
        """Embeds texts, none of which may be blank or longer than the limit."""
        used = await self.model(model)
        for text in texts:
            _refuse_blank(text)
        keys = [self.cache.key(tenant, used.fingerprint, purpose, text.text) for text in texts]
        known = {key: found for key in dict.fromkeys(keys) if (found := self.cache.get(key)) is not None}
        fresh = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        made = await self._run(used.name, list(fresh.values()), purpose)
        answers = known | dict(zip(fresh, made, strict=True))
        for key, cached in zip(fresh, made, strict=True):
            self.cache.put(key, cached)
        return Embedded(
            vectors=np.stack([answers[key].vector for key in keys]),
            usage=Usage(
                model=used.name,
                texts=len(texts),
                cached_texts=len(texts) - len(fresh),
                tokens=sum(one.tokens for one in made),
                cached_tokens=sum(answers[key].tokens for key in keys) - sum(one.tokens for one in made),
                split_texts=sum(answers[key].tokens > used.window_tokens > 0 for key in keys),
            ),
        )

    async def _run(self, model: str, texts: Sequence[Text], purpose: Purpose) -> list[Cached]:
        if not texts:
            return []
        words = [text.text for text in texts]
        tokens = await self._embedders[model].count_tokens(words, purpose)
        for text, count in zip(texts, tokens, strict=True):
            self._refuse_long(text, count)
        vectors = await self._batchers[model].embed(words, purpose)
        self.tokens += sum(tokens)
        # A copy, since a row that is kept would keep its whole batch.
        return [Cached(vector.copy(), count) for vector, count in zip(vectors, tokens, strict=True)]

    def _refuse_long(self, text: Text, tokens: int) -> None:
        if tokens > self.max_tokens:
            raise InvalidArgument(
                "TEXT_TOO_LONG",
                "the text has {tokens} tokens, more than {limit}; split it, or raise DIFYRPC_VECTORS_MAX_TEXT_TOKENS",
                field=text.path,
                tokens=tokens,
                limit=self.max_tokens,
            )


def _refuse_blank(text: Text) -> None:
    if not text.text.strip():
        raise InvalidArgument("TEXT_BLANK", "the text to embed is blank", field=text.path)
