"""`difyrpc demo`, as a newcomer sees it."""

from __future__ import annotations

import re
from pathlib import Path

import psutil
from processes import run


def test_the_demo_tells_the_whole_story_and_leaves_nothing_behind(short_folder: Path):
    folder = short_folder / "demo"
    folder.mkdir(mode=0o711)
    done = run("demo", env={"COLUMNS": "150", "TMPDIR": str(folder)})
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    for word in ("supply-agreement.pdf", "procurement-contract-zh.docx", "indexing", "searching", "grpcurl"):
        assert word in done.stdout
    for language in ("Chinese", "English"):
        found, searched = map(int, re.search(rf"(\d+) of (\d+) {language} clauses", done.stdout).groups())
        assert found >= 0.95 * searched > 30
    exposed, queried = map(int, re.search(r"shows (\d+) tokens, QueryUsage (\d+)", done.stdout).groups())
    assert exposed == queried > 1000
    assert int(re.search(r"hold (\d+) MB", done.stdout)[1]) < 800
    assert not list(folder.iterdir())
    assert not [
        one.pid for one in psutil.process_iter(["cmdline"]) if str(folder) in " ".join(one.info["cmdline"] or ())
    ]
