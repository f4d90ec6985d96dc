"""Messages of the contract into values of the core, and back."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from typing import Any, TypeVar

import numpy as np
from google.protobuf.duration_pb2 import Duration
from google.protobuf.struct_pb2 import NULL_VALUE
from google.protobuf.timestamp_pb2 import Timestamp

from difyrpc.type.v1 import value_pb2
from difyrpc.vectors.v1 import collection_pb2, filter_pb2, point_pb2, search_pb2
from difyrpc_services.runtime.errors import InvalidArgument
from difyrpc_services.vectors.core.collections import etag_of
from difyrpc_services.vectors.core.filters import AllOf, AnyOf, Condition, Filter, Negated, Operator
from difyrpc_services.vectors.core.values import (
    Capabilities,
    Collection,
    Feature,
    Floats,
    Hit,
    Metadata,
    Metric,
    Model,
    Payload,
    Plan,
    Point,
    Selector,
    Usage,
    Value,
)

Member = TypeVar("Member", bound=Enum)

LEAST_SECONDS = -62_135_596_800  # 0001-01-01; timestamp.proto
MOST_SECONDS = 253_402_300_799  # 9999-12-31


def check_known(names: Any, number: int, path: str) -> None:
    """Refuses the number of an enum value that the contract does not know."""
    if number not in names.values():
        raise InvalidArgument(
            "ENUM_VALUE_INVALID",
            "{number} is none of {choices}",
            field=path,
            number=number,
            choices=", ".join(names.keys()),
        )


def member(kind: type[Member], names: Any, number: int, path: str) -> Member:
    """Answers the core's member of an enum value; InvalidArgument for one that is not stated or not known."""
    check_known(names, number, path)
    if not number:
        raise InvalidArgument(
            "ENUM_VALUE_MISSING", "one of {choices} is needed", field=path, choices=", ".join(names.keys()[1:])
        )
    # Every name begins with the enum's own, as UNSPECIFIED shows.
    prefix = str(names.Name(0)).removesuffix("UNSPECIFIED")
    return kind[str(names.Name(number)).removeprefix(prefix)]


def feature_of(number: int, path: str) -> Feature:
    """Answers what a search mode asks of the engine; DENSE when unset."""
    number = number or search_pb2.SEARCH_MODE_DENSE
    return member(Feature, search_pb2.SearchMode, number, path)


def metric_of(number: int, path: str) -> Metric:
    """Answers a metric; COSINE when unset."""
    return member(Metric, point_pb2.Metric, number or point_pb2.METRIC_COSINE, path)


def metadata_of(sent: Mapping[str, value_pb2.Value], path: str) -> dict[str, Value]:
    """Answers metadata as the core knows it."""
    return {name: value_of(value, f'{path}["{name}"]') for name, value in sent.items()}


def value_of(sent: value_pb2.Value, path: str) -> Any:
    """Answers one value as the core knows it; InvalidArgument if its kind is not set."""
    match sent.WhichOneof("kind"):
        case None:
            raise InvalidArgument("VALUE_MISSING", "the value has no kind", field=path)
        case "null_value":
            return None
        case "time_value":
            return _time_of(sent.time_value, path)
        case "list_value":
            return [value_of(one, f"{path}[{index}]") for index, one in enumerate(sent.list_value.values)]
        case kind:
            return getattr(sent, kind)


def _time_of(sent: Timestamp, path: str) -> datetime:
    if not (LEAST_SECONDS <= sent.seconds <= MOST_SECONDS and 0 <= sent.nanos < 1_000_000_000):
        raise InvalidArgument("TIME_INVALID", "the time is not between the years 1 and 9999", field=path)
    return sent.ToDatetime(tzinfo=UTC)


def put_metadata(target: MutableMapping[str, value_pb2.Value], metadata: Metadata) -> None:
    """Writes metadata into a map field."""
    for name, value in metadata.items():
        put_value(target[name], value)


def put_value(target: value_pb2.Value, value: Any) -> None:
    """Writes one value."""
    match value:
        case None:
            target.null_value = NULL_VALUE
        case bool():
            target.bool_value = value
        case int():
            target.int64_value = value
        case float():
            target.double_value = value
        case str():
            target.string_value = value
        case datetime():
            target.time_value.FromDatetime(value)
        case _:
            target.list_value.SetInParent()
            for one in value:
                put_value(target.list_value.values.add(), one)


