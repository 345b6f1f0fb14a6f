"""Renew constraints.txt: install the newest versions that pyproject.toml admits and write down what came.

    python3 tools/constraints.py [--keep NAME ...]

torch keeps its pin unless `--renew-torch` is given, because a newer one can bring gigabytes of
CUDA.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from install import llama_cmake_args  # type: ignore[import-not-found]  # beside this script

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / "constraints.txt"
HEADER = "# Exact versions of all that is installed. Renew with `make constraints`, then `make check test`.\n"


def kept(names: list[str]) -> list[str]:
    """The present lines of the named packages."""
    lines = CONSTRAINTS.read_text(encoding="utf-8").splitlines() if CONSTRAINTS.exists() else []
    return [line for line in lines if line.split("==")[0] in names]


def canonical(line: str) -> str:
    """`Some_Package==1.0+cpu` → `some-package==1.0`: name and version as they are published."""
    name, version = line.split("==")
    return f"{re.sub(r'[-_.]+', '-', name).lower()}=={version.partition('+')[0]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep", nargs="*", default=[], metavar="NAME", help="packages whose pin stays")
    parser.add_argument("--renew-torch", action="store_true")
    args = parser.parse_args()
    names = [*args.keep, *([] if args.renew_torch else ["torch"])]

    with tempfile.TemporaryDirectory(prefix="parley-constraints-") as folder:
        keep = Path(folder) / "keep.txt"
        keep.write_text("\n".join(kept(names)), encoding="utf-8")
        subprocess.run([sys.executable, "-m", "venv", f"{folder}/venv"], check=True)
        pip = [f"{folder}/venv/bin/python", "-m", "pip", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", "--upgrade", "pip"], check=True)
        for requirement in kept(names):
            subprocess.run([*pip, "install", requirement], check=True)
        subprocess.run(
            [
                *pip,
                "install",
                "--constraint",
                str(keep),
                f"{ROOT}[starter,postgres]",
                "--group",
                f"{ROOT}/pyproject.toml:dev",
            ],
            check=True,
            # pip keeps the compiled wheel: it must be the one that `make chat` would build.
            env={**os.environ, "CMAKE_ARGS": llama_cmake_args()},
        )
        frozen = subprocess.run([*pip, "freeze", "--all"], check=True, capture_output=True, text=True).stdout
    lines = [canonical(line) for line in frozen.splitlines() if "==" in line]
    CONSTRAINTS.write_text(HEADER + "\n".join(lines) + "\n", encoding="utf-8")
    print(f"wrote {len(lines)} versions to {CONSTRAINTS.name}")


if __name__ == "__main__":
    main()
