"""The contract's rpcs over the core; decides nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from difyrpc.vectors.v1 import collection_pb2, search_pb2, vectors_pb2, vectors_pb2_grpc
from difyrpc_services.runtime import statuses
from difyrpc_services.runtime.caller import current_caller
from difyrpc_services.runtime.errors import InvalidArgument, ServiceError
from difyrpc_services.vectors import messages
from difyrpc_services.vectors.core.collections import Collections, Draft, named
from difyrpc_services.vectors.core.embedding import Embeddings
from difyrpc_services.vectors.core.limits import Limits, check_searches, texts_to_embed
from difyrpc_services.vectors.core.metadata import collection_name
from difyrpc_services.vectors.core.points import Batch, Points
from difyrpc_services.vectors.core.search import Answer, Question, Searches
from difyrpc_services.vectors.core.values import MetadataChange, Purpose


class VectorSearchServicer(vectors_pb2_grpc.VectorSearchServicer):
    """VectorSearch for grpc.aio."""

    def __init__(self, collections: Collections, embeddings: Embeddings, limits: Limits) -> None:
        """Takes the core."""
        self._collections = collections
        self._points = Points(collections)
        self._searches = Searches(collections)
        self._embeddings = embeddings
        self._limits = limits

    async def CreateCollection(
        self, request: vectors_pb2.CreateCollectionRequest, context: Any
    ) -> vectors_pb2.CreateCollectionResponse:
        """Makes a collection."""
        made = await self._collections.create(_tenant(), _draft(request.collection))
        return vectors_pb2.CreateCollectionResponse(collection=messages.collection_message(made))

    async def GetCollection(
        self, request: vectors_pb2.GetCollectionRequest, context: Any
    ) -> vectors_pb2.GetCollectionResponse:
        """Gets one collection."""
        found = await self._collections.get(_tenant(), collection_name(request.name, path="name"))
        return vectors_pb2.GetCollectionResponse(collection=messages.collection_message(found))

    async def ListCollections(
        self, request: vectors_pb2.ListCollectionsRequest, context: Any
    ) -> vectors_pb2.ListCollectionsResponse:
        """Lists collections by name."""
        found, token = await self._collections.page(_tenant(), request.page_size, request.page_token)
        return vectors_pb2.ListCollectionsResponse(
            collections=map(messages.collection_message, found), next_page_token=token
        )

    async def UpdateCollection(
        self, request: vectors_pb2.UpdateCollectionRequest, context: Any
    ) -> vectors_pb2.UpdateCollectionResponse:
        """Changes a collection."""
        sent = request.collection
        values = {
            "description": sent.description,
            "metadata": messages.metadata_of(sent.metadata, "collection.metadata"),
        }
        name = named(sent.name, path="collection.name")
        changed = await self._collections.update(_tenant(), name, tuple(request.update_mask.paths), values, sent.etag)
        return vectors_pb2.UpdateCollectionResponse(collection=messages.collection_message(changed))

    async def DeleteCollection(
        self, request: vectors_pb2.DeleteCollectionRequest, context: Any
    ) -> vectors_pb2.DeleteCollectionResponse:
        """Deletes a collection with its points."""
        name = named(request.name, path="name")
        await self._collections.delete(_tenant(), name, allow_missing=request.allow_missing, etag=request.etag)
        return vectors_pb2.DeleteCollectionResponse()

    async def ListEngines(
        self, request: vectors_pb2.ListEnginesRequest, context: Any
    ) -> vectors_pb2.ListEnginesResponse:
        """Lists engines and models."""
        return vectors_pb2.ListEnginesResponse(
            engines=[
                messages.engine_message(
                    name,
                    engine.kind,
                    engine.capabilities,
                    is_default=name == self._collections.default_engine,
                    max_k=self._limits.max_k,
                    max_batch=self._limits.max_batch,
                    max_dimension=self._limits.max_dimension,
                )
                for name, engine in self._collections.backends.items()
            ],
            models=[
                messages.model_message(model, is_default=index == 0, max_tokens=self._embeddings.max_tokens)
                for index, model in enumerate(self._embeddings.models())
            ],
        )

    async def UpsertPoints(
        self, request: vectors_pb2.UpsertPointsRequest, context: Any
    ) -> vectors_pb2.UpsertPointsResponse:
        """Stores points."""
        name = collection_name(request.collection)
        points, needs = messages.points_of(request.points, "points")
        written = await self._points.upsert(_tenant(), name, points, needs)
        return vectors_pb2.UpsertPointsResponse(
            upserted_count=written.count,
            read_token=written.read_token,
            usage=messages.usage_message(written.usage),
        )

    async def UpsertPointsStream(
        self, request_iterator: AsyncIterator[vectors_pb2.UpsertPointsStreamRequest], context: Any
    ) -> AsyncIterator[vectors_pb2.UpsertPointsStreamResponse]:
        """Stores batches of points and acknowledges each."""
        spec = await _spec(request_iterator)
        acks = self._points.upsert_stream(
            _tenant(),
            collection_name(spec.collection, path="spec.collection"),
            spec.stream_id,
            _batches(request_iterator),
        )
        async for ack in acks:
            yield vectors_pb2.UpsertPointsStreamResponse(
                durable_sequence=ack.sequence,
                upserted_count=ack.count,
                read_token=ack.read_token,
                usage=messages.usage_message(ack.usage),
            )

    async def GetPoints(self, request: vectors_pb2.GetPointsRequest, context: Any) -> vectors_pb2.GetPointsResponse:
        """Gets points by id."""
        name = collection_name(request.collection)
        payload = messages.payload_of(request.payload)
        points, missing = await self._points.get(_tenant(), name, request.ids, payload, request.read_token)
        response = vectors_pb2.GetPointsResponse(missing_ids=missing)
        for point in points:
            messages.put_point(response.points.add(), point, request.payload.vector_encoding)
        return response

    async def ScrollPoints(
        self, request: vectors_pb2.ScrollPointsRequest, context: Any
    ) -> vectors_pb2.ScrollPointsResponse:
        """Lists points by id."""
        points, token = await self._points.scroll(
            _tenant(),
            collection_name(request.collection),
            messages.optional_filter(request.filter, request.HasField("filter")),
            messages.payload_of(request.payload),
            size=request.page_size,
            token=request.page_token,
        )
        response = vectors_pb2.ScrollPointsResponse(next_page_token=token)
        for point in points:
            messages.put_point(response.points.add(), point, request.payload.vector_encoding)
        return response

    async def CountPoints(
        self, request: vectors_pb2.CountPointsRequest, context: Any
    ) -> vectors_pb2.CountPointsResponse:
        """Counts points."""
        found = messages.optional_filter(request.filter, request.HasField("filter"))
        count = await self._points.count(_tenant(), collection_name(request.collection), found)
        return vectors_pb2.CountPointsResponse(count=count)

    async def DeletePoints(
        self, request: vectors_pb2.DeletePointsRequest, context: Any
    ) -> vectors_pb2.DeletePointsResponse:
        """Deletes points."""
        selector = messages.selector_of(request.points)
        written = await self._points.delete(_tenant(), collection_name(request.collection), selector)
        return vectors_pb2.DeletePointsResponse(deleted_count=written.count, read_token=written.read_token)

    async def UpdateMetadata(
        self, request: vectors_pb2.UpdateMetadataRequest, context: Any
    ) -> vectors_pb2.UpdateMetadataResponse:
        """Changes metadata of points."""
        selector = messages.selector_of(request.points)
        change = MetadataChange(
            set=messages.metadata_of(request.set, "set"), remove=tuple(request.remove), replace=request.replace
        )
        name = collection_name(request.collection)
        written = await self._points.update_metadata(_tenant(), name, selector, change)
        return vectors_pb2.UpdateMetadataResponse(updated_count=written.count, read_token=written.read_token)

    async def Search(self, request: vectors_pb2.SearchRequest, context: Any) -> vectors_pb2.SearchResponse:
        """Finds the nearest points."""
        return _response(await self._searches.search(_tenant(), _question(request)), request)

    async def BatchSearch(
        self, request: vectors_pb2.BatchSearchRequest, context: Any
    ) -> vectors_pb2.BatchSearchResponse:
        """Searches many times."""
        check_searches(len(request.searches), self._limits)
        questions = [_attempt(search) for search in request.searches]
        answers = await self._searches.batch(_tenant(), questions)
        results = [_result(answer, search) for answer, search in zip(answers, request.searches, strict=True)]
        return vectors_pb2.BatchSearchResponse(results=results)

    async def EmbedTexts(self, request: vectors_pb2.EmbedTextsRequest, context: Any) -> vectors_pb2.EmbedTextsResponse:
        """Makes vectors out of texts."""
        messages.check_encoding(request.encoding, "encoding")
        purpose = messages.member(Purpose, search_pb2.EmbeddingPurpose, request.purpose, "purpose")
        texts = texts_to_embed(request.texts, self._limits)
        made = await self._embeddings.embed(_tenant(), texts, purpose, model=request.model)
        model = await self._embeddings.model(request.model)
        response = vectors_pb2.EmbedTextsResponse(
            model=model.name,
            fingerprint=model.fingerprint,
            dimension=model.dimension,
            usage=messages.usage_message(made.usage),
        )
        for vector in made.vectors:
            messages.put_vector(response.vectors.add(), vector, request.encoding)
        return response


def _tenant() -> str:
    return current_caller().tenant


def _draft(sent: collection_pb2.Collection) -> Draft:
    return Draft(
        name=named(sent.name, path="collection.name"),
        dimension=sent.dimension,
        metric=messages.metric_of(sent.metric, "collection.metric"),
        engine=sent.engine,
        model=sent.embedding_model,
        description=sent.description,
        metadata=messages.metadata_of(sent.metadata, "collection.metadata"),
        asked=tuple(name for name in ("aliases", "schema", "sharding") if _has(sent, name)),
    )


def _has(sent: collection_pb2.Collection, name: str) -> bool:
    return any(field.name == name for field, _ in sent.ListFields())


async def _spec(stream: AsyncIterator[vectors_pb2.UpsertPointsStreamRequest]) -> vectors_pb2.UpsertSpec:
    async for first in stream:
        if first.WhichOneof("part") == "spec":
            return first.spec
        break
    raise InvalidArgument("SPEC_MISSING", "the first message of the stream holds no spec", field="spec")


async def _batches(stream: AsyncIterator[vectors_pb2.UpsertPointsStreamRequest]) -> AsyncIterator[Batch]:
    async for message in stream:
        if message.WhichOneof("part") != "batch":
            raise InvalidArgument("BATCH_MISSING", "a message after the first holds no batch", field="batch")
        points, needs = messages.points_of(message.batch.points, "batch.points")
        yield Batch(sequence=message.batch.sequence, points=points, needs=needs)


def _question(sent: vectors_pb2.SearchRequest) -> Question:
    messages.check_known(search_pb2.Accuracy, sent.accuracy, "accuracy")
    # There is no cache of results and there are no shards, so every policy on them is met.
    messages.check_known(search_pb2.CachePolicy, sent.cache_policy, "cache_policy")
    messages.check_known(search_pb2.PartialPolicy, sent.partial_policy, "partial_policy")
    vector, needs = messages.vector_of(sent.vector, "vector") if sent.HasField("vector") else (None, ())
    return Question(
        collection=collection_name(sent.collection),
        query=sent.query,
        vector=vector,
        k=sent.k if sent.HasField("k") else None,
        filter=messages.optional_filter(sent.filter, sent.HasField("filter")),
        threshold=sent.threshold if sent.HasField("threshold") else None,
        payload=messages.payload_of(sent.payload),
        read_token=sent.read_token,
        exact=sent.accuracy == search_pb2.ACCURACY_EXACT,
        mode=messages.feature_of(sent.mode, "mode"),
        has_fusion=sent.HasField("fusion"),
        has_groups=sent.HasField("group_by"),
        keywords=sent.keywords,
        needs=needs,
    )


def _attempt(sent: vectors_pb2.SearchRequest) -> Question | ServiceError:
    """Reads one search of many; what is wrong with it is its own answer."""
    try:
        return _question(sent)
    except ServiceError as error:
        return error


def _response(answer: Answer, sent: vectors_pb2.SearchRequest) -> vectors_pb2.SearchResponse:
    response = vectors_pb2.SearchResponse(
        usage=messages.usage_message(answer.usage),
        cache_state=search_pb2.CACHE_STATE_OFF,
        read_token=answer.read_token,
        plan=messages.plan_number(answer.plan),
    )
    response.timings.embedding.CopyFrom(messages.duration(answer.embedding_seconds))
    response.timings.engine.CopyFrom(messages.duration(answer.engine_seconds))
    response.timings.total.CopyFrom(messages.duration(answer.total_seconds))
    for hit in answer.hits:
        messages.put_hit(response.hits.add(), hit, answer.metric, sent.payload.vector_encoding)
    return response


def _result(answer: Answer | ServiceError, sent: vectors_pb2.SearchRequest) -> vectors_pb2.BatchSearchResult:
    if isinstance(answer, Answer):
        return vectors_pb2.BatchSearchResult(response=_response(answer, sent))
    return vectors_pb2.BatchSearchResult(error=statuses.status_of(answer))
