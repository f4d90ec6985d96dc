"""How the tables and indexes of pgvector collections are called, and how metrics are written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import LiteralString

from psycopg import sql

from difyrpc_services.vectors.core.values import Collection, Metric

MAX_INDEXED_DIMENSION = 2000  # pgvector's HNSW over `vector`


@dataclass(frozen=True)
class Measure:
    """A metric in pgvector's words."""

    operator: LiteralString
    operator_class: str
    factor: float
    offset: float

    def measured(self, raw: float) -> float:
        """Answers the similarity (COSINE, DOT) or distance (EUCLIDEAN) out of what the operator gives."""
        return self.offset + self.factor * raw


MEASURES = {
    Metric.COSINE: Measure("<=>", "vector_cosine_ops", -1.0, 1.0),
    Metric.DOT: Measure("<#>", "vector_ip_ops", -1.0, 0.0),
    Metric.EUCLIDEAN: Measure("<->", "vector_l2_ops", 1.0, 0.0),
}


def table(collection: Collection) -> sql.Identifier:
    """Answers the name of a collection's table."""
    return sql.Identifier(table_name(collection.key))


def table_name(key: int) -> str:
    """Answers the name of the table of the collection with this number."""
    return f"vectors_points_{key:d}"
