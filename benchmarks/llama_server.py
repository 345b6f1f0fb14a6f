"""llama.cpp's own server, to be measured beside Parley's: found, or built from the source Parley is built from.

    python -m benchmarks.llama_server --build FOLDER

llama-cpp-python's source package carries the whole of llama.cpp. The version that is installed is fetched from the
package index and its server compiled for this CPU (or, with CMAKE_ARGS=-DGGML_CUDA=on, for this GPU), so that both
servers run the same llama.cpp. That takes 10 to 20 minutes on two cores and a gigabyte of disk. The web page of the
server, which would have to be downloaded, is left out.
"""

import argparse
import os
import shlex
import shutil
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path

from tools.install import NO_AMX, compiler_emits_amx, run

NAME = "llama-server"
_PACKAGE = "llama-cpp-python"
_OPTIONS = [
    "-DCMAKE_BUILD_TYPE=Release",
    "-DBUILD_SHARED_LIBS=OFF",
    "-DLLAMA_BUILD_SERVER=ON",
    "-DLLAMA_BUILD_TESTS=OFF",
    "-DLLAMA_BUILD_EXAMPLES=OFF",
    "-DLLAMA_BUILD_APP=OFF",
    "-DLLAMA_BUILD_UI=OFF",
    "-DLLAMA_USE_PREBUILT_UI=OFF",
    "-DLLAMA_OPENSSL=OFF",
]


def find(given: Path | None = None) -> Path:
    """The program: the given one, or the one in PATH. Exits with how to build it when there is none."""
    if given is not None:
        if not os.access(given, os.X_OK) or given.is_dir():
            sys.exit(f"{given} is not a program: give --llama-server the path of {NAME} itself.")
        return given.resolve()
    found = shutil.which(NAME)
    if found is None:
        sys.exit(
            f"{NAME} is not in PATH. Build it with `python -m benchmarks.llama_server --build FOLDER` and give its "
            "path as --llama-server."
        )
    return Path(found)


def build(folder: Path, *, jobs: int) -> Path:
    """Compile the server of the installed version below `folder`, and return its path. Exits when that fails."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{_PACKAGE.replace('-', '_')}-{version(_PACKAGE)}"
    source = folder / name / "vendor" / "llama.cpp"
    if not source.exists():
        archive = folder / f"{name}.tar.gz"
        if not archive.exists():
            pip: list[str | Path] = [sys.executable, "-m", "pip", "download", "--no-deps", "--dest", folder]
            run("fetching the source", [*pip, "--no-binary", _PACKAGE, f"{_PACKAGE}=={version(_PACKAGE)}"])
        with tarfile.open(archive) as packed:
            packed.extractall(folder, filter="data")
    target = folder / "build"
    run("configuring", ["cmake", "-S", source, "-B", target, *_OPTIONS, *_for_this_machine()])
    run("compiling (10 to 20 minutes)", ["cmake", "--build", target, "--target", NAME, "-j", str(jobs)])
    return target / "bin" / NAME


def _for_this_machine() -> list[str]:
    """The same flags as for the library, see `tools.install`."""
    flags = shlex.split(os.environ.get("CMAKE_ARGS", ""))
    if compiler_emits_amx(os.environ.get("CC", "cc")):
        flags += [f"-DCMAKE_C_FLAGS={NO_AMX}", f"-DCMAKE_CXX_FLAGS={NO_AMX}"]
    return flags


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--build", type=Path, required=True, metavar="FOLDER", help="where to build; kept")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="compilers at once")
    given = parser.parse_args()
    print(build(given.build, jobs=given.jobs))


if __name__ == "__main__":
    main()
