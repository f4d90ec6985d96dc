"""Writes docs/settings.md from the settings' own dataclasses and docstrings.

With `--check` it writes nothing and exits 1 if the page is not what the code says.
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SERVICES = ROOT / "services" / "difyrpc_services"
PAGE = ROOT / "docs" / "settings.md"
HEAD = """# Settings

Every setting of `difyrpc serve` is an environment variable. This page is written by `make settings` from the code.
A secret may also be given as a file: `NAME_FILE=/run/secrets/x`. An empty value counts as unset. `difyrpc doctor`
checks them all and finds misspelt ones.
"""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One row."""

    variable: str
    default: str
    meaning: str


def main() -> int:
    """Writes or checks the page; answers the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare only, write nothing")
    page = render()
    if not parser.parse_args().check:
        PAGE.write_text(page)
        return 0
    if PAGE.exists() and PAGE.read_text() == page:
        return 0
    print("docs/settings.md is not what the code says; run: make settings")
    return 1


def render() -> str:
    """Answers the page."""
    parts = [HEAD]
    for title, settings in sections():
        rows = [f"| `{setting.variable}` | {setting.default} | {setting.meaning} |" for setting in settings]
        parts.append("\n".join([f"\n## {title}\n", "| variable | default | meaning |", "| --- | --- | --- |", *rows]))
    return "\n".join(parts) + "\n"


def sections() -> Iterator[tuple[str, list[Setting]]]:
    """Yields the settings of each dataclass, the runtime's first."""
    for file in sorted(SERVICES.rglob("*.py"), key=place):
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.ClassDef) and node.name.endswith("Settings"):
                settings = list(rows(node, prefix_of(file, node)))
                if settings:
                    yield title_of(file, node), settings


def place(file: Path) -> tuple[bool, bool, Path]:
    """Answers what sections are ordered by: the server, the rest of the runtime, the services."""
    return file.name != "server.py", "runtime" not in file.parts, file


def title_of(file: Path, node: ast.ClassDef) -> str:
    """Answers a heading: the service's name, or what the class is about."""
    service = file.relative_to(SERVICES).parts[0]
    first = (ast.get_docstring(node) or node.name).splitlines()[0].rstrip(".")
    return f"{service}: {first}" if service != "runtime" else first


def prefix_of(file: Path, node: ast.ClassDef) -> str:
    """Answers the prefix that the class hands to `read`: a literal, or the module's PREFIX."""
    for call in (found for found in ast.walk(node) if isinstance(found, ast.Call)):
        for keyword in call.keywords:
            if keyword.arg == "prefix":
                text = ast.unparse(keyword.value)
                return str(ast.literal_eval(text)) if isinstance(keyword.value, ast.Constant) else constant(file, text)
    raise SystemExit(f"{file}: {node.name} names no prefix")


def constant(file: Path, name: str) -> str:
    """Answers a constant text of a module."""
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return str(ast.literal_eval(node.value))
    raise SystemExit(f"{file}: there is no {name}")


def rows(node: ast.ClassDef, prefix: str) -> Iterator[Setting]:
    """Yields a row a field; a field without a docstring ends the program."""
    for statement, following in pairwise([*node.body, None]):
        if isinstance(statement, ast.AnnAssign):
            name = ast.unparse(statement.target)
            if not (isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)):
                raise SystemExit(f"{node.name}.{name} has no docstring")
            meaning = " ".join(str(following.value.value).split()).replace("|", "\\|").replace("<", "&lt;")
            yield Setting(variable=prefix + name.upper(), default=default_of(statement), meaning=meaning)


def default_of(statement: ast.AnnAssign) -> str:
    """Answers a field's default as a person writes it."""
    value = statement.value
    if isinstance(value, ast.Call):
        if ast.unparse(value.func) == "secret":
            return "secret"
        value = value.args[-1]
    default = eval(compile(ast.Expression(value), "default", "eval")) if value is not None else None  # our own source
    if default is None or default in ((), ""):
        return ""
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


if __name__ == "__main__":
    sys.exit(main())
