"""What this machine's llama.cpp cannot do, remembered between starts in a small JSON file.

So far one thing: llama.cpp built by GCC 12 dies with SIGILL on CPUs with AMX when weights are repacked for
it. A new version of llama-cpp-python may be built otherwise, so what is remembered counts for one version
only.
"""

import json
import logging
import os
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

_log = logging.getLogger(__name__)
_KEY = "without_extra_bufts"


def without_extra_bufts(state_file: Path | None) -> bool:
    """Whether models are to be loaded with `use_extra_bufts` off; blocks on a small file."""
    if state_file is None:
        return False
    try:
        remembered = json.loads(state_file.read_text(encoding="utf-8"))[_KEY]
        return bool(remembered["llama_cpp_python"] == _version())
    except FileNotFoundError:
        return False
    except (OSError, ValueError, KeyError, TypeError):
        _log.warning("%s cannot be read and is ignored", state_file)
        return False


def remember_without_extra_bufts(state_file: Path | None) -> None:
    """From now on load with `use_extra_bufts` off; a file that cannot be written is logged, not raised."""
    if state_file is None or without_extra_bufts(state_file):
        return
    entry = {"llama_cpp_python": _version(), "reason": "SIGILL", "since": datetime.now(UTC).isoformat()}
    draft = state_file.with_name(f"{state_file.name}.{os.getpid()}")
    try:
        state_file.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps({_KEY: entry}, indent=2), encoding="utf-8")
        draft.replace(state_file)
    except OSError as error:
        _log.warning(
            "%s cannot be written (%s): the next start will find out again", state_file, error.strerror
        )


def _version() -> str | None:
    try:
        return metadata.version("llama-cpp-python")
    except metadata.PackageNotFoundError:
        return None
