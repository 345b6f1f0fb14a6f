"""Stands in for a llama.cpp that this CPU cannot run unless weights are left as they are."""

import os
import signal
import sys

from bot.llm.server import main

if "--no-extra-bufts" not in sys.argv:
    os.kill(os.getpid(), signal.SIGILL)
main()
