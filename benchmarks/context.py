"""Whether the sentence that answers is among those that the model reads, and how many tokens that costs.

    python -m benchmarks.context FILE... [--budgets 100 200 300 500] [--questions 1190] [--json]

The files are reading-comprehension sets in SQuAD's form (XQuAD: 240 paragraphs, 1,190 questions in each language). All
paragraphs of a file are indexed as one source, through the code that `parley reindex` uses; each question is searched
for in all of them, and `bot.selection` chooses what is read. The sentence that answers is the one in which the answer
stands in its own paragraph; it counts as kept when it is among the text that the model reads, word for word.

Beside the budgets, "passages" is what was read before there was a budget: the passages of the three best statements.
Tokens are those of the passages with titles and numbers, as the starter model and as the embedding model count them.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.fit_ranking import EMBEDDER, TOP_K, indexed, write_paragraphs
from bot import quotes, ranking
from bot.app import open_llm
from bot.config import load_settings
from bot.evidence import Evidence
from bot.findings import counter
from bot.library import Library
from bot.llm.protocol import ChatMessage
from bot.prompt import Passage
from bot.selection import select
from feedback.metrics import Proportion
from knowledge.passages import units


@dataclass(frozen=True)
class Question:
    text: str
    bearing: frozenset[str]
    """The units of the paragraph in which its answer stands."""


@dataclass(frozen=True)
class Read:
    """What the model would read for a question."""

    kept: bool
    context: str


def questions_of(file: Path) -> list[Question]:
    """All of a file."""
    return [
        Question(entry["question"], bearing(paragraph["context"], entry["answers"][0]))
        for article in json.loads(file.read_text(encoding="utf-8"))["data"]
        for paragraph in article["paragraphs"]
        for entry in paragraph["qas"]
    ]


def bearing(paragraph: str, answer: dict[str, str | int]) -> frozenset[str]:
    """The units that the answer, a span of the paragraph, overlaps."""
    start = int(answer["answer_start"])
    end = start + len(str(answer["text"]))
    found, position = set(), 0
    for unit in units(paragraph):
        at = paragraph.find(unit.text, position)
        if at < 0:
            continue
        position = at + len(unit.text)
        if at < end and start < position:
            found.add(unit.text)
    return frozenset(found)


def read(library: Library, question: Question, budgets: Sequence[int]) -> Iterator[tuple[str, Read]]:
    """By way of choosing what is read."""
    hits = library.search(question.text, sources=library.visible_to_everyone, top_k=TOP_K)
    vocabulary = library.vocabulary_of(library.visible_to_everyone)
    evidence = Evidence(question.text, hits, embedder=EMBEDDER, vocabulary=vocabulary)
    scores = ranking.scores(ranking.feature_matrix(evidence))
    count = counter(EMBEDDER.tokenizer)
    numbers = dict.fromkeys(quote.statement.n for quote in quotes.best_quotes(evidence, scores))
    whole = [(n, hits[n - 1]) for n in numbers]
    chosen = {str(budget): select(evidence, scores, count_tokens=count, budget=budget) for budget in budgets}
    for name, passages in {**chosen, "passages": whole}.items():
        kept = bool(question.bearing) and all(
            any(one in hit.chunk.text for _, hit in passages) for one in question.bearing
        )
        yield name, Read(kept, rendered(passages))


def rendered(passages: Sequence[Passage]) -> str:
    """As they stand in the prompt."""
    return "\n\n".join(f"[{n}] {hit.chunk.context}\n{hit.chunk.text}" for n, hit in passages)


async def tokens_of_the_model(folder: Path, texts: Sequence[str]) -> list[int]:
    """Of each text as the starter model counts, without its chat template."""
    file = folder / "parley.toml"
    file.write_text("", encoding="utf-8")
    async with open_llm(load_settings(file, {})) as llm:
        await llm.ready()
        template = await llm.count_tokens([ChatMessage("user", "")])
        return [await llm.count_tokens([ChatMessage("user", text)]) - template for text in texts]


def measured(file: Path, folder: Path, *, budgets: Sequence[int], number: int) -> list[dict[str, object]]:
    """A row for each way of choosing."""
    folder.mkdir()
    write_paragraphs(file, folder / "paragraphs")
    questions = questions_of(file)
    asked = random.Random(0).sample(questions, min(number, len(questions)))
    found: dict[str, list[Read]] = {}
    with indexed(folder / "index", folder / "paragraphs") as library:
        for question in asked:
            for name, one in read(library, question, budgets):
                found.setdefault(name, []).append(one)
    rows = []
    for name, reads in found.items():
        kept = Proportion(sum(one.kept for one in reads), len(reads))
        texts = [one.context for one in reads]
        model = asyncio.run(tokens_of_the_model(folder, texts))
        embedding = counter(EMBEDDER.tokenizer)(texts)
        rows.append({
            "file": file.name,
            "read": name,
            "questions": kept.total,
            "kept": kept.count,
            "low": kept.interval.low,
            "high": kept.interval.high,
            "tokens": {"mean": statistics.mean(model), "median": statistics.median(model), "most": max(model)},
            "embedding_tokens": {"mean": statistics.mean(embedding), "most": max(embedding)},
        })  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", type=Path, nargs="+", help="in SQuAD's form")
    parser.add_argument("--budgets", type=int, nargs="+", default=[100, 200, 300, 500])
    parser.add_argument("--questions", type=int, default=1190, help="of each file")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory(prefix="parley-context-") as name:
        for file in args.files:
            rows += measured(file, Path(name) / file.stem, budgets=args.budgets, number=args.questions)
    if args.json:
        print(json.dumps(rows))
        return
    table = Table(
        "file", "read", "kept", "95%", "tokens: mean", "median", "most", "embedding's: mean", "most"
    )
    for row in rows:
        total, kept = int(str(row["questions"])), int(str(row["kept"]))
        tokens, embedding = row["tokens"], row["embedding_tokens"]
        assert isinstance(tokens, dict)  # noqa: S101
        assert isinstance(embedding, dict)  # noqa: S101
        table.add_row(
            str(row["file"]),
            str(row["read"]),
            f"{kept}/{total} = {kept / total:.1%}",
            f"{row['low']:.1%}–{row['high']:.1%}",
            *(f"{tokens[key]:.0f}" for key in ("mean", "median", "most")),
            *(f"{embedding[key]:.0f}" for key in ("mean", "most")),
        )
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
