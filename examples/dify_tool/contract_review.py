"""Two functions of a Dify tool: a contract becomes clauses, a clause finds precedents.

`from difyrpc_client import connect` is all that a plugin's tool needs; where the services are and which key to use
comes from the environment (DIFYRPC_TARGET, DIFYRPC_TOKEN). Channels are pooled in the process, so connecting in every
call costs nothing.
"""

from __future__ import annotations

from typing import Any

from difyrpc_client import NotFound, connect


def extract_clauses(contract: bytes, name: str = "contract.pdf") -> list[dict[str, Any]]:
    """Answers the clauses of a contract as plain dictionaries, which Dify hands on as JSON."""
    with connect(timeout=60) as dify:
        parsed = dify.documents.parse(contract, name=name)
    return [
        {"number": clause.number, "title": clause.title, "text": clause.text, "pages": list(clause.pages)}
        for clause in parsed.clauses
    ]


def find_precedents(clause: str, collection: str = "precedents", limit: int = 5) -> list[dict[str, Any]]:
    """Answers the precedents that are nearest in meaning, best first; none if nothing was indexed yet."""
    with connect(timeout=15) as dify:
        try:
            hits = dify.vectors.search(collection, clause, limit=limit)
        except NotFound:
            return []
    return [{"case_id": hit.case_id, "score": round(hit.score, 3), "text": hit.text} for hit in hits]
