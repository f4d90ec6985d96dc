"""The same two functions over generated stubs, for code that has them: only the imports and the channel are new.

A plain `grpc.insecure_channel(target)` works as well where authentication is off.
"""

from __future__ import annotations

from difyrpc.documents.v1.documents_pb2 import ParseRequest
from difyrpc.documents.v1.documents_pb2_grpc import DocumentParserStub
from difyrpc.vectors.v1.vectors_pb2 import SearchRequest
from difyrpc.vectors.v1.vectors_pb2_grpc import VectorSearchStub
from difyrpc_client import channel


def clause_titles(contract: bytes, target: str = "localhost:50051") -> list[str]:
    """Answers number and title of each clause."""
    parser = DocumentParserStub(channel(target))
    clauses = parser.Parse(ParseRequest(content=contract), timeout=10).clauses
    return [f"{clause.number} {clause.title}".strip() for clause in clauses]


def precedent_ids(query: str, target: str = "localhost:50051", k: int = 5) -> list[str]:
    """Answers the ids of the nearest precedents of the collection `default`."""
    search = VectorSearchStub(channel(target))
    hits = search.Search(SearchRequest(query=query, k=k), timeout=15).hits
    return [hits[i].case_id for i in range(len(hits))]
