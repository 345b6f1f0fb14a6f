"""What this machine offers a model: free memory, GPUs, and how llama.cpp was built.

Nothing is loaded: memory is read from the system, llama.cpp's libraries are looked at as files. Where the system
does not tell, the answer is None or empty and nobody is refused anything because of it.
"""

import importlib.util
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

_MEMINFO = Path("/proc/meminfo")
_GROUPS = Path("/proc/self/cgroup")
_CGROUP = Path("/sys/fs/cgroup")
_UNLIMITED = 1 << 60  # cgroup v1 writes a number near 2**63 for "no limit"
_FILES = ("inactive_file", "active_file")
"""Pages of files, given up when memory gets short. Those of a model that was read twice count as active."""
_BACKENDS = {
    "cuda": "CUDA",
    "metal": "Metal",
    "vulkan": "Vulkan",
    "hip": "ROCm",
    "sycl": "SYCL",
    "musa": "MUSA",
    "cann": "CANN",
    "opencl": "OpenCL",
}
"""Libraries of ggml that compute on a GPU, by the end of their file's name."""


def available_memory() -> int | None:
    """Bytes that a new process may fill without swapping, the limits of containers included; None: not known."""
    found = [_free_memory(), *_group_limits()]
    known = [size for size in found if size is not None]
    return max(0, min(known)) if known else None


def gpus() -> list[str]:
    """The GPUs that are here, as a person would call them, whether or not llama.cpp can use them."""
    if platform.system() == "Darwin":
        return ["Apple GPU (Metal)"] if platform.machine() == "arm64" else []
    found = _nvidia()
    if Path("/dev/kfd").exists():
        found.append("AMD GPU (ROCm)")
    return found


def gpu_backends() -> list[str]:
    """The kinds of GPU that the installed llama.cpp was compiled for: `["CUDA"]`; empty for the processor only."""
    folder = _library_folder()
    if folder is None:
        return []
    names = {path.name.partition(".")[0].removeprefix("lib") for path in folder.iterdir()}
    return [label for key, label in _BACKENDS.items() if f"ggml-{key}" in names]


def knows_architecture(name: str) -> bool | None:
    """Whether the installed llama.cpp has a model of this architecture; None: its library is not found.

    llama.cpp keeps the names in a table that no function gives out, so they are looked for in the library's own
    bytes. A name that is there by chance passes; llama.cpp then refuses it by itself when it loads.
    """
    library = _library()
    if library is None:
        return None
    data = library.read_bytes()
    if b"\0llama\0" not in data:  # another way to write the table: nothing can be said
        return None
    return name.encode() + b"\0" in data  # the linker may keep a name as the end of a longer one


def _library_folder() -> Path | None:
    if given := os.environ.get("LLAMA_CPP_LIB_PATH"):  # as llama_cpp itself does
        folder = Path(given)
    else:
        spec = importlib.util.find_spec("llama_cpp")
        if spec is None or spec.origin is None:
            return None
        folder = Path(spec.origin).parent / "lib"
    return folder if folder.is_dir() else None


def _library() -> Path | None:
    folder = _library_folder()
    names = ("libllama.so", "libllama.dylib", "llama.dll", "libllama.dll")
    return next((folder / name for name in names if (folder / name).is_file()), None) if folder else None


def _nvidia() -> list[str]:
    if shutil.which("nvidia-smi"):
        command = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"]
        try:
            listed = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout
        except (OSError, subprocess.SubprocessError):
            listed = ""
        if lines := [line.strip() for line in listed.splitlines() if line.strip()]:
            return lines
    return [f"NVIDIA GPU {path.name[6:]}" for path in sorted(Path("/dev").glob("nvidia[0-9]*"))]


def _free_memory() -> int | None:
    try:
        for line in _MEMINFO.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    try:  # macOS does not say what is free, only what there is
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return None


def _group_limits() -> Iterator[int]:
    """What each control group around this process leaves, from its own up to the root."""
    try:
        lines = _GROUPS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        number, controllers, place = line.split(":", 2)
        if number == "0":
            yield from _limits(_CGROUP, place, "memory.max", "memory.current", _FILES)
        elif "memory" in controllers.split(","):
            reclaimable = tuple(f"total_{name}" for name in _FILES)
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes")
            yield from _limits(_CGROUP / "memory", place, *names, reclaimable)


def _limits(root: Path, place: str, limit: str, usage: str, reclaimable: tuple[str, ...]) -> Iterator[int]:
    own = root / place.strip("/")
    for folder in (own, *own.parents):
        if folder == root.parent:
            return
        most = _number(folder / limit)
        used = _number(folder / usage)
        if most is not None and used is not None and most < _UNLIMITED:
            yield min(most, most - used + _stat(folder / "memory.stat", reclaimable))


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):  # "max": no limit
        return None


def _stat(path: Path, keys: tuple[str, ...]) -> int:
    """The sum of some figures of `memory.stat`."""
    try:
        words = (line.split() for line in path.read_text(encoding="ascii").splitlines())
        return sum(int(value) for name, value in words if name in keys)
    except (OSError, ValueError):
        return 0
