"""The code of docs/cookbook.md and docs/chunking.md, block after block, as its reader would run it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from processes import Process

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/cookbook.md").read_text()
PART = re.compile(r"^## (.+?)$|^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
BLOCKS = PART.findall(PAGE)


def _named() -> list[tuple[str, str]]:
    named, heading = [], ""
    for title, block in [("Chunks", ""), *PART.findall((ROOT / "docs/chunking.md").read_text()), *BLOCKS]:
        heading = title or heading
        if block:
            named.append((heading, block))
    return named


@pytest.mark.parametrize("block", [pytest.param(block, id=name) for name, block in _named()])
def test_a_block_runs_as_it_stands(block: str, process: Process, tmp_path: Path) -> None:
    shutil.copy(ROOT / "examples/contracts/supply-agreement.pdf", tmp_path / "contract.pdf")
    env = {"DIFYRPC_TARGET": process.target, "DIFYRPC_TOKEN": process.token, "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", block], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=100
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_every_section_is_in_the_list_of_contents() -> None:
    linked = set(re.findall(r"\]\(#([a-z0-9-]+)\)", PAGE))
    titles = {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title, _ in BLOCKS if title}
    assert linked == titles
