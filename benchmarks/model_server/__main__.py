"""Parley's model server beside llama.cpp's own, on the same file, machine and threads; each row has its target.

    python -m benchmarks.model_server [--llama-server PATH] [--people 1,4,8] [--quick]

The workload is that of a team: a system prompt of 300 tokens that all share, 1,200 tokens of retrieved text with each
question, 96 tokens of answer, and a follow-up in every second thread (alone: in every thread); 1, 4 and 8 people who
ask at the same moment. The model has random weights in the shape of Qwen2.5-0.5B, as Q8_0 and as Q4_0, or is the
given file. Neither side speculates: random weights copy nothing. llama.cpp's server gets the same number of parallel
requests, a unified cache of the same size, the same threads, and its own defaults for the rest.

Both servers run at the same time, each in a process of its own, and are asked in turns, so that each number of people
is measured with both within a few minutes: the speed of a virtual machine can change by half from one quarter of an
hour to the next. The one that is not asked does nothing. Both read the system prompt once before people come.
Everything is measured in the client, over TCP, with the same client for both. With --rounds, that is done so often,
and the median of each figure is taken.

--device cuda puts all layers of all sides on the GPU; llama-cpp-python and llama-server must then be built with
CMAKE_ARGS=-DGGML_CUDA=on, and --shape 7b is the size to look at. A full run takes half an hour on two cores, and
anything else that runs beside it spoils it: what other processes, and other guests of a virtual machine's host, took
of the CPU is shown with the figures.
"""

import argparse
import asyncio
import dataclasses
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from importlib.metadata import version
from pathlib import Path

from rich.console import Console

from benchmarks import llama_server
from benchmarks.model_server import people as asking
from benchmarks.model_server import report, servers, shapes
from benchmarks.model_server.disturbance import Watch
from benchmarks.model_server.measure import SHORT_PROMPT, Figures, phases, tokens_per_word, warm_up
from bot.llm.cores import default_threads
from bot.llm.models import human_size

FULL = asking.Workload(system=300, passages=1200, question=30, answer=96, long_prompt=4000)
QUICK = asking.Workload(system=100, passages=300, question=20, answer=32, long_prompt=1200)
_STARTED = time.monotonic()


def say(text: str, *, who: str = "") -> None:
    """Progress, for a run of half an hour."""
    minutes, seconds = divmod(round(time.monotonic() - _STARTED), 60)
    print(f"[{minutes:3}:{seconds:02}] {who and f'  {who}: '}{text}", file=sys.stderr, flush=True)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is measured with each model file."""

    work: asking.Workload
    people: Sequence[int]
    rounds: int
    threads: int
    gpu: bool
    program: Path
    """llama.cpp's server."""


async def compare(model: Path, plan: Plan) -> tuple[Figures, Figures, float]:
    """Parley's figures, llama-server's, and the rate of writing of `Llama` behind a lock, for one file."""
    setup = servers.Setup(
        model=model,
        parallel=max(plan.people),
        context=plan.work.context,
        cells=plan.work.context,
        threads=plan.threads,
        gpu=plan.gpu,
    )
    say("Parley, to ask how large its cache is and how long words are")
    async with servers.running(servers.parley(setup)) as url:
        client = asking.Client(url)
        cells = (await client.figures()).get("parley_model_cells", 0.0)
        await client.aclose()
        setup = dataclasses.replace(setup, cells=int(cells) or setup.context * setup.parallel)
        ratio = await tokens_per_word(url)
    commands = {
        "Parley": servers.parley(setup),
        report.LLAMA_SERVER: servers.llama_server(plan.program, setup),
    }
    taken: dict[str, list[Figures]] = {name: [] for name in commands}
    locked = []
    for number in range(plan.rounds):
        say(f"round {number + 1} of {plan.rounds}: both servers, load {os.getloadavg()[0]:.1f}")
        for name, figures in (await side_by_side(commands, plan, tokens_per_word=ratio)).items():
            taken[name].append(figures)
        say(f"round {number + 1} of {plan.rounds}: {report.LOCKED}, load {os.getloadavg()[0]:.1f}")
        locked.append(await locked_rate(setup, plan.work))
    return median(taken["Parley"]), median(taken[report.LLAMA_SERVER]), statistics.median(locked)


