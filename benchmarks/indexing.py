"""How fast documents become searchable, what that takes of memory, and what a sync costs afterwards.

    python -m benchmarks.indexing --docs FOLDER [--files N] [--peers PYTHON] [--rounds N] [--json]

Parley indexes the Markdown files of a folder as `parley reindex` does: through the library of the command line, from
nothing, with the embedding model that comes with it. Then it syncs with nothing changed, and with a line added to one
file in a hundred.

With `--peers`, plain loops of LangChain and LlamaIndex do the same with their usual parts: read the folder, split,
embed with the same model (sentence-transformers), put into Chroma in a folder. Their pieces are of about 200 tokens, as
Parley's, and do not overlap, which spares them work. PYTHON is the interpreter of an environment that has Parley and
them. One of them wants an older huggingface-hub than Parley does, so they are installed after it:

    python -m venv peers && peers/bin/pip install -e '.[starter]' -c constraints.txt
    peers/bin/pip install --group benchmarks -c benchmarks/constraints.txt
    python -m benchmarks.indexing --docs FOLDER --peers peers/bin/python

Each is a process of its own, with as many threads as it takes by itself. Seconds are those of the work, without imports
and loading the model, which are told apart; CPU seconds count every core, and hardly notice what else the machine does.
The memory is the most that the process ever held, without Parley's loader process. Tokens are
those that the model sees, with titles and headings and cut at its limit; all texts are counted by its own tokenizer
after the clock has stopped. With `--rounds`, the subjects take turns, and the median counts.
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import indexing_peers

SUBJECTS = ("parley", "langchain", "llamaindex")
LIMIT = 256
"""Tokens that all-MiniLM-L6-v2 reads of a text."""
SETTINGS = """
[llm]
enabled = false
[[sources]]
name = "docs"
path = "{docs}"
include = ["**/*.md"]
"""


@dataclass(frozen=True)
class Result:
    """What one process found out."""

    subject: str
    files: int
    chunks: int
    tokens: int
    """That the embedding model read."""
    start_seconds: float
    """Imports and loading the model."""
    build_seconds: float
    cpu_seconds: float
    """That the build took of all cores together, its loader processes included."""
    memory: float
    """MiB at most."""
    unchanged_seconds: float = 0.0
    changed_seconds: float = 0.0
    changed_files: int = 0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--docs", type=Path, required=True, help="a folder with Markdown files")
    parser.add_argument("--files", type=int, help="so many of them, spread evenly (default: all)")
    parser.add_argument("--peers", metavar="PYTHON", help="measure LangChain and LlamaIndex with it too")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--subject", choices=SUBJECTS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.subject:
        print(json.dumps(asdict(measure(arguments.subject, arguments.docs))))
        return
    with tempfile.TemporaryDirectory(prefix="parley-bench-") as folder:
        copy = Path(folder) / "docs"
        sample(arguments.docs, copy, files=arguments.files)
        subjects = SUBJECTS if arguments.peers else SUBJECTS[:1]
        results = [
            child(subject, copy, python=sys.executable if subject == "parley" else arguments.peers)
            for _ in range(arguments.rounds)
            for subject in subjects
        ]
    if arguments.json:
        print(json.dumps([asdict(result) for result in results]))
    else:
        show([median([one for one in results if one.subject == subject]) for subject in subjects])


def sample(docs: Path, copy: Path, *, files: int | None) -> None:
    """Copy Markdown files, all or every so many of them, so that some may be changed."""
    found = sorted(docs.rglob("*.md"))
    count = min(files or len(found), len(found))
    for number in range(count):
        source = found[number * len(found) // count]
        target = copy / source.relative_to(docs)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def child(subject: str, docs: Path, *, python: str) -> Result:
    """The result of a process of its own."""
    command = [python, "-m", "benchmarks.indexing", "--docs", str(docs), "--subject", subject]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return Result(**json.loads(done.stdout.splitlines()[-1]))


def measure(subject: str, docs: Path) -> Result:
    """In this process; only Parley changes files of the folder, and changes them back."""
    with tempfile.TemporaryDirectory(prefix="parley-bench-") as folder:
        if subject == "parley":
            return parley(docs, Path(folder))
        build: Callable[[Path, Path], indexing_peers.Run] = getattr(indexing_peers, subject)
        run = build(docs, Path(folder))
        return Result(
            subject=subject,
            files=run.files,
            chunks=len(run.texts),
            tokens=tokens(run.texts),
            start_seconds=run.start_seconds,
            build_seconds=run.build_seconds,
            cpu_seconds=run.cpu_seconds,
            memory=memory(),
        )


def parley(docs: Path, folder: Path) -> Result:
    """Build, sync unchanged, sync with one file in a hundred changed."""
    started = time.perf_counter()
    from bot.config import parse_settings
    from bot.library import open_library
    from knowledge.manifest import Manifest

    settings = parse_settings(SETTINGS.format(docs=docs), file=folder / "parley.toml", environ={})
    with open_library(settings) as library:
        library.load()
        ready, cpu = time.perf_counter(), indexing_peers.cpu_seconds()
        report = library.sync()
        built, cpu = time.perf_counter(), indexing_peers.cpu_seconds() - cpu
        peak = memory()
        library.sync()
        unchanged = time.perf_counter()
        touched = sorted(docs.rglob("*.md"))[50::100] or sorted(docs.rglob("*.md"))[:1]
        before = [file.read_bytes() for file in touched]
        try:
            for file, text in zip(touched, before, strict=True):
                file.write_bytes(text + b"\n\nThis line was added after the index had been built.\n")
            edited = time.perf_counter()
            library.sync()
            changed = time.perf_counter()
        finally:
            for file, text in zip(touched, before, strict=True):
                file.write_bytes(text)
        chunks = Manifest(library._engine).live_chunks()  # noqa: SLF001 - the texts, to count their tokens
    if report.failed:
        raise SystemExit(f"{len(report.failed)} files cannot be read: {report.failed[0]}")
    return Result(
        subject="parley",
        files=sum(source.added for source in report.sources),
        chunks=sum(source.chunks for source in report.sources),
        tokens=tokens([chunk.contextual_text for chunk in chunks]),
        start_seconds=ready - started,
        build_seconds=built - ready,
        cpu_seconds=cpu,
        memory=peak,
        unchanged_seconds=unchanged - built,
        changed_seconds=changed - edited,
        changed_files=len(touched),
    )


def tokens(texts: Sequence[str]) -> int:
    """That the model reads of them: it cuts each at its limit."""
    from knowledge.embedding import SentenceTransformerEmbedder

    encodings = SentenceTransformerEmbedder().tokenizer.encode_batch_fast(list(dict.fromkeys(texts)))
    return sum(min(len(encoding.ids), LIMIT) for encoding in encodings)


def memory() -> float:
    """MiB that this process has held at most; a child's figure would begin with that of its parent."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)


