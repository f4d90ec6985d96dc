"""An argument that cannot be sent is refused by its name, with what was given and what is possible."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from difyrpc_client import (
    Chunking,
    Dify,
    File,
    InvalidArgument,
    Observation,
    ParseOptions,
    Point,
    Query,
    field,
)
from difyrpc_client.testing import FakeDifyrpc

Use = Callable[[Dify], object]
HALF = "a\udc80"  # half of a surrogate pair: Python's, but no character


@pytest.fixture
def fake() -> FakeDifyrpc:
    return FakeDifyrpc()


@pytest.mark.parametrize(
    ("use", "named"),
    [
        (lambda dify: dify.documents.parse(None), "source=None is None; give bytes, a pathlib.Path"),
        (lambda dify: dify.documents.parse(b"x", options="fast"), "options='fast' is of type str"),
        (lambda dify: dify.documents.parse(b"x", outputs="text"), "outputs='text' is of type str; give a list"),
        (lambda dify: dify.documents.parse(b"x", outputs=[7]), "outputs=7 is of type int; give one of text,"),
        (lambda dify: dify.documents.parse(b"x", options=ParseOptions(pages="1-2")), "pages='1-2' is of type str"),
        (lambda dify: dify.documents.parse(b"x", options=ParseOptions(pages=["1-2"])), "give page numbers and pairs"),
        (lambda dify: dify.documents.parse(b"x", options=ParseOptions(max_pages="7")), "max_pages='7' does not fit"),
        (lambda dify: dify.documents.parse(b"x", options=ParseOptions(max_seconds="7")), "max_seconds='7' is of type"),
        (lambda dify: dify.documents.parse(b"x", timeout="5"), "timeout='5' is of type str; give seconds"),
        (lambda dify: dify.documents.parse(b"x", name=HALF), r"name='a\udc80' holds half a surrogate pair"),
        (lambda dify: dify.documents.split_text(HALF), r"text='a\udc80' holds half"),
        (lambda dify: dify.documents.split_text("x", chunking=Chunking(size="9")), "size='9' does not fit; give a who"),
        (lambda dify: dify.documents.split_text("x", chunking="small"), "chunking='small' is of type str"),
        (lambda dify: dify.files.get(None), "file=None is None; give a File"),
        (lambda dify: list(dify.files.list(order="foo")), "order='foo' is not one of name, created, updated, size"),
        (lambda dify: list(dify.files.list(tags="law")), "tags='law' is of type str; give a list"),
        (lambda dify: list(dify.files.list(page_size="7")), "page_size='7' does not fit; give a whole number"),
        (lambda dify: dify.files.read("files/1", limit=-(2**70)), "limit=-1180591620717411303424 does not fit"),
        (lambda dify: dify.files.read("files/1", timeout="5"), "timeout='5'"),
        (lambda dify: dify.files.upload(b"x", name="x", timeout="5"), "timeout='5'"),
        (lambda dify: dify.files.upload(b"x", name=7), "name=7 does not fit; give text"),
        (lambda dify: dify.files.upload(b"x", name="x", metadata="y"), "metadata='y' is of type str; give a mapping"),
        (lambda dify: dify.files.upload(b"x", name="x", metadata={"y": HALF}), r"metadata['y']='a\udc80' holds half"),
        (lambda dify: dify.files.upload(b"x", name="x", metadata={7: "y"}), "metadata={7:"),
        (
            lambda dify: dify.files.upload(b"x", name="x", expire_time="2030"),
            "expire_time='2030' is of type str; give a",
        ),
        (lambda dify: dify.files.update("files/1", expire_time="2030"), "expire_time='2030'"),
        (
            lambda dify: dify.vectors.search("c", "x", filter="year>2021"),
            "filter='year>2021' is of type str; give a fi",
        ),
        (lambda dify: dify.vectors.search("c", "x", limit=-(2**40)), "limit=-1099511627776 does not fit; give a whole"),
        (lambda dify: dify.vectors.search("c", "x", limit="5"), "limit='5' does not fit"),
        (lambda dify: dify.vectors.search("c", "x", threshold="0.5"), "threshold='0.5' does not fit; give a number"),
        (lambda dify: dify.vectors.search("c", HALF), r"query='a\udc80' holds half"),
        (lambda dify: dify.vectors.search("c", 7), "query=7 does not fit; give text"),
        (lambda dify: dify.vectors.search("c", vector="late"), "vector='late' is of type str; give numbers"),
        (lambda dify: dify.vectors.batch_search("c", "late"), "queries='late' is of type str; give a list"),
        (lambda dify: dify.vectors.batch_search("c", [Query(query="x", limit="5")]), "limit='5'"),
        (lambda dify: dify.vectors.upsert("c", [("a", HALF)]), r"text='a\udc80' holds half"),
        (lambda dify: dify.vectors.upsert("c", [Point(id=7, text="x")]), "id=7 does not fit; give text"),
        (lambda dify: dify.vectors.get("c", "abc"), "ids='abc' is of type str"),
        (lambda dify: dify.vectors.delete("c", ids="abc"), "ids='abc' is of type str; give a list"),
        (lambda dify: dify.vectors.embed("late", purpose="query"), "texts='late' is of type str; give a list"),
        (lambda dify: dify.vectors.create_collection(7), "name=7 is of type int; give the collection's name"),
        (lambda dify: dify.vectors.create_collection("c", dimension="7"), "dimension='7' does not fit"),
        (lambda dify: dify.vectors.search("c", "x", filter=field("a").is_in("tax")), "values='tax' is of type str"),
        (lambda dify: dify.metrics.record([Observation()]), "observation=[Observation("),
        (lambda dify: dify.metrics.record(Observation(input_tokens="7")), "input_tokens='7' does not fit"),
        (lambda dify: dify.metrics.record(Observation(time="now")), "time='now' is of type str; give a datetime"),
        (lambda dify: dify.metrics.query_usage(group_by="model"), "group_by='model' is of type str; give a list"),
        (lambda dify: dify.metrics.query_usage(step=7), "step=7 is of type int; give a timedelta or hour"),
        (lambda dify: dify.metrics.query_usage(step=timedelta.max, limit="x"), "limit='x' does not fit"),
    ],
)
def test_a_wrong_argument_is_named_and_nothing_is_sent(fake, use: Use, named: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        use(fake)
    assert named in str(caught.value)
    assert fake.calls == []


def test_a_password_is_never_shown(fake) -> None:
    with pytest.raises(InvalidArgument, match="password does not fit; give text") as caught:
        fake.documents.parse(b"x", options=ParseOptions(password=b"\xff secret"))
    assert "secret" not in str(caught.value)


def test_a_long_value_is_cut(fake) -> None:
    with pytest.raises(InvalidArgument) as caught:
        fake.vectors.search("c", HALF + "x" * 1000)
    assert len(str(caught.value)) < 200


def test_lists_may_be_any_iterable(fake) -> None:
    assert fake.files.upload(b"x", name="x", tags=(tag for tag in "ab")).tags == ("a", "b")
    assert isinstance(fake.files.copy(next(fake.files.list(tags={"a"})), name="y", tags=["c"]), File)


def test_a_text_in_the_place_of_the_collection_is_understood(fake) -> None:
    with pytest.raises(InvalidArgument) as caught:
        fake.vectors.search("late payment")
    assert "'late payment' was taken as the collection" in str(caught.value)
    assert """search("default", 'late payment')""" in str(caught.value)


def test_a_writer_drops_what_it_can_never_send(fake) -> None:
    with fake.metrics.writer() as writer:
        with pytest.raises(InvalidArgument):
            writer.add([Observation(model="a")])
        writer.add(Observation(model="a", input_tokens="7"))
        with pytest.raises(InvalidArgument, match="input_tokens"):
            writer.flush()
        writer.add(Observation(model="a"))
    assert fake.metrics.query_usage().total.calls == 1
