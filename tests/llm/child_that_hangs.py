"""Stands in for a llama.cpp that never comes back from a computation, once the file `HANG_WHEN` is there."""

import os
import time
from pathlib import Path
from typing import Any

import llama_cpp

from bot.llm.server import main

_decode = llama_cpp.llama_decode


def _hang_or_decode(*arguments: Any) -> Any:
    while Path(os.environ["HANG_WHEN"]).exists():
        time.sleep(0.01)
    return _decode(*arguments)


llama_cpp.llama_decode = _hang_or_decode
main()
