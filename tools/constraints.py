"""Renew constraints.txt: install the newest versions that pyproject.toml admits and write down what came.

    python3 tools/constraints.py [--keep NAME ...]

torch keeps its pin unless `--renew-torch` is given, because a newer one can bring gigabytes of CUDA libraries.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / "constraints.txt"
HEADER = "# Exact versions of everything that is installed. Renew with `make constraints`, then `make check test`.\n"


def kept(names: list[str]) -> list[str]:
    """The present lines of the named packages."""
    lines = CONSTRAINTS.read_text(encoding="utf-8").splitlines() if CONSTRAINTS.exists() else []
    return [line for line in lines if line.split("==")[0] in names]


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
            [*pip, "install", "--constraint", str(keep), f"{ROOT}[starter]", "--group", f"{ROOT}/pyproject.toml:dev"],
            check=True,
        )
        frozen = subprocess.run([*pip, "freeze", "--all"], check=True, capture_output=True, text=True).stdout
    lines = [line for line in frozen.splitlines() if "==" in line and not line.startswith("parley-bot")]
    CONSTRAINTS.write_text(HEADER + "\n".join(lines) + "\n", encoding="utf-8")
    print(f"wrote {len(lines)} versions to {CONSTRAINTS.name}")


if __name__ == "__main__":
    main()
