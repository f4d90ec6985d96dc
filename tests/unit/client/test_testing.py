"""The fake behaves as a deployment does."""

from __future__ import annotations

import os

import pytest

from difyrpc_client import (
    Aborted,
    AlreadyExists,
    Clause,
    DocumentInfo,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    Observation,
    ParsedDocument,
    ParseWarning,
    Point,
    Query,
    Retry,
    Unavailable,
    Unimplemented,
    field,
)
from difyrpc_client._client import Dify
from difyrpc_client.testing import FakeDifyrpc

CONTENT = os.urandom(2_500_000)
TOLD = ParsedDocument(
    info=DocumentInfo(format="pdf", page_count=6, sha256="ab" * 32, metadata={"subject": "law"}),
    clauses=(Clause(id="c1", kind="article", number="1", pages=(1, 2)),),
    warnings=(ParseWarning(reason="TRUNCATED_FILE", message="cut"),),
)


@pytest.fixture
def fake() -> FakeDifyrpc:
    return FakeDifyrpc()


def test_the_fake_is_a_client(fake) -> None:
    assert isinstance(fake, Dify)
    with fake as dify:
        assert dify is fake


def test_files_are_kept_found_changed_copied_and_deleted(fake, tmp_path) -> None:
    file = fake.files.upload(CONTENT, name="a/contract.pdf", tags=["x"], metadata={"year": 2021})
    assert (file.media_type, file.size_bytes, file.generation, file.metadata) == (
        "application/pdf",
        len(CONTENT),
        1,
        {"year": 2021},
    )
    assert fake.files.read(file) == CONTENT
    assert fake.files.read(file, offset=-5, limit=3) == CONTENT[-5:-2]
    assert fake.files.download(file, tmp_path / "copy") == file
    changed = fake.files.update(file, display_name="b.pdf", tags=[], etag=file.etag)
    assert (changed.display_name, changed.tags, changed.metadata) == ("b.pdf", (), {"year": 2021})
    copy = fake.files.copy(file, name="c.pdf")
    assert (copy.sha256, copy.metadata) == (file.sha256, {"year": 2021})
    assert [one.display_name for one in fake.files.list(page_size=1)] == ["b.pdf", "c.pdf"]
    fake.files.delete(file)
    with pytest.raises(NotFound) as caught:
        fake.files.get(file)
    assert caught.value.reason == "FILE_NOT_FOUND"
    fake.files.delete(file, allow_missing=True)
    assert fake.files.quota().used_bytes == len(CONTENT)


def test_conditions_of_files_hold(fake) -> None:
    file = fake.files.upload(b"1", name="x")
    with pytest.raises(AlreadyExists):
        fake.files.upload(b"2", name="x", if_absent=True)
    with pytest.raises(FailedPrecondition):
        fake.files.upload(b"2", name="x", replace=file, if_generation_match=7)
    assert fake.files.upload(b"2", name="x", replace=file, if_generation_match=1).generation == 2
    assert fake.files.read(file.name) == b"2"
    with pytest.raises(InvalidArgument):
        fake.files.upload(b"2")


def test_parsing_answers_what_it_was_told(fake) -> None:
    fake.tell_parse(TOLD, source="contract.pdf")
    assert fake.documents.parse(b"%PDF", name="contract.pdf") == TOLD
    assert fake.documents.parse(bytes(4_000_000), name="contract.pdf") == TOLD
    assert fake.documents.parse(b"text").info.format == "text"
    fake.tell_parse(TOLD)
    assert fake.documents.parse(b"anything") == TOLD


def test_parsing_reads_plain_text_where_it_was_told_nothing(fake) -> None:
    text = "Preamble\n\nArticle 1 Delivery\nThe seller delivers.\n\n第二条 价款\n"
    file = fake.files.upload(text.encode(), name="x.txt")
    parsed = fake.documents.parse(file, outputs=["clauses", "chunks", "elements"])
    assert [(clause.number, clause.title) for clause in parsed.clauses] == [
        ("Article 1", "Delivery"),
        ("第二条", "价款"),
    ]
    assert (len(parsed.chunks), len(parsed.elements), parsed.text) == (3, 3, "")
    with pytest.raises(InvalidArgument):
        fake.documents.parse(b"")


