"""How much one call may ask for."""

from __future__ import annotations

from dataclasses import dataclass

from difyrpc_services.runtime.errors import InvalidArgument


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
