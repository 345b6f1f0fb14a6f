"""How well the search finds what a test collection wants found, in figures to hold against published tables.

A collection is a folder in BEIR's form (https://github.com/beir-cellar/beir): `corpus.jsonl` (`_id`, `title`, `text`),
`queries.jsonl` (`_id`, `text`) and `qrels.tsv` or `qrels/test.tsv` (query, document, grade). Its documents are indexed
in a throwaway folder by the code that indexes anybody's, and its queries searched by the retriever that searches
anybody's, with the settings of `[knowledge]`. Only the last step is left out, which thins a list out for an answer.

What is ranked are documents: a document stands where its best passage does. A document without a judgement counts as
not relevant, as in other people's figures. Everything is held in memory, which a million documents are too many for.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bot.config import KnowledgeSettings, parse_settings
from bot.errors import UsageError
from bot.library import Library, open_library
from feedback.metrics import Mean, mean, ndcg_at_k, recall_at_k, reciprocal_rank
from knowledge.documents import Hit
from knowledge.loaders import document_id
from knowledge.planning import Progress, ProgressCallback

DEPTH = 100
"""Documents of a ranking that count."""
_SOURCE = "collection"
_SETTINGS = f'[[sources]]\nname = "{_SOURCE}"\npath = "documents"\n'
_PER_FOLDER = 1000
_TITLE_WORDS = 8

Gains = Mapping[str, float]
"""The relevant documents of a query by id, with their grades, which are above 0."""
Rankings = Mapping[str, Sequence[str]]
"""By query the ids of documents, best first."""


@dataclass(frozen=True, slots=True)
class Collection:
    """Documents, queries, and which document answers which query."""

    documents: Mapping[str, tuple[str, str]]
    """Title and text by id."""
    queries: Mapping[str, str]
    """By id; those for which something is relevant, at least one."""
    gains: Mapping[str, Gains]
    """By the query's id."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Means over the queries with their 95% bootstrap intervals, see `feedback.metrics`."""

    ndcg_at_10: Mean
    recall_at_5: Mean
    recall_at_20: Mean
    mrr: Mean

    @classmethod
    def of(cls, collection: Collection, rankings: Rankings) -> "Figures":
        """Of rankings for all its queries."""
        both = [(rankings[query], gains) for query, gains in collection.gains.items()]
        return cls(
            ndcg_at_10=mean(ndcg_at_k(ranked, gains, k=10) for ranked, gains in both),
            recall_at_5=mean(recall_at_k(ranked, gains, k=5) for ranked, gains in both),
            recall_at_20=mean(recall_at_k(ranked, gains, k=20) for ranked, gains in both),
            mrr=mean(reciprocal_rank(ranked, gains) for ranked, gains in both),
        )


@dataclass(frozen=True, slots=True)
class Run:
    """A collection that has been searched."""

    rankings: Rankings
    """At most `DEPTH` documents each."""
    documents: int
    """That were indexed; one without any text is not."""
    passages: int
    embedding_model: str
    """With its fingerprint."""


def read_collection(folder: Path) -> Collection:
    """Read the files of the folder; raises `UsageError` when one is missing or is not what it should be."""
    documents = {
        row["_id"]: (str(row.get("title") or ""), row["text"]) for row in _rows(folder / "corpus.jsonl")
    }
    texts = {row["_id"]: row["text"] for row in _rows(folder / "queries.jsonl")}
    gains: dict[str, dict[str, float]] = {}
    for query, document, grade in _judgements(folder):
        if grade > 0 and query in texts and document in documents:
            gains.setdefault(query, {})[document] = grade
    if not gains:
        raise UsageError(
            f"{folder}: the judgements name no query together with a document of the other two files; "
            "check that all three use the same ids."
        )
    return Collection(documents, {id_: texts[id_] for id_ in gains}, gains)