def test_searching_finds_the_same_words_first(fake) -> None:
    fake.vectors.create_collection("law")
    fake.vectors.create_collection("law", exist_ok=True)
    with pytest.raises(AlreadyExists):
        fake.vectors.create_collection("law")
    points = [("a", "liability for late delivery", {"year": 2021}), ("b", "price and payment"), ("c", "迟延交付的责任")]
    assert fake.vectors.upsert("law", points).count == 3
    assert fake.vectors.search("law", "late delivery")[0].id == "a"
    assert fake.vectors.search("law", "交付责任")[0].id == "c"
    assert [hit.id for hit in fake.vectors.search("law", "price", filter=field("year") > 2000)] == ["a"]
    assert fake.vectors.search("law", "price", threshold=0.5).hits[0].case_id == "b"
    outcomes = fake.vectors.batch_search("law", ["price", Query(query="x", limit=0)])
    assert [type(one).__name__ for one in outcomes] == ["SearchResult", "InvalidArgument"]
    with pytest.raises(NotFound):
        fake.vectors.search("none", "x")


def test_points_are_listed_counted_changed_and_deleted(fake) -> None:
    fake.vectors.upsert("default", [Point(id=str(number), text="x", metadata={"n": number}) for number in range(5)])
    assert [point.id for point in fake.vectors.scroll("default", page_size=2)] == ["0", "1", "2", "3", "4"]
    assert fake.vectors.count("default", filter=field("n") >= 3) == 2
    assert fake.vectors.update_metadata("default", ids=["0"], set={"m": 1}, remove=["n"]) == 1
    assert fake.vectors.get("default", ["0", "none"])[0].metadata == {"m": 1}
    assert len(fake.vectors.get("default", ["1"], with_vectors=True)[0].vector) == 256
    assert fake.vectors.delete("default", filter=field("n").exists()) == 4
    assert fake.vectors.count("default") == 1
    assert fake.vectors.embed(["a", "b"], purpose="query").dimension == 256
    assert [one.name for one in fake.vectors.list_collections()] == ["collections/default"]
    fake.vectors.delete_collection("default")


@pytest.mark.parametrize(
    ("condition", "ids"),
    [
        (field("a") == 5.0, "i"),
        (field("a") != 5, "snlm"),
        (~(field("a") > 1), "snlm"),
        (field("a").is_in([5, "5"]), "is"),
        (field("a").contains("5"), "s"),
        (field("a").contains(7), "l"),
        (field("a") == None, "n"),  # noqa: E711  # a filter, not a test
        (field("a").exists(), "isnl"),
        (field("a").empty(), "nm"),
        ((field("a") == 5) | field("a").starts_with("5"), "is"),
    ],
)
def test_filters_mean_what_the_contract_says(fake, condition, ids: str) -> None:
    values = {"i": {"a": 5}, "s": {"a": "5"}, "n": {"a": None}, "l": {"a": [7]}, "m": {}}
    fake.vectors.upsert("default", [(key, "x", metadata) for key, metadata in values.items()])
    assert {point.id for point in fake.vectors.scroll("default", filter=condition)} == set(ids)


def test_usage_is_summed(fake) -> None:
    with fake.metrics.writer() as writer:
        writer.add(Observation(model="a", input_tokens=3, seconds=1), Observation(model="a", seconds=3))
        writer.add(Observation(model="b", error_type="timeout"))
    report = fake.metrics.query_usage(group_by=["model"])
    assert [(series.labels, series.total.calls) for series in report.series] == [(("a",), 2), (("b",), 1)]
    assert (report.total.errors, report.total.tokens.input, report.total.duration.sum) == (1, 3, 4)
    assert fake.metrics.query_usage(where={"status": "error"}).total.calls == 1
    with pytest.raises(Unimplemented):
        fake.metrics.query_usage(step="day")


