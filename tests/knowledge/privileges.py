"""Tests of files that may not be read, which everything can be by root."""

import ctypes
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_NOBODY = 65534
_LIBRARY = ctypes.CDLL(None)


@contextmanager
def as_somebody_else() -> Iterator[None]:
    """This thread may read only what everybody may, when root runs the tests; what others may not is hidden anyway."""
    if os.geteuid() != 0:
        yield
        return
    if not hasattr(_LIBRARY, "setfsuid"):
        pytest.skip("root can read everything, and only Linux lets it act for somebody else")
    _LIBRARY.setfsuid(_NOBODY)
    try:
        yield
    finally:
        _LIBRARY.setfsuid(0)


@contextmanager
def folder_for_everybody() -> Iterator[Path]:
    """An empty folder that everybody may go into and write to, which pytest's are not."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        folder.chmod(0o777)
        yield folder
        subprocess.run(["chmod", "-R", "u+rwX", name], check=True)
