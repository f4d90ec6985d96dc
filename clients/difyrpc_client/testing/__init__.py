"""A difyrpc in memory, for the tests of those who call it.

    def test_my_tool():
        fake = FakeDifyrpc()
        fake.tell_parse(ParsedDocument(info=DocumentInfo(format="pdf"), clauses=(Clause(id="c1", kind="article"),)))
        fake.fail("vectors.Search", Unavailable("try later", retry_after=2))
        assert my_tool(fake) == …
        assert fake.calls[0].name == "documents.Parse"

It is the real client over services in memory: values, errors, repetitions, pages and resumed transfers are those of
a deployment. Nothing waits and nothing is sent. Texts are compared by their words, not by their meaning.
"""

from __future__ import annotations

from difyrpc_client.testing._fake import Call, FakeDifyrpc

__all__ = ["Call", "FakeDifyrpc"]
