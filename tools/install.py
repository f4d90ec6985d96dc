"""Makes the virtual environment that the Makefile uses and installs the project into it, telling what it does.

Runs on the system's Python with nothing installed. `--group dev` adds what the checks and tests need, `--group bench`
the peers that benchmarks measure against as well.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST = (3, 11)


def main() -> int:
    """Makes, installs and reports; answers the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the virtual environment lies")
    parser.add_argument("--group", default="", help="a dependency group of pyproject.toml to install too")
    options = parser.parse_args()
    if sys.version_info < OLDEST:
        print(f"Python {sys.version.split()[0]} is too old: difyrpc needs 3.11 or newer; try make PYTHON=python3.12")
        return 1
    started = time.monotonic()
    python = options.folder / "bin" / "python"
    if not python.exists():
        print(f"Making a virtual environment in {options.folder} …", flush=True)
        venv.create(options.folder, with_pip=True)
    print("Installing difyrpc with all its services: 164 MB to download, 390 MB on disk …", flush=True)
    install(python, group=options.group)
    megabytes = sum(file.stat().st_size for file in options.folder.rglob("*") if file.is_file()) / 1e6
    print(f"Installed in {time.monotonic() - started:.0f} s; {options.folder} holds {megabytes:.0f} MB.", flush=True)
    return 0


def install(python: Path, *, group: str) -> None:
    """Installs in one pip command, so that every pin is honoured together; pip shows its progress bars."""
    pip = [str(python), "-m", "pip", "--disable-pip-version-check"]
    if group:  # dependency groups came with pip 25.1
        subprocess.run([*pip, "install", "--quiet", "pip>=25.1"], check=True)
    extra = ["--group", f"{ROOT / 'pyproject.toml'}:{group}"] if group else []
    loud = [] if sys.stdout.isatty() else ["--quiet"]
    subprocess.run([*pip, "install", *loud, "--editable", f"{ROOT}[all]", *extra], check=True)


if __name__ == "__main__":
    sys.exit(main())
