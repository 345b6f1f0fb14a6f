"""Child processes for tests: real ones that misbehave on demand, and scripts that stand in for them."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

from bot.llm.protocol import LLM, ChatMessage
from bot.llm.supervisor import Pace

QUESTION = [ChatMessage("user", "What is the hotel limit?")]
QUICK = Pace(first_wait=0.01, longest_wait=0.05, give_up_after=3, try_again_after=0.0)
SIGILL_CHILD = (sys.executable, str(Path(__file__).with_name("child_with_sigill.py")))
HANGING_CHILD = (sys.executable, str(Path(__file__).with_name("child_that_hangs.py")))


def runs(pid: int) -> bool:
    """Whether a process does anything; a dead one that nobody has buried does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def until_so(condition: Callable[[], bool], *, seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in another process
            await asyncio.sleep(0.01)


async def text(llm: LLM, *, max_tokens: int = 5) -> str:
    async with llm.stream(QUESTION, max_tokens=max_tokens) as deltas:
        return "".join([delta.content async for delta in deltas])


def scripted_child(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", f"import os, signal, sys\n{code}")