def vector_of(sent: point_pb2.Vector, path: str) -> tuple[Floats | None, tuple[Feature, ...]]:
    """Answers the numbers of a dense vector, or what its form asks of the engine."""
    match sent.WhichOneof("data"):
        case "f32_le":
            if len(sent.f32_le) % 4:
                raise InvalidArgument(
                    "VECTOR_ENCODING_INVALID",
                    "{size} bytes are no 32-bit floats",
                    field=f"{path}.f32_le",
                    size=len(sent.f32_le),
                )
            return np.frombuffer(sent.f32_le, dtype="<f4").astype(np.float32, copy=False), ()
        case "floats":
            return np.array(sent.floats.values, dtype=np.float32), ()
        case "sparse":
            return None, (Feature.SPARSE_VECTORS,)
        case "int8":
            return None, (Feature.INT8_VECTORS,)
        case _:
            raise InvalidArgument("VECTOR_MISSING", "the vector has no numbers", field=path)


def put_vector(target: point_pb2.Vector, vector: Floats, encoding: int) -> None:
    """Writes one vector in the form that was asked for."""
    if encoding == point_pb2.VECTOR_ENCODING_FLOATS:
        target.floats.values.extend(vector.tolist())
    else:
        target.f32_le = vector.astype("<f4", copy=False).tobytes()


def check_encoding(encoding: int, path: str) -> None:
    """Refuses a form of vectors that the contract does not know."""
    check_known(point_pb2.VectorEncoding, encoding, path)


def optional_filter(sent: filter_pb2.Filter, is_set: bool, path: str = "filter") -> Filter | None:
    """Answers the filter if there is one."""
    return filter_of(sent, path) if is_set else None


def filter_of(sent: filter_pb2.Filter, path: str) -> Filter:
    """Answers a filter as the core knows it; InvalidArgument if it has no node."""
    match sent.WhichOneof("node"):
        case "all_of":
            return AllOf(_each(sent.all_of.filters, f"{path}.all_of"))
        case "any_of":
            return AnyOf(_each(sent.any_of.filters, f"{path}.any_of"))
        case "negated":
            return Negated(filter_of(sent.negated, f"{path}.negated"))
        case "condition":
            return _condition_of(sent.condition, f"{path}.condition")
        case _:
            raise InvalidArgument("FILTER_EMPTY", "the filter asks for nothing", field=path)


def _each(sent: Sequence[filter_pb2.Filter], path: str) -> tuple[Filter, ...]:
    return tuple(filter_of(one, f"{path}.filters[{index}]") for index, one in enumerate(sent))


def _condition_of(sent: filter_pb2.Condition, path: str) -> Condition:
    operator = member(Operator, filter_pb2.Operator, sent.operator, f"{path}.operator")
    if not sent.HasField("value"):
        return Condition(sent.field, operator, has_value=False)
    return Condition(sent.field, operator, value_of(sent.value, f"{path}.value"))


def selector_of(sent: point_pb2.PointSelector, path: str = "points") -> Selector:
    """Answers which points are meant; an empty selector if that is not said."""
    match sent.WhichOneof("by"):
        case "ids":
            return Selector(ids=tuple(sent.ids.ids))
        case "filter":
            return Selector(filter=filter_of(sent.filter, f"{path}.filter"))
        case _:
            return Selector()


def payload_of(sent: point_pb2.PayloadSelection) -> Payload:
    """Answers what an answer holds of each point."""
    check_encoding(sent.vector_encoding, "payload.vector_encoding")
    return Payload(
        text=sent.text if sent.HasField("text") else True,
        metadata=sent.metadata if sent.HasField("metadata") else True,
        fields=tuple(sent.metadata_fields),
        vector=sent.vector,
    )


def point_of(sent: point_pb2.Point, path: str) -> tuple[Point, tuple[Feature, ...]]:
    """Answers a point as the core knows it, and what it asks of the engine."""
    vector, needs = vector_of(sent.vector, f"{path}.vector") if sent.HasField("vector") else (None, ())
    if sent.named_vectors:
        needs = (*needs, Feature.NAMED_VECTORS)
    metadata = metadata_of(sent.metadata, f"{path}.metadata")
    return Point(id=sent.id, text=sent.text, vector=vector, metadata=metadata), needs