async def side_by_side(
    commands: Mapping[str, Sequence[str]], plan: Plan, *, tokens_per_word: float
) -> dict[str, Figures]:
    """The figures of each server by name; in turns, so that both see the machine in the same state."""
    watch = Watch()
    found: dict[str, Figures] = {name: {} for name in commands}
    async with AsyncExitStack() as stack:
        clients = {}
        for name, command in commands.items():
            url = await stack.enter_async_context(servers.running(command))
            clients[name] = asking.Client(url, tokens_per_word=tokens_per_word)
            stack.push_async_callback(clients[name].aclose)
            await warm_up(clients[name], plan.work)
        for number, (what, phase) in enumerate(phases(plan.work, people=plan.people)):
            for name in sorted(clients, reverse=number % 2 == 1):
                say(what, who=name)
                found[name] |= await phase(clients[name])
    shares = {(0, share): value for share, value in watch.shares().items()}
    return {name: figures | shares for name, figures in found.items()}


def median(rounds: Sequence[Figures]) -> Figures:
    return {key: statistics.median(figures[key] for figures in rounds) for key in rounds[0]}


async def locked_rate(setup: servers.Setup, work: asking.Workload) -> float:
    """Tokens per second; the reading of prompts is left out."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.model_server.locked", str(setup.model)),
        *("--people", str(setup.parallel), "--prompt", str(SHORT_PROMPT), "--tokens", str(work.answer)),
        *("--context", str(setup.context), "--threads", str(setup.threads)),
        *("--gpu-layers", "-1" if setup.gpu else "0"),
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{report.LOCKED} ended with {process.returncode}; what it wrote stands above")
    spent = json.loads(output)
    return float(spent["tokens"] / spent["seconds"])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.model_server",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--llama-server", type=Path, help="the program (default: the one in PATH)")
    parser.add_argument(
        "--model", type=Path, action="append", default=[], help="a GGUF file, instead of random ones"
    )
    parser.add_argument("--shape", choices=sorted(shapes.SHAPES), default="0.5b", help="of the random models")
    parser.add_argument(
        "--quantisation",
        choices=sorted(shapes.QUANTISATIONS),
        action="append",
        default=[],
        help="default: both",
    )
    parser.add_argument("--people", default="1,4,8", help="who ask at once (default: 1,4,8)")
    parser.add_argument("--rounds", type=int, default=1, help="default: 1")
    parser.add_argument("--threads", type=int, default=default_threads(), help="default: the physical cores")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument(
        "--quick", action="store_true", help="prompts and answers of a third; only to try it out"
    )
    parser.add_argument("--json", action="store_true", help="the rows as JSON")
    return parser.parse_args()


async def main() -> None:
    given = _arguments()
    if task := asyncio.current_task():  # a server left behind would spoil whatever is measured next
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    plan = Plan(
        work=QUICK if given.quick else FULL,
        people=sorted({int(number) for number in given.people.split(",")}),
        rounds=given.rounds,
        threads=given.threads,
        gpu=given.device == "cuda",
        program=llama_server.find(given.llama_server),
    )
    with tempfile.TemporaryDirectory(prefix="parley-models-") as folder:
        for model in _models(given, Path(folder)):
            before = os.getloadavg()[0]
            parley, other, locked = await compare(model, plan)
            rows = report.rows(parley, other, locked=locked, people=plan.people)
            title = (
                f"{model.name}, {human_size(model.stat().st_size)}, {plan.threads} threads, {given.device}"
            )
            about = [
                *report.notes(parley, other, people=plan.people),
                _conditions(plan.work, load_before=before),
            ]
            if given.json:
                print(json.dumps({"title": title, "rows": [row.as_json() for row in rows], "notes": about}))
            else:
                Console(width=max(120, Console().width)).print(report.table(title, rows), *about, sep="\n")


def _conditions(work: asking.Workload, *, load_before: float) -> str:
    return (
        f"{work.system} tokens of system prompt, {work.passages} of passages, {work.answer} of answer, "
        f"{work.long_prompt} in the long prompt; llama-cpp-python {version('llama-cpp-python')}; load of the machine "
        f"{load_before:.1f} before and {os.getloadavg()[0]:.1f} after"
    )


def _models(given: argparse.Namespace, folder: Path) -> Iterator[Path]:
    """The given files, or random ones, of which one at a time is on disk."""
    yield from given.model
    if given.model:
        return
    for quantisation in given.quantisation or shapes.QUANTISATIONS:
        say(f"writing a model of random weights, {given.shape}, {quantisation}")
        path = folder / f"random-{given.shape}-{quantisation}.gguf"
        yield shapes.write(path, shape=given.shape, quantisation=quantisation)
        path.unlink()


if __name__ == "__main__":
    asyncio.run(main())
