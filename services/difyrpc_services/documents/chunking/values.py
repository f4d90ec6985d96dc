"""What is asked of chunks and what they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Mode = Literal["general", "parent_child", "qa"]
Unit = Literal["characters", "tokens"]
Boundary = Literal["structure", "clauses", "pages", "separator"]
SIZE: Final = 1_000  # characters; options.proto, Chunking.size
SIZE_TOKENS: Final = 500  # options.proto, Chunking.size


@dataclass(frozen=True, kw_only=True)
class Chunking:
    """How text is cut."""

    mode: Mode = "general"
    unit: Unit = "characters"
    """What `size`, `overlap` and `child_size` are counted in."""
    size: int = SIZE
    """Greatest length of a chunk, the titles before it included."""
    overlap: int = 0
    """How much of the end of a chunk the next one repeats; in mode parent_child of a child."""
    tokenizer: str = ""
    """Counts tokens; needed for the unit tokens."""
    boundary: Boundary = "structure"
    separator: str = ""
    prepend_headings: bool = False
    whole_document: bool = False
    """In mode parent_child: one parent, the whole document."""
    child_size: int = SIZE // 5
    child_separator: str = ""
    """In mode parent_child: text that ends a child; empty = children follow sentences."""
    collapse_spaces: bool = False
    remove_contacts: bool = False


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """A piece of text for retrieval."""

    id: str
    text: str
    """In mode qa, the question."""
    heading_path: tuple[str, ...] = ()
    pages: tuple[int, ...] = ()
    element_ids: tuple[str, ...] = ()
    clause_ids: tuple[str, ...] = ()
    parent_id: str = ""
    tokens: int = 0
    """Length of `text` in tokens; 0 = no tokenizer was asked for."""
    answer: str = ""
    """In mode qa, the answer."""