def points_of(sent: Iterable[point_pb2.Point], path: str) -> tuple[list[Point], tuple[Feature, ...]]:
    """Answers points as the core knows them, and what they ask of the engine."""
    pairs = [point_of(point, f"{path}[{index}]") for index, point in enumerate(sent)]
    return [point for point, _ in pairs], tuple(dict.fromkeys(need for _, needs in pairs for need in needs))


def put_point(target: point_pb2.Point, point: Point, encoding: int) -> None:
    """Writes one point."""
    target.id = point.id
    target.text = point.text
    put_metadata(target.metadata, point.metadata)
    if point.vector is not None:
        put_vector(target.vector, point.vector, encoding)


def put_hit(target: point_pb2.Hit, hit: Hit, metric: Metric, encoding: int) -> None:
    """Writes one hit."""
    target.id = hit.point.id
    target.case_id = hit.case_id
    target.text = hit.point.text
    put_metadata(target.metadata, hit.point.metadata)
    target.score = hit.score
    target.raw_score = hit.raw_score
    target.metric = point_pb2.Metric.Value(f"METRIC_{metric.name}")
    if hit.point.vector is not None:
        put_vector(target.vector, hit.point.vector, encoding)


def usage_message(usage: Usage) -> point_pb2.EmbeddingUsage:
    """Writes what embedding cost."""
    return point_pb2.EmbeddingUsage(
        model=usage.model,
        texts=usage.texts,
        cached_texts=usage.cached_texts,
        tokens=usage.tokens,
        cached_tokens=usage.cached_tokens,
        split_texts=usage.split_texts,
    )


def collection_message(collection: Collection) -> collection_pb2.Collection:
    """Writes one collection."""
    state = collection_pb2.INDEX_STATE_INDEXED if collection.is_indexed else collection_pb2.INDEX_STATE_EXACT
    made = collection_pb2.Collection(
        name=f"collections/{collection.name}",
        dimension=collection.dimension,
        metric=point_pb2.Metric.Value(f"METRIC_{collection.metric.name}"),
        engine=collection.engine,
        embedding_model=collection.model,
        embedding_fingerprint=collection.fingerprint,
        description=collection.description,
        etag=etag_of(collection),
        index_state=state,
    )
    put_metadata(made.metadata, collection.metadata)
    if collection.create_time is not None and collection.update_time is not None:
        made.create_time.FromDatetime(collection.create_time)
        made.update_time.FromDatetime(collection.update_time)
    return made


def engine_message(
    name: str, kind: str, can: Capabilities, *, is_default: bool, max_k: int, max_batch: int, max_dimension: int
) -> collection_pb2.Engine:
    """Writes what one engine can do."""
    features = sorted(collection_pb2.Feature.Value(f"FEATURE_{feature.name}") for feature in can.features)
    return collection_pb2.Engine(
        name=name,
        kind=kind,
        is_default=is_default,
        features=features,
        metrics=[point_pb2.Metric.Value(f"METRIC_{metric.name}") for metric in can.metrics],
        max_dimension=min(can.max_dimension, max_dimension),
        max_indexed_dimension=min(can.max_indexed_dimension, max_dimension),
        max_k=max_k,
        max_batch_points=max_batch,
    )


def model_message(model: Model, *, is_default: bool, max_tokens: int) -> collection_pb2.EmbeddingModel:
    """Writes what one model is."""
    return collection_pb2.EmbeddingModel(
        name=model.name,
        dimension=model.dimension,
        window_tokens=model.window_tokens,
        max_text_tokens=max_tokens,
        fingerprint=model.fingerprint,
        is_default=is_default,
    )


def plan_number(plan: Plan) -> search_pb2.SearchPlan.ValueType:
    """Answers a plan as the contract numbers it."""
    return search_pb2.SearchPlan.Value(f"SEARCH_PLAN_{plan.name}")


def duration(seconds: float) -> Duration:
    """Writes a time span."""
    made = Duration()
    made.FromNanoseconds(math.ceil(seconds * 1e9))
    return made