def median(results: Sequence[Result]) -> Result:
    """The one with the median time to build."""
    return sorted(results, key=lambda result: result.build_seconds)[(len(results) - 1) // 2]


def show(results: Sequence[Result]) -> None:
    """A table, and what a sync costs."""
    table = Table(
        "", "files", "chunks", "tokens", "start", "build", "CPU", "files/s", "chunks/s", "tokens/s", "memory"
    )
    for one in results:
        table.add_row(
            one.subject,
            f"{one.files:,}",
            f"{one.chunks:,}",
            f"{one.tokens:,}",
            f"{one.start_seconds:.1f} s",
            f"{one.build_seconds:.1f} s",
            f"{one.cpu_seconds:.1f} s",
            f"{one.files / one.build_seconds:.1f}",
            f"{one.chunks / one.build_seconds:.1f}",
            f"{one.tokens / one.build_seconds:,.0f}",
            f"{one.memory:.0f} MiB",
        )
    console = Console(width=130)
    console.print(table)
    ours, *peers = results
    console.print(f"sync with nothing changed: {ours.unchanged_seconds:.2f} s")
    console.print(
        f"sync with {ours.changed_files} of {ours.files:,} files changed: {ours.changed_seconds:.2f} s, "
        f"{ours.changed_seconds / ours.build_seconds:.1%} of the build"
    )
    if peers:
        fastest = min(peers, key=lambda peer: peer.build_seconds)
        ratio = fastest.build_seconds / ours.build_seconds
        console.print(f"files/s against the faster peer, {fastest.subject}: {ratio:.2f} times")


if __name__ == "__main__":
    main()
