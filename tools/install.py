"""Make the virtual environment and install Parley in it, saying what is being waited for.

    python3 tools/install.py VENV [--dev]

Only the standard library: it runs before anything is installed. `make chat` and `make test` call it.

llama.cpp is compiled from source, once (pip keeps the wheel). Compiled by GCC for a CPU with AMX it dies with
an illegal instruction at the first matrix product, so the AMX parts are left out there: see `llama_cmake_args`.
Anything in the environment's CMAKE_ARGS (`-DGGML_CUDA=on`, `-DGGML_METAL=on`, …) is passed on.
"""

import argparse
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / "constraints.txt"
NO_AMX = "-mno-amx-tile -mno-amx-int8 -mno-amx-bf16"
SAY_EVERY = 15  # seconds


def say(text: str) -> None:
    print(f"parley: {text}", flush=True)


def compiler_emits_amx(compiler: str) -> bool:
    """Whether this compiler, building for this CPU, is GCC and would use AMX (Clang is not known to fail)."""
    try:
        macros = subprocess.run(
            [compiler, "-march=native", "-dM", "-E", "-x", "c", os.devnull],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return False
    return "__AMX_TILE__" in macros and "__clang__" not in macros


def llama_cmake_args() -> str:
    """CMAKE_ARGS for llama-cpp-python: no image models (half the time), no AMX where it would crash."""
    args = [os.environ.get("CMAKE_ARGS", ""), "-DLLAVA_BUILD=OFF"]
    if compiler_emits_amx(os.environ.get("CC", "cc")):
        say("this CPU has AMX and the compiler is GCC: llama.cpp is compiled without AMX, which would crash")
        args += [f'-DCMAKE_C_FLAGS="{NO_AMX}"', f'-DCMAKE_CXX_FLAGS="{NO_AMX}"']
    return " ".join(filter(None, args))


def run(what: str, command: list[str | Path], **environment: str) -> None:
    """Run a command quietly, with a sign of life every few seconds; its output is shown when it fails."""
    say(f"{what} …")
    started = time.monotonic()
    done = threading.Event()

    def report() -> None:
        while not done.wait(SAY_EVERY):
            minutes, seconds = divmod(round(time.monotonic() - started), 60)
            say(f"{what} … {minutes}:{seconds:02}")

    ticker = threading.Thread(target=report, daemon=True)
    ticker.start()
    result = subprocess.run(
        [str(part) for part in command],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    done.set()
    ticker.join()
    if result.returncode:
        print(result.stdout)
        sys.exit(f"parley: {what} failed (see above); mend what it names and run the same command again")


def pinned(name: str) -> str:
    """The `name==version` line of the constraints file."""
    match = re.search(rf"^{re.escape(name)}==\S+", CONSTRAINTS.read_text(encoding="utf-8"), re.MULTILINE)
    if match is None:
        sys.exit(f"parley: {CONSTRAINTS.name} does not pin {name}; renew it with `make constraints`")
    return match.group()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("venv", type=Path)
    parser.add_argument("--dev", action="store_true", help="the tools of `make check` and `make test` too")
    args = parser.parse_args()
    if sys.version_info < (3, 11):  # noqa: UP036 - this runs on whatever Python there is
        sys.exit(
            f"parley: Python 3.11 or newer is needed, this is {sys.version.split()[0]}; set PYTHON=python3.11"
        )

    python = args.venv / "bin" / "python"
    pip: list[str | Path] = [python, "-m", "pip", "--disable-pip-version-check"]
    install: list[str | Path] = [*pip, "install", "--quiet", "--constraint", CONSTRAINTS]
    if not python.exists():
        run("making the virtual environment", [sys.executable, "-m", "venv", args.venv])
    run("upgrading pip", [*install, pinned("pip")])
    # torch first and alone: another package asking for it could bring a build with gigabytes of CUDA.
    run("installing PyTorch", [*install, pinned("torch")])
    run(
        "installing llama.cpp (compiled for this CPU the first time: 5 to 10 minutes on two cores)",
        [*install, pinned("llama-cpp-python")],
        CMAKE_ARGS=llama_cmake_args(),
    )
    target: list[str | Path] = ["--editable", f"{ROOT}[starter]"]
    if args.dev:
        target += ["--group", f"{ROOT / 'pyproject.toml'}:dev"]
    run("installing Parley and its libraries", [*install, *target])


if __name__ == "__main__":
    main()
