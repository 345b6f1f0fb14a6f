"""How well passages are found, beside the plain way: BM25 and the same embedding model fused by reciprocal rank.

    python -m benchmarks.retrieval FOLDER ... [--json]

Each FOLDER is a test collection in BEIR's form, see `bot.beir`; Parley searches all of them with the same settings, the
starter model and no reranker. The plain way takes whole documents (title and text, of which the model reads what it
can) and 1 / (60 + rank) from the first 1000 of each list (Cormack, Clarke and Büttcher 2009,
https://doi.org/10.1145/1571941.1572114). Its BM25 has English stems, k1 = 1.2 and b = 0.75, and is spared the words
that questions are built with, as Parley's is. Both are measured in the same run on the same queries, and the difference
is taken query by query. Intervals are 95%, by bootstrap over the queries.
"""

import argparse
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from bot.beir import Collection, Gains, Rankings, read_collection, search
from bot.cli.context import sync_progress
from bot.config import KnowledgeSettings
from feedback.metrics import Mean, mean, ndcg_at_k, recall_at_k, reciprocal_rank
from knowledge.embedding import SentenceTransformerEmbedder
from knowledge.lexical import content

NOTES = Console(stderr=True)
DEPTH = 1000
RRF_K = 60

Metric = Callable[[Sequence[str], Gains], float]
METRICS: dict[str, Metric] = {
    "nDCG@10": lambda ranked, gains: ndcg_at_k(ranked, gains, k=10),
    "recall@3": lambda ranked, gains: recall_at_k(ranked, gains, k=3),
    "recall@5": lambda ranked, gains: recall_at_k(ranked, gains, k=5),
    "recall@20": lambda ranked, gains: recall_at_k(ranked, gains, k=20),
    "MRR": reciprocal_rank,
}


def plain_rankings(collection: Collection) -> Rankings:
    """Whole documents by BM25 and by the starter model, fused by reciprocal rank."""
    ids = list(collection.documents)
    texts = [f"{title} {text}".strip() for title, text in collection.documents.values()]
    embedder = SentenceTransformerEmbedder()
    queries = list(collection.queries.values())
    NOTES.print(f"Embedding {len(texts)} whole documents …")
    cosines = embedder.embed_queries(queries) @ embedder.embed_documents(texts).T
    words = Words(texts)
    rankings = {}
    for query, row in zip(collection.queries, cosines, strict=True):
        scores: dict[int, float] = {}
        near = np.argsort(-row, kind="stable")[:DEPTH].tolist()
        for ranked in (near, words.search(collection.queries[query])):
            for rank, number in enumerate(ranked, start=1):
                scores[number] = scores.get(number, 0.0) + 1 / (RRF_K + rank)
        rankings[query] = [ids[number] for number in sorted(scores, key=lambda n: (-scores[n], n))]
    return rankings


class Words:
    """Plain BM25 by Tantivy, one field, English stems."""

    def __init__(self, texts: Sequence[str]) -> None:
        import tantivy

        builder = tantivy.SchemaBuilder().add_unsigned_field("n", stored=True)
        self._index = tantivy.Index(builder.add_text_field("text", tokenizer_name="en_stem").build())
        writer = self._index.writer(num_threads=1)
        for number, text in enumerate(texts):
            writer.add_document(tantivy.Document(n=number, text=text))
        writer.commit()
        writer.wait_merging_threads()
        self._index.reload()

    def search(self, query: str) -> list[int]:
        """Numbers of the best texts, best first."""
        words = " ".join(re.findall(r"\w+", content(query).lower()))  # no syntax
        parsed = self._index.parse_query(words, ["text"])
        searcher = self._index.searcher()
        return [int(searcher.doc(address)["n"][0]) for _, address in searcher.search(parsed, DEPTH).hits]


@dataclass(frozen=True)
class Row:
    """One metric on one collection."""

    collection: str
    metric: str
    parley: Mean
    plain: Mean
    difference: Mean
    """Of the two, query by query."""

    def cells(self) -> list[str]:
        """A line of the table."""
        plain = self.plain.value or 0.0
        relative = f"{self.difference.value / plain:+.1%}" if plain and self.difference.value else "–"
        return [
            self.collection,
            self.metric,
            shown(self.plain),
            shown(self.parley),
            f"{shown(self.difference)}, {relative}",
        ]


def shown(figure: Mean) -> str:
    """A mean with its interval."""
    return f"{figure.value:.3f} ({figure.interval.low:.3f} to {figure.interval.high:.3f})"


def measure(folder: Path) -> list[Row]:
    """All metrics on one collection."""
    collection = read_collection(folder)
    NOTES.print(f"{folder.name}: {len(collection.queries)} queries on {len(collection.documents)} documents")
    with sync_progress(quiet=False) as progress:
        ours = search(collection, knowledge=KnowledgeSettings(), on_progress=progress).rankings
    theirs = plain_rankings(collection)
    rows = []
    for name, metric in METRICS.items():
        mine = [metric(ours[query], gains) for query, gains in collection.gains.items()]
        plain = [metric(theirs[query], gains) for query, gains in collection.gains.items()]
        by_query = mean(a - b for a, b in zip(mine, plain, strict=True))
        rows.append(Row(folder.name, name, mean(mine), mean(plain), by_query))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    rows = [row for folder in args.folders for row in measure(folder)]
    if args.json:
        print(json.dumps([asdict(row) for row in rows]))
        return
    table = Table("collection", "", "plain", "Parley", "difference")
    for row in rows:
        table.add_row(*row.cells(), end_section=row.metric == "MRR")
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