def test_failures_are_raised_as_told_and_repeated_by_the_client(fake) -> None:
    fake.fail("vectors.Search", Unavailable("later", retry_after=2), times=2)
    fake.vectors.search("default", "x")
    assert [call.name for call in fake.calls] == ["vectors.Search"] * 3
    assert all(2 <= wait <= 2.2 for wait in fake.waits)
    fake.fail("vectors.Search", NotFound("gone", reason="COLLECTION_NOT_FOUND"))
    with pytest.raises(NotFound) as caught:
        fake.vectors.search("default", "x")
    assert caught.value.request_id == fake.calls[-1].metadata["x-request-id"]


@pytest.mark.parametrize("name", ["vectors.Search", "vectors.search", "VectorSearch.Search", "vectorsearch.search"])
def test_a_call_that_shall_fail_may_be_named_in_several_ways(fake, name: str) -> None:
    fake.fail(name, NotFound("gone"))
    with pytest.raises(NotFound, match="gone"):
        fake.vectors.search("default", "x")


@pytest.mark.parametrize(("name", "choice"), [("vectors.find", "vectors.Search"), ("nonsense", "files.GetFile")])
def test_a_call_that_there_is_not_cannot_fail(fake, name: str, choice: str) -> None:
    with pytest.raises(ValueError, match=f"there is no call '{name}'; there are .*{choice}"):
        fake.fail(name, NotFound("gone"))


def test_a_collection_is_changed(fake) -> None:
    made = fake.vectors.create_collection("law", description="old", metadata={"a": 1})
    changed = fake.vectors.update_collection("law", description="new", etag=made.etag)
    assert (changed.description, changed.metadata, changed.dimension) == ("new", {"a": 1}, made.dimension)
    assert fake.vectors.update_collection("law", metadata=None).metadata == {}
    with pytest.raises(Aborted):
        fake.vectors.update_collection("law", description="x", etag=made.etag)


async def test_engines_and_models_are_values(fake) -> None:
    found = fake.vectors.list_engines()
    assert (found.engines[0].kind, found.engines[0].features) == ("memory", ("dense", "exact_search"))
    assert (found.models[0].dimension, found.models[0].is_default) == (256, True)
    assert await fake.asynchronous.vectors.list_engines() == found
    law = await fake.asynchronous.vectors.update_collection("default", description="law")
    assert law.description == "law"


def test_a_failure_in_the_middle_of_an_upload_is_gone_on_from(fake) -> None:
    fake.fail("files.WriteUpload", Unavailable("broken"))
    assert fake.files.read(fake.files.upload(CONTENT, name="x")) == CONTENT
    assert "files.QueryUpload" in [call.name for call in fake.calls]


def test_calls_say_what_was_asked() -> None:
    fake = FakeDifyrpc(token="t", timeout=7, retry=Retry(attempts=1))
    fake.vectors.search("default", "late", limit=3)
    call = fake.calls[0]
    assert (call.request["query"], call.request["k"], call.timeout) == ("late", 3, 7)
    assert call.metadata["authorization"] == "Bearer t"


def test_what_the_fake_does_not_have_is_unimplemented(fake) -> None:
    with pytest.raises(Unimplemented, match="RenderPage"):
        fake.documents.render_page(b"x")


async def test_the_asynchronous_twin_shares_the_state(fake) -> None:
    file = fake.files.upload(b"abc", name="x")
    async with fake.asynchronous as twin:
        assert await twin.files.read(file) == b"abc"
        assert [one.name async for one in twin.files.list()] == [file.name]
        fake.fail("files.GetFile", Unavailable("x"))
        assert (await twin.files.get(file)) == file
    assert len(fake.waits) == 1
