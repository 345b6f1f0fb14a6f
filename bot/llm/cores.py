"""How many threads pay for llama.cpp on this machine."""

import os
from pathlib import Path

_TOPOLOGY = Path("/sys/devices/system/cpu")
_CGROUP_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def default_threads() -> int:
    """Physical cores this process may use, within the container's CPU quota; at least 1.

    Matrix products fill a core, so a second hardware thread on it only competes. Where the system does not
    tell cores from threads (not Linux), half of the threads are taken above 4.
    """
    if not hasattr(os, "sched_getaffinity"):
        threads = os.cpu_count() or 1
        return threads if threads <= 4 else threads // 2  # noqa: PLR2004
    allowed = os.sched_getaffinity(0)
    cores = {_siblings(cpu) for cpu in allowed}
    return max(1, min(len(cores), _quota() or len(cores)))


def _siblings(cpu: int) -> str:
    try:
        return (_TOPOLOGY / f"cpu{cpu}/topology/thread_siblings_list").read_text().strip()
    except OSError:
        return str(cpu)


def _quota() -> int | None:
    """Whole CPUs that a container's limit allows (cgroup v2), if it has one."""
    try:
        quota, period = _CGROUP_QUOTA.read_text().split()
        return max(1, int(quota) // int(period))
    except (OSError, ValueError):
        return None
