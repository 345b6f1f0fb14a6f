"""What a search costs and where the time goes; what an index holds in memory; how soon a new process finds anything.

    python -m benchmarks.search_latency FOLDER [--sizes 1000 10000 100000] [--queries 200] [--json]

FOLDER holds Markdown. Each index is built by `knowledge.index` from documents made of its blocks, in which every fifth
word is swapped for another of the folder's words, so that any number of them can be made with no two alike. Embedding
a hundred thousand passages says nothing about searching them: the vectors are mixtures of those of 1,500 real ones.
Questions are the folder's headings, embedded one at a time by the real model. Every index is searched in a process of
its own, as the bot would after a restart.

The parts are timed inside the real search, around what the retriever calls: embedding the query, `dense` (vectors by
Chroma), `words` (BM25 by Tantivy), `places` (SQL); `rest` is what is left, fusion and thinning out.
"""

import argparse
import functools
import hashlib
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from bot.cli.context import sync_progress
from bot.config import Settings, parse_settings
from bot.database import migrate, open_database
from bot.library import open_library
from knowledge.chunking import ChunkSettings
from knowledge.embedding import SentenceTransformerEmbedder, Vectors
from knowledge.index import Index
from knowledge.sources import FolderSource
from knowledge.store import ChromaStore

NOTES = Console(stderr=True)
SOURCE = frozenset({"docs"})
SETTINGS = '[[sources]]\nname = "docs"\npath = "docs"\n'
REAL = 1_500
SWAPPED = 0.2
BLOCKS = 12
PARTS = ("embedding", "dense", "words", "places")
WARM_UP = 10


class Mixing(SentenceTransformerEmbedder):
    """The starter model for queries; for documents, mixtures of a few real vectors, chosen by the text."""

    def __init__(self, real: Vectors) -> None:
        super().__init__()
        self._real = real

    def embed_documents(
        self, texts: Sequence[str], *, on_progress: Callable[[int], None] | None = None
    ) -> Vectors:
        rows = np.array([self._mixture(text) for text in texts]).reshape(len(texts), self.dimension)
        if on_progress and len(texts):
            on_progress(len(texts))
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)

    def _mixture(self, text: str) -> Vectors:
        dice = np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big"))
        first, second = self._real[dice.integers(len(self._real), size=2)]
        noise = dice.standard_normal(self.dimension) * 0.3 / self.dimension**0.5
        return np.asarray(first + dice.uniform(0.2, 1.0) * second + noise, dtype=np.float32)


class Corpus:
    """Blocks and headings of a folder of Markdown, and documents made of them."""

    def __init__(self, folder: Path) -> None:
        texts = [file.read_text(encoding="utf-8", errors="replace") for file in sorted(folder.rglob("*.md"))]
        blocks = [block.strip() for text in texts for block in re.split(r"\n\s*\n", text)]
        self.blocks = [block for block in blocks if len(block) > 80 and not block.startswith(("---", "#"))]
        headings = (match[1].strip() for text in texts for match in re.finditer(r"(?m)^#{1,4} (.+)$", text))
        self.headings = sorted({heading for heading in headings if len(heading.split()) > 2})
        self._words = [word for block in self.blocks for word in re.findall(r"[A-Za-z]{3,}", block)]
        if not self.headings or not self._words:
            raise SystemExit(f"{folder} holds no Markdown with headings and text; name a folder that does.")

    def real(self) -> list[str]:
        """Texts for the real vectors."""
        return random.Random(1).sample(self.blocks, min(REAL, len(self.blocks)))

    def questions(self, count: int) -> list[str]:
        """Some headings, asked for."""
        chosen = random.Random(2).sample(self.headings, min(count, len(self.headings)))
        return [f"How does {heading} work?" for heading in chosen]

    def document(self, number: int) -> str:
        """The same for the same number."""
        dice = random.Random(number)
        blocks = (self._varied(dice.choice(self.blocks), dice) for _ in range(BLOCKS))
        parts = (f"## {dice.choice(self.headings)}\n\n{block}" for block in blocks)
        return f"# {dice.choice(self.headings)} {number}\n\n" + "\n\n".join(parts)

    def _varied(self, block: str, dice: random.Random) -> str:
        swap = functools.partial(self._swapped, dice)
        return re.sub(r"[A-Za-z]{3,}", swap, block)

    def _swapped(self, dice: random.Random, match: re.Match[str]) -> str:
        return dice.choice(self._words) if dice.random() < SWAPPED else match[0]


class Timed:
    """Something whose methods are timed under one name."""

    def __init__(self, inner: Any, part: str, seconds: dict[str, float]) -> None:
        self._inner, self._part, self._seconds = inner, part, seconds

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not callable(found):
            return found

        @functools.wraps(found)
        def timed(*args: Any, **kwargs: Any) -> Any:
            started = time.perf_counter()
            try:
                return found(*args, **kwargs)
            finally:
                self._seconds[self._part] += time.perf_counter() - started

        return timed


def settings_in(folder: Path) -> Settings:
    """Everything in that folder."""
    return parse_settings(SETTINGS, file=folder / "parley.toml", environ={})


