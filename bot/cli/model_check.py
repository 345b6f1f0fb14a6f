"""`parley model check`: what is in the file, does it run here, on what, and how fast."""

import asyncio
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bot.cli.context import out, print_json, settings, working

if TYPE_CHECKING:
    from bot.config import Settings
    from bot.llm.protocol import LLM

_PASSAGE = "The office opens at eight and closes at six. " * 30
_WRITTEN_TOKENS = 64


def check(*, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Load the configured model and ask it something: what is it, does it run, on a GPU or not, and how fast?"""
    result = asyncio.run(_check(settings()))
    if as_json:
        print_json(result)
        return
    for key, value in result.items():
        lines = value if isinstance(value, list) else [value]
        for number, line in enumerate(lines):
            name = "" if number else key.replace("_", " ")
            out().print(f"[bold]{name:>24}[/]  ", end="")
            out().print(line, highlight=False, markup=False)


async def _check(loaded: "Settings") -> dict[str, Any]:
    from bot.app import open_llm

    found = {} if loaded.llm.urls else await asyncio.to_thread(_about_the_file, loaded)
    async with open_llm(loaded) as llm:
        started = time.monotonic()
        with working("Loading the model"):
            await llm.ready()
        found |= {
            "model": llm.model_id,
            "context": llm.context_window,
            "seconds_to_load": round(time.monotonic() - started, 2),
        }
        with working("Trying the chat template"):
            found["conversation"] = await _conversation(llm)
        with working("Reading and writing a little"):
            found |= await _speed(llm)
        if warnings := await _warnings(llm):
            found["warnings"] = warnings
    return found


def _about_the_file(loaded: "Settings") -> dict[str, Any]:
    from bot.llm.cores import default_threads
    from bot.llm.models import resolve
    from bot.llm.preflight import check_file

    info = check_file(resolve(str(loaded.llm.model), base=loaded.file.parent))
    return {
        "file": str(info.path),
        "name": info.name,
        "architecture": info.architecture,
        "quantisation": info.file_type,
        "parameters": info.parameters,
        "trained_context": info.context_length,
        "chat_template": info.has_chat_template,
        "memory_bytes": info.memory_bytes(loaded.llm.context),
        "threads": loaded.llm.threads or default_threads(),
        "gpu": _gpu(loaded.llm.gpu_layers),
    }


def _gpu(layers: int) -> str:
    """Whether a GPU does the work, as a sentence that says what to do if one could and does not."""
    from bot.llm.machine import gpu_backends, gpus

    here, backends = gpus(), gpu_backends()
    if not here:
        return "none is here"
    names = ", ".join(here)
    if not backends:
        return (
            f"NOT USED: {names} is here, but llama.cpp was compiled for the processor only;"
            " docs/models.md says how to compile it for a GPU"
        )
    if layers == 0:
        return f"NOT USED: {names} is here, but llm.gpu_layers is 0"
    return f"{names}, with {', '.join(backends)}, {'all' if layers < 0 else layers} layers"


async def _conversation(llm: "LLM") -> str:
    """Whether the template takes what Parley sends: a system message, and turns before the question."""
    from bot.errors import ModelError
    from bot.llm.protocol import ChatMessage

    talk = [
        ChatMessage("system", "Be short."),
        ChatMessage("user", "When does the office open?"),
        ChatMessage("assistant", "At eight."),
        ChatMessage("user", "And close?"),
    ]
    try:
        tokens = await llm.count_tokens(talk)
    except ModelError as error:
        return f"FAILS: {error}"
    return f"system message and earlier turns are taken ({tokens} tokens)"


async def _speed(llm: "LLM") -> dict[str, Any]:
    from bot.llm.protocol import ChatMessage

    # A number first, so that nothing of it was read before.
    prompt = [ChatMessage("user", f"{time.time()} {_PASSAGE}\n\nTell a short story about an office.")]
    prompt_tokens = await llm.count_tokens(prompt)
    started, first, text = time.monotonic(), 0.0, ""
    async with llm.stream(prompt, max_tokens=_WRITTEN_TOKENS) as deltas:
        async for delta in deltas:
            first = first or time.monotonic()
            text += delta.content
    took = time.monotonic() - first
    counts = [await llm.count_tokens([ChatMessage("user", written)]) for written in (text, "")]
    written = counts[0] - counts[1]
    return {
        "prompt_tokens_per_s": round(prompt_tokens / (first - started), 1),
        "output_tokens_per_s": round((written - 1) / took, 1) if written > 1 and took > 0 else None,
    }


async def _warnings(llm: "LLM") -> list[str]:
    from bot.llm.local import LocalLLM

    if not isinstance(llm, LocalLLM):
        return []
    found = await llm.warnings()
    if llm.process.without_extra_bufts:
        found.append("It runs without AMX, with which llama.cpp died here; see docs/models.md.")
    return found
