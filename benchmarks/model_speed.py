"""How fast a GGUF model is on this machine, measured through the same child process that the bot uses.

    python -m benchmarks.model_speed [FILE] [--threads N]

Without a file, the starter model. Other work on the machine slows the figures a lot: llama.cpp's threads
wait for each other at every step.
"""

import argparse
import asyncio
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bot.llm.cores import default_threads
from bot.llm.local import LocalLLM
from bot.llm.models import human_size, inspect, resolve
from bot.llm.protocol import ChatMessage
from bot.llm.supervisor import Load, ModelProcess

PROMPT_TOKENS = 400
ANSWER_TOKENS = 100
_SENTENCE = "The hotel limit is 140 euros a night in large cities; the team lead approves more. "


@dataclass(frozen=True, slots=True)
class Run:
    prompt_tokens: int
    first_token: float
    """Seconds."""
    pieces: int
    total: float


async def measure(llm: LocalLLM, *, number: int) -> Run:
    """One question of about 400 tokens; `number` comes first in it, so that nothing of it was read before."""
    question = "Who approves a hotel above the limit? Explain at length."
    text = f"Note {number * 7919}. "
    while await llm.count_tokens([ChatMessage("user", text + question)]) < PROMPT_TOKENS:
        text += _SENTENCE
    prompt = [ChatMessage("user", text + question)]
    started, first, pieces = time.perf_counter(), 0.0, 0
    async with llm.stream(prompt, max_tokens=ANSWER_TOKENS, temperature=0.8) as deltas:
        async for delta in deltas:
            if delta.content:
                pieces += 1
                first = first or time.perf_counter() - started
    return Run(await llm.count_tokens(prompt), first, pieces, time.perf_counter() - started)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", help="a GGUF file (default: the starter model)")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--gpu-layers", type=int, default=0)
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    info = inspect(resolve(given.file, base=Path.cwd()))
    load = Load(threads=given.threads, gpu_layers=given.gpu_layers)
    started = time.perf_counter()
    async with ModelProcess(info.path, load=load) as process:
        await process.ready()
        loaded = time.perf_counter() - started
        llm = LocalLLM(process)
        await measure(llm, number=0)  # connections, caches
        runs = [await measure(llm, number=number) for number in range(1, given.runs + 1)]
        await llm.aclose()

    first = statistics.median(run.first_token for run in runs)
    written = statistics.median((run.pieces - 1) / (run.total - run.first_token) for run in runs)
    title = f"{info.name}, {info.file_type}, {human_size(info.size_bytes)}"
    table = Table("", "", title=title, show_header=False)
    table.add_row("threads", str(given.threads or default_threads()))
    table.add_row("start until ready", f"{loaded:.2f} s")
    table.add_row(f"first token, prompt of {runs[0].prompt_tokens} tokens", f"{first:.2f} s")
    table.add_row("prompt", f"{runs[0].prompt_tokens / first:.0f} tokens/s")
    table.add_row("answer", f"{written:.0f} tokens/s")
    Console().print(table)


if __name__ == "__main__":
    asyncio.run(main())
