"""Generates `generated/difyrpc` from `protos/` with grpcio-tools: no network, no buf.

With `--check` it writes nothing and exits 1 if `generated/` is not what the protos say.
"""

from __future__ import annotations

import argparse
import filecmp
import shutil
import sys
import tempfile
from importlib.metadata import distribution
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
GENERATED = ROOT / "generated"
IMPORTS = ROOT / "build" / "proto-imports"
OUTPUTS = ("--python_out", "--grpc_python_out", "--mypy_out=quiet", "--mypy_grpc_out=quiet")
BIN = Path(sys.executable).parent  # where pip put mypy-protobuf's plugins
PLUGINS = [f"--plugin={name}={BIN / name}" for name in ("protoc-gen-mypy", "protoc-gen-mypy_grpc")]


def main() -> int:
    """Writes or checks the generated code; answers the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare only, write nothing")
    check = parser.parse_args().check
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder) / "generated"  # its mode is that of any new folder, unlike the temporary one's
        fresh.mkdir()
        generate(fresh)
        if check:
            return report(differences(fresh / "difyrpc", GENERATED / "difyrpc"))
        shutil.rmtree(GENERATED, ignore_errors=True)
        shutil.copytree(fresh, GENERATED)
    return 0


def generate(target: Path) -> None:
    """Runs protoc over every .proto and adds the package files that protoc does not write."""
    sources = sorted(str(path.relative_to(PROTOS)) for path in PROTOS.rglob("*.proto"))
    outputs = [f"{flag}:{target}" if "=" in flag else f"{flag}={target}" for flag in OUTPUTS]
    wellknown = files("grpc_tools") / "_proto"
    status = protoc.main(["protoc", f"-I{PROTOS}", f"-I{wellknown}", f"-I{imports()}", *PLUGINS, *outputs, *sources])
    if status:
        raise SystemExit(f"protoc ended with status {status}")
    for folder in [target / "difyrpc", *(path for path in (target / "difyrpc").rglob("*") if path.is_dir())]:
        (folder / "__init__.py").touch()
    (target / "difyrpc" / "__init__.py").write_text('"""The contracts of difyrpc, generated from protos/."""\n')
    (target / "difyrpc" / "py.typed").touch()


def imports() -> Path:
    """Copies google/rpc and google/api protos out of the googleapis-common-protos wheel; answers the folder."""
    package = distribution("googleapis-common-protos")
    for file in package.files or ():
        if file.suffix == ".proto" and file.parts[:2] in {("google", "rpc"), ("google", "api")}:
            target = IMPORTS / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(str(package.locate_file(file)), target)
    return IMPORTS


def differences(fresh: Path, committed: Path) -> list[str]:
    """Answers the files that are missing, superfluous or different, as paths under generated/."""
    names = {path.relative_to(fresh) for path in fresh.rglob("*") if path.is_file()}
    names |= {
        path.relative_to(committed)
        for path in committed.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    return sorted(str(name) for name in names if not same(fresh / name, committed / name))


def same(one: Path, other: Path) -> bool:
    """Answers whether both files exist and hold the same bytes."""
    return one.is_file() and other.is_file() and filecmp.cmp(one, other, shallow=False)


def report(changed: list[str]) -> int:
    """Prints what differs and how to mend it."""
    for name in changed:
        print(f"generated/difyrpc/{name} is not what protos/ say")
    if changed:
        print("run: make protos")
    return 1 if changed else 0


if __name__ == "__main__":
    sys.exit(main())
