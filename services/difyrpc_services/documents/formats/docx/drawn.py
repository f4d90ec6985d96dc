"""What charts and diagrams in a Word document say."""

from __future__ import annotations

import re
from typing import Final

from difyrpc_services.documents.elements import Element
from difyrpc_services.documents.formats.docx.markup import attribute, slices, text_of

MOST_LABELS: Final = 500  # of a chart
_LETTERS: Final = re.compile(rb"<a:t(?:\s[^>]*)?>([^<]*)</a:t>")
_POINT: Final = re.compile(rb"<(?:c|cx):(?:v|pt)(?:\s[^>]*)?>([^<]+)<")
_UNSEEN: Final = frozenset(("pres", "parTrans", "sibTrans", "doc"))


def diagram(data: bytes) -> list[Element]:
    """Answers the texts of a diagram's data, one paragraph a node."""
    texts = []
    for own, content in slices(data, b"dgm:pt"):
        if attribute(own, "type") not in _UNSEEN:
            for _, paragraph in slices(content, b"a:p"):
                texts.append("".join(map(text_of, _LETTERS.findall(paragraph))).strip())
    return [Element(id="", kind="paragraph", text=text) for text in texts if text]


def chart(data: bytes) -> list[Element]:
    """Answers the titles, categories and names of series of a chart, as the figure that it is."""
    texts = [text_of(raw).strip() for raw in _LETTERS.findall(data)]
    for name in (b"c:tx", b"c:cat", b"cx:strDim"):
        for _, content in slices(data, name):
            texts += [text_of(raw).strip() for raw in _POINT.findall(content)]
    seen = [text for text in dict.fromkeys(texts) if text][:MOST_LABELS]
    return [Element(id="", kind="figure", text="\n".join(seen))] if seen else []