def search(
    collection: Collection, *, knowledge: KnowledgeSettings, on_progress: ProgressCallback | None = None
) -> Run:
    """Index the collection and search it for its queries. Blocks, for minutes when it is large.

    Raises:
        KnowledgeError: the embedding model cannot be loaded, or the index cannot be written.
        DatabaseError: the database in the throwaway folder cannot be written.
    """
    progress = on_progress or (lambda _: None)
    total = len(collection.queries)
    rankings: dict[str, list[str]] = {}
    with _indexed(collection, knowledge, progress) as (library, ids):
        queries = list(collection.queries.values())
        found = library.retriever.rank_each(queries, sources=frozenset({_SOURCE}))
        for query in collection.queries:
            progress(Progress("evaluate", len(rankings), total, _SOURCE))
            documents = dict.fromkeys(_documents(next(found)))
            rankings[query] = [ids[document] for document in documents][:DEPTH]
        count, passages = library.counts.get(_SOURCE, (0, 0))
        return Run(rankings, count, passages, library.embedder.fingerprint)


def _documents(hits: Iterable[Hit]) -> Iterator[str]:
    """The documents of passages and of their copies elsewhere, best first, some of them twice."""
    for hit in hits:
        yield hit.chunk.document_id
        for copy in hit.copies:
            yield copy.document_id


@contextmanager
def _indexed(
    collection: Collection, knowledge: KnowledgeSettings, progress: ProgressCallback
) -> Iterator[tuple[Library, dict[str, str]]]:
    """An index of the collection in a folder that goes afterwards, and the collection's ids by those of the index."""
    with TemporaryDirectory(prefix="parley-eval-", ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        settings = parse_settings(_SETTINGS, file=folder / "parley.toml", environ={})
        ids: dict[str, str] = {}
        for number, (id_, (title, text)) in enumerate(collection.documents.items()):
            path = f"{number // _PER_FOLDER}/{number}.md"
            ids[document_id(_SOURCE, path)] = id_
            file = folder / "documents" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(_markdown(title, text), encoding="utf-8", errors="replace")
        # A server for vectors belongs to one manifest: another one would sweep away what it does not know.
        knowledge = knowledge.model_copy(update={"chroma_url": None})
        with open_library(settings.model_copy(update={"knowledge": knowledge})) as library:
            library.sync(on_progress=progress)
            yield library, ids


def _markdown(title: str, text: str) -> str:
    """A page with the title in its front matter. Without a title its beginning stands for one: a file always has a
    name."""
    text = text if text.strip() else title
    shown = title or " ".join(text.split()[:_TITLE_WORDS])
    return f"---\ntitle: {json.dumps(shown, ensure_ascii=False)}\n---\n\n{text}\n"


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(_lines(file), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise UsageError(f"{file}, line {number}: this is no JSON object; correct the line.") from error
        if not isinstance(row, dict) or not all(isinstance(row.get(key), str) for key in ("_id", "text")):
            raise UsageError(f"{file}, line {number}: give the object `_id` and `text`, both as strings.")
        yield row


def _judgements(folder: Path) -> Iterator[tuple[str, str, float]]:
    """Query, document and grade; with or without a header."""
    file = folder / "qrels.tsv"
    if not file.exists() and (folder / "qrels" / "test.tsv").exists():
        file = folder / "qrels" / "test.tsv"
    for number, line in enumerate(_lines(file), start=1):
        try:
            query, document, grade = line.split("\t")
            yield query, document, float(grade)
        except ValueError as error:
            if line.strip() and number > 1:
                raise UsageError(
                    f"{file}, line {number}: write query, document and a grade, with tabs between them."
                ) from error


def _lines(file: Path) -> Iterator[str]:
    try:
        with file.open(encoding="utf-8") as lines:
            for line in lines:
                yield line.rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{file} cannot be read; a collection has corpus.jsonl, queries.jsonl and qrels.tsv, all in UTF-8."
        ) from error