def build(folder: Path, corpus: Corpus, real: Vectors, *, chunks: int) -> int:
    """An index of about so many chunks; the number that it has."""
    settings = settings_in(folder)
    root = folder / "docs"
    engine = open_database(settings.database_url)
    migrate(engine)
    store = ChromaStore(settings.data_dir / "chroma")
    chunking = ChunkSettings(capacity=settings.knowledge.chunk_tokens)
    index = Index(engine, store, Mixing(real), chunking, settings.data_dir / "index.lock")
    sources = [FolderSource("docs", root, frozenset({"everyone"}))]
    written = live = 0
    try:
        while live < 0.98 * chunks:
            more = 8 if not live else round((chunks - live) * written / live) + 1
            for number in range(written, written + more):
                file = root / f"{number // 1000}" / f"{number}.md"
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(corpus.document(number), encoding="utf-8")
            written += more
            with sync_progress(quiet=False) as progress:
                live = index.sync(sources, on_progress=progress).sources[0].chunks
    finally:
        store.close()
        engine.dispose()
    return live


def resident_mb() -> float:
    """Memory of this process in MB (10^6 bytes); Linux."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def searched(folder: Path, questions: Sequence[str]) -> dict[str, Any]:
    """In a new process: the first search, then all of them with their parts, in seconds."""
    started = time.perf_counter()
    with open_library(settings_in(folder)) as library:
        library.embedder.embed_queries(["warm up"])
        model_s, model_mb = time.perf_counter() - started, resident_mb()
        library.search(questions[0], sources=SOURCE, top_k=8)
        first_s = time.perf_counter() - started
        spent = dict.fromkeys(PARTS, 0.0)
        retriever = vars(library.retriever)
        for part, name in zip(PARTS, ("_embedder", "_store", "_lexical", "_shelf"), strict=True):
            retriever[name] = Timed(retriever[name], part, spent)
        rows = []
        for question in [*questions[:WARM_UP], *questions]:
            spent.update(dict.fromkeys(PARTS, 0.0))
            before = time.perf_counter()
            library.search(question, sources=SOURCE, top_k=8)
            whole = time.perf_counter() - before
            rows.append({**spent, "rest": whole - sum(spent.values()), "whole": whole})
        return {
            "model_s": model_s,
            "first_search_s": first_s,
            "index_mb": resident_mb() - model_mb,
            "searches": rows[WARM_UP:],
        }


def in_a_process(folder: Path, questions: Sequence[str]) -> dict[str, Any]:
    """`searched`, and the seconds from the start of the process to its first hits."""
    command = [sys.executable, "-m", "benchmarks.search_latency", "--inside", str(folder)]
    started = time.time()
    done = subprocess.run(command, input=json.dumps(questions), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    found["start_s"] = found.pop("began") - started + found["first_search_s"]
    return found


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """In milliseconds."""
    p50, p95 = np.percentile(values, [50, 95]) * 1000
    return {"p50": round(float(p50), 2), "p95": round(float(p95), 2)}


def measure(corpus: Corpus, real: Vectors, *, chunks: int, questions: Sequence[str]) -> dict[str, Any]:
    """Build and search an index of that size."""
    with tempfile.TemporaryDirectory(prefix="parley-bench-") as name:
        folder = Path(name).resolve()
        NOTES.print(f"Indexing {chunks:,} passages …")
        live = build(folder, corpus, real, chunks=chunks)
        in_a_process(folder, questions[:2])  # whatever is made once for an index is there from now on
        found = in_a_process(folder, questions)
    searches = found.pop("searches")
    parts = {name: percentiles([one[name] for one in searches]) for name in searches[0]}
    return {
        "chunks": live,
        "ms": parts,
        "times_embedding": round(parts["whole"]["p50"] / parts["embedding"]["p50"], 2),
        "index_mb": round(found["index_mb"]),
        "start_s": round(found["start_s"], 1),
        "model_s": round(found["model_s"], 1),
    }


def rows(results: Sequence[dict[str, Any]]) -> Iterator[list[str]]:
    """Lines of the table."""
    for result in results:
        yield [
            f"{result['chunks']:,}",
            *(f"{part['p50']:.1f} / {part['p95']:.1f}" for part in result["ms"].values()),
            f"{result['times_embedding']:.2f}",
            f"{result['index_mb']}",
            f"{result['start_s']:.1f} s",
        ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.inside:
        began = time.time()
        print(json.dumps(searched(args.inside, json.load(sys.stdin)) | {"began": began}))
        return
    if not args.folder:
        parser.error("name a folder with Markdown")
    corpus = Corpus(args.folder)
    real = SentenceTransformerEmbedder().embed_documents(corpus.real())
    questions = corpus.questions(args.queries)
    results = [measure(corpus, real, chunks=size, questions=questions) for size in args.sizes]
    if args.json:
        print(json.dumps(results))
        return
    table = Table("chunks", *(f"{part}, ms" for part in results[0]["ms"]), "× embedding", "MB", "start")
    for row in rows(results):
        table.add_row(*row)
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
