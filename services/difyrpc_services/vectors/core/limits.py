"""How much one call may ask for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from difyrpc_services.runtime.errors import InvalidArgument
from difyrpc_services.vectors.core.embedding import Text
from difyrpc_services.vectors.core.metadata import check_text


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The operator's limits; each is a setting `DIFYRPC_VECTORS_…` of the same name."""

    max_k: int = 1000
    max_batch: int = 1000
    max_searches: int = 100
    max_embed_texts: int = 256
    max_dimension: int = 4096
    max_text_bytes: int = 65_536


DEFAULT_K = 10
DEFAULT_PAGE = 100
MAX_PAGE = 1000
MAX_IDS = 1000


def page_size(given: int) -> int:
    """Answers the size of a page: 100 for 0, never above 1,000; InvalidArgument below 0."""
    if given < 0:
        raise InvalidArgument(
            "PAGE_SIZE_INVALID", "page_size is {page_size}, below 0", field="page_size", page_size=given
        )
    return min(given or DEFAULT_PAGE, MAX_PAGE)


def hit_count(given: int | None, limits: Limits) -> int:
    """Answers the `k` of a search: 10 if unset."""
    k = DEFAULT_K if given is None else given
    if not 1 <= k <= limits.max_k:
        raise InvalidArgument("K_OUT_OF_RANGE", "k is {k}; it may be 1 to {limit}", field="k", k=k, limit=limits.max_k)
    return k


def check_searches(count: int, limits: Limits) -> None:
    """Refuses a batch without searches, or with too many."""
    _check_count(count, limits.max_searches, "searches")


def texts_to_embed(texts: Sequence[str], limits: Limits) -> list[Text]:
    """Answers the texts with their places; InvalidArgument for none, too many, or one that is too long."""
    _check_count(len(texts), limits.max_embed_texts, "texts")
    found = [Text(text=text, path=f"texts[{index}]") for index, text in enumerate(texts)]
    for one in found:
        check_text(one.text, path=one.path, limit=limits.max_text_bytes)
    return found


def _check_count(count: int, limit: int, path: str) -> None:
    if not 1 <= count <= limit:
        raise InvalidArgument(
            "COUNT_OUT_OF_RANGE",
            "{count} {field_name}; it may be 1 to {limit}",
            field=path,
            count=count,
            field_name=path,
            limit=limit,
        )
