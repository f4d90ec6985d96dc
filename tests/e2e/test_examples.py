"""The code of the README and of examples/, against a running server."""

from __future__ import annotations

import json
import runpy
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from processes import Process, serve, state_folder

from difyrpc.documents.v1.documents_pb2 import ParseRequest
from difyrpc.documents.v1.documents_pb2_grpc import DocumentParserStub
from difyrpc.vectors.v1.vectors_pb2 import SearchRequest
from difyrpc.vectors.v1.vectors_pb2_grpc import VectorSearchStub
from difyrpc_client import connect

EXAMPLES = Path(__file__).parents[2] / "examples"
CONTRACT = (EXAMPLES / "contracts" / "supply-agreement.pdf").read_bytes()
CHINESE_CONTRACT = (EXAMPLES / "contracts" / "procurement-contract-zh.docx").read_bytes()


@pytest.fixture(scope="module")
def open_process() -> Iterator[Process]:
    """A server without authentication, with the precedents indexed in `precedents` and in `default`."""
    with state_folder() as state, serve(state=state, env={"DIFYRPC_AUTH": "none"}) as process:
        lines = (EXAMPLES / "precedents.jsonl").read_text().splitlines()
        points = [(one["case_id"], one["text"], {"case_id": one["case_id"]}) for one in map(json.loads, lines)]
        with connect(process.target) as dify:
            dify.vectors.create_collection("precedents")
            for collection in ("precedents", "default"):
                for first in range(0, len(points), 12):
                    dify.vectors.upsert(collection, points[first : first + 12])
        yield process


@pytest.fixture
def example(open_process: Process, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DIFYRPC_TARGET", open_process.target)
    return lambda name: runpy.run_path(str(EXAMPLES / "dify_tool" / name))


def test_the_tools_first_function_answers_clauses_as_plain_dictionaries(example):
    clauses = example("contract_review.py")["extract_clauses"](CONTRACT)
    assert len(clauses) > 40
    assert json.loads(json.dumps(clauses)) == clauses
    assert any("confidential" in clause["title"].lower() for clause in clauses)


def test_the_tools_second_function_finds_a_chinese_precedent_for_a_chinese_clause(example):
    tool = example("contract_review.py")
    clauses = tool["extract_clauses"](CHINESE_CONTRACT, "contract.docx")
    clause = next(clause for clause in clauses if "逾期" in clause["text"])
    found = tool["find_precedents"](clause["text"])
    assert len(found) == 5
    assert found[0]["case_id"].startswith("zh-")


def test_the_tools_second_function_answers_nothing_where_nothing_was_indexed(example):
    assert example("contract_review.py")["find_precedents"]("anything", collection="empty") == []


def test_existing_code_works_with_the_pooled_channel(example, open_process: Process):
    stubs = example("generated_stubs.py")
    assert stubs["clause_titles"](CONTRACT, open_process.target)
    assert stubs["precedent_ids"]("late payment of an invoice", open_process.target)[0].startswith("en-")


def test_existing_code_works_with_a_plain_channel_where_authentication_is_off(open_process: Process):
    with grpc.insecure_channel(open_process.target) as channel:
        clauses = DocumentParserStub(channel).Parse(ParseRequest(content=CONTRACT), timeout=10).clauses
        assert clauses[0].text
        hits = VectorSearchStub(channel).Search(SearchRequest(query="late delivery", k=5), timeout=15).hits
        assert len(hits) == 5
        assert hits[0].case_id


def test_the_story_of_the_architecture_runs_as_it_is_told(open_process: Process, tmp_path: Path):
    with connect(open_process.target, timeout=30) as dify:
        told = []
        file = dify.files.upload(
            EXAMPLES / "contracts" / "supply-agreement.pdf", progress=lambda sent, total: told.append((sent, total))
        )
        assert told[-1] == (len(CONTRACT), len(CONTRACT))
        parsed = dify.documents.parse(file.name)
        assert parsed.clauses
        hits = dify.vectors.search("precedents", parsed.clauses[-1].text, limit=5)
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
