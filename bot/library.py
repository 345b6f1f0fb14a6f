"""The knowledge layer put together from the settings: what is searched, and what keeps it fresh.

Its methods block; the assistant calls them in threads. Nothing slow (torch, Chroma) is loaded before it is used.
"""

import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from sqlalchemy import Engine

from bot.attachments import cut
from bot.config import Settings, SourceSettings
from bot.database import migrate, open_database
from bot.declared import Declared
from bot.errors import UsageError
from bot.evaluations import Evaluation, Evaluations, RetrievalGate, evaluate, retrieval_questions
from bot.evidence import Vocabulary
from knowledge.access import EVERYONE, visible_sources
from knowledge.chunking import Chunker, ChunkSettings
from knowledge.documents import Chunk, Hit
from knowledge.embedding import Embedder, SentenceTransformerEmbedder
from knowledge.errors import LoadError
from knowledge.filters import EVERYTHING, Filter
from knowledge.formats import CODE_TYPES, KNOWN_TYPES
from knowledge.manifest import Manifest
from knowledge.sources.protocol import Source

if TYPE_CHECKING:
    from bot.tradeoff import Tradeoff
    from knowledge.chroma_server import ChromaServer
    from knowledge.index import Index
    from knowledge.known_models import KnownModels
    from knowledge.loaders import Loader
    from knowledge.planning import ProgressCallback, SyncReport
    from knowledge.reranking import CrossEncoderReranker
    from knowledge.retriever import Retriever
    from knowledge.rollback import Rollback

LONGEST_FILE = 200_000
"""Characters of an attached file: some 70 pages, embedded in seconds while somebody waits."""


@dataclass(frozen=True, slots=True)
class _Parts:
    embedder: Embedder
    models: "KnownModels"
    index: "Index"
    retriever: "Retriever"


class Library:
    """Documents in, passages out."""

    def __init__(self, settings: Settings, engine: Engine) -> None:
        self.settings = settings
        self._engine = engine
        self._lock = threading.Lock()
        self._built: _Parts | None = None
        self.is_loaded = False
        """Whether a search has worked, or would work without loading anything first."""
        self.evaluations = Evaluations(engine)
        self._declared = Declared(
            settings.sources,
            data_dir=settings.data_dir,
            apart=[settings.file],
            api_urls={"slack": settings.slack.api_url, "discord": settings.discord.api_url},
        )

    @property
    def sources(self) -> tuple[Source, ...]:
        """Those that are declared now."""
        return self._declared.now.sources

    @property
    def visible_to(self) -> dict[str, frozenset[str]]:
        """By source the principals that may see it; always the same object."""
        return self._declared.visible_to

    @property
    def visible_to_everyone(self) -> frozenset[str]:
        """Names of the sources that need no principal."""
        return visible_sources(self.visible_to, {EVERYONE})

    @property
    def embedder(self) -> Embedder:
        return self._parts.embedder

    @property
    def index(self) -> "Index":
        return self._parts.index

    @property
    def retriever(self) -> "Retriever":
        return self._parts.retriever

    def vocabulary_of(self, sources: frozenset[str]) -> Vocabulary:
        """The words of what is indexed now in those sources; raises `KnowledgeError`."""
        self.retriever.prepare(sources)
        return self.retriever.lexical.within(sources)

    @property
    def counts(self) -> dict[str, tuple[int, int]]:
        """Documents and passages that can be found, by source; only sources that have any."""
        return Manifest(self._engine).live_counts()

    def load(self) -> None:
        """Load the embedding model and open the index now, so that the first question does not wait for it."""
        self.embedder.embed_queries(["warm up"])
        if self._reranker:
            self._reranker.load()
        self.retriever.prepare()
        self.is_loaded = True

    @property
    def source_tags(self) -> dict[str, frozenset[str]]:
        """By source the tags that all of its documents have; they hold at once, without a reindex."""
        return {source.name: frozenset(source.tags) for source in self._declared.now.settings}

    def search(
        self, query: str, *, sources: frozenset[str], top_k: int, where: Filter = EVERYTHING
    ) -> list[Hit]:
        """The best passages of those sources that `where` admits; raises `KnowledgeError`."""
        hits = self.retriever.search(query, sources=sources, top_k=top_k, where=where)
        self.is_loaded = True
        return hits

    def read_file(self, name: str, content: bytes) -> str:
        """The text of a file that somebody attached, in Markdown; `name` says its type.

        What needs a parser gets a process of its own, which is killed when it takes too long or too much.
        Raises `LoadError` with a sentence for the person who attached it.
        """
        if PurePosixPath(name).suffix.lower() not in KNOWN_TYPES:
            types = ", ".join(sorted(suffix[1:] for suffix in KNOWN_TYPES - CODE_TYPES))
            raise LoadError(
                f"{name}: I cannot read files of this type; what I can read is {types} and source code."
            )
        try:
            with self._loader() as loader:
                text = loader.load_bytes(name, content).text
        except LoadError as error:
            # The loaders speak to who looks after a source.
            raise LoadError(re.sub(r"\bexclude (it|the file)\b", r"leave \1 out", str(error))) from error
        if len(text) > LONGEST_FILE:
            raise LoadError(
                f"{name}: the file holds {len(text):,} characters, and I read at most {LONGEST_FILE:,}; "
                "attach the part that matters, or ask for it to be added to the documents."
            )
        return text

    def cut(self, name: str, text: str) -> list[Chunk]:
        """The passages of an attached file, see `bot.attachments.Cutter`; raises `EmbeddingModelError`."""
        return cut(self._chunker, name, text)

    def set_sources(self, sources: Sequence[SourceSettings]) -> None:
        """Take up other sources while people ask; what is running goes on with those it began with.

        A source that is no longer there is not searched from now on; the next sync removes its documents. One that has
        another place than what may be indexed under its name is shown to nobody until it has been read, because who may
        see it says nothing about the documents of the old place. Raises `KnowledgeError`.
        """
        self._declared.change(sources, indexed=self.counts)
        self.settings = self.settings.model_copy(update={"sources": tuple(sources)})

    def sync(
        self,
        *,
        only: str | None = None,
        dry_run: bool = False,
        retry_failed: bool = False,
        force: bool = False,
        on_progress: "ProgressCallback | None" = None,
    ) -> "SyncReport":
        """Bring the index up to date with the sources; raises `KnowledgeError`, or `UsageError` for `only`.

        A paused source is read only when `only` names it, or when everything must be read anew. With `retry_failed`,
        files that could not be read are tried again although they have not changed.

        A source with questions is searched for them before its new state becomes visible, and what they find is
        remembered. If they find less by more than the source's tolerance, `EvaluationDropError` is raised and nothing
        changes for anybody, unless `force` is given; giving the same again with `force` does no work twice. Questions
        that cannot be read are told of in the report.
        """
        from knowledge.planning import Progress

        declaration = self._declared.now
        if only is not None:
            declaration.find(only)

        def ticked(source: str, done: int, total: int) -> None:
            if on_progress:
                on_progress(Progress("evaluate", done, total, source))

        gate = RetrievalGate(
            declaration.settings,
            self.evaluations,
            top_k=self.settings.knowledge.top_k,
            force=force,
            on_question=ticked,
        )
        if not dry_run:
            self._parts.models.note(self.embedder.fingerprint, self.settings.knowledge.embedding_model)
        report = self.index.sync(
            declaration.sources,
            only=only,
            paused=declaration.paused,
            dry_run=dry_run,
            retry_failed=retry_failed,
            gate=gate,
            on_progress=on_progress,
        )
        for result in gate.results:
            self.evaluations.add(result)
        for part in report.sources:
            part.note = gate.notes.get(part.name, "")
        if not dry_run:
            read = [part.name for part in report.sources if not part.error]
            self._declared.was_read(read, of=declaration)
        return report

    def rollback(self, *, expected: int | None = None, dry_run: bool = False) -> "Rollback":
        """Take back the last reindex that changed anything; again, to take that back. See `Index.rollback`.

        The next sync of a source would bring its new state again, so the caller pauses the sources that the result
        names. Raises `KnowledgeError`.
        """
        return self.index.rollback(expected=expected, dry_run=dry_run)

    def collect(self) -> int:
        """Remove what interrupted reindexing left behind, see `Index.collect`; raises `KnowledgeError`."""
        return self.index.collect()

    def forget_removed(self) -> "SyncReport":
        """Remove the documents of sources that are not declared any more; raises `KnowledgeError`."""
        sources = self._declared.now.sources
        return self.index.sync(sources, paused={source.name for source in sources})

    def evaluate(self, source: str) -> Evaluation:
        """Search for the questions of a source in what is indexed now, and remember what they find.

        Raises `UsageError`, `QuestionFileError`, `KnowledgeError` and `DatabaseError`.
        """
        questions = retrieval_questions(self._question_file(source))
        evaluation = evaluate(
            self.retriever,
            questions,
            source=source,
            revision=Manifest(self._engine).state().revision,
            top_k=self.settings.knowledge.top_k,
        )
        self.evaluations.add(evaluation)
        return evaluation

    def _question_file(self, source: str) -> Path:
        """Of a source that is indexed; raises `UsageError`."""
        settings = self._declared.now.find(source)
        if settings.evaluation is None:
            raise UsageError(
                f"{source} has no questions to evaluate it with: give it `evaluation`, the path of a question set, in "
                f"{self.settings.file}."
            )
        if source not in self.counts:
            raise UsageError(f"Nothing of {source} is indexed yet; run `parley reindex`.")
        return settings.evaluation

    def tradeoff(self, source: str) -> "Tradeoff":
        """What each threshold of relevance would do to the questions of a source, see `bot.tradeoff`.

        Raises as `evaluate`.
        """
        from bot.tradeoff import measure
        from feedback.evaluate import load_questions

        file = self._question_file(source)
        top_k = self.settings.knowledge.top_k
        return measure(self, load_questions(file), source=source, top_k=top_k)

    @cached_property
    def _chunker(self) -> Chunker:
        return Chunker(self.embedder.tokenizer, self._chunk_settings)

    def _loader(self) -> "Loader":
        from knowledge.loaders import Loader

        limits = self.settings.knowledge
        return Loader(timeout_s=limits.file_timeout, max_bytes=limits.max_file_mb * 1_000_000)

    @cached_property
    def _reranker(self) -> "CrossEncoderReranker | None":
        from knowledge.reranking import CrossEncoderReranker

        knowledge = self.settings.knowledge
        if knowledge.reranker is None:
            return None
        return CrossEncoderReranker(knowledge.reranker, device=knowledge.embedding_device)

    @property
    def _chunk_settings(self) -> ChunkSettings:
        return ChunkSettings(capacity=self.settings.knowledge.chunk_tokens)

    @property
    def _parts(self) -> "_Parts":
        with self._lock:
            if self._built is None:
                self._built = self._build()
            return self._built

    def _build(self) -> "_Parts":
        from knowledge.index import Index
        from knowledge.known_models import KnownModels
        from knowledge.lexical import Lexical
        from knowledge.recency import Recency
        from knowledge.retriever import Retriever
        from knowledge.store import ChromaStore

        settings = self.settings
        half_life = settings.knowledge.recency

        def open_model(name: str | None) -> Embedder:
            return SentenceTransformerEmbedder(name, device=settings.knowledge.embedding_device)

        embedder = open_model(settings.knowledge.embedding_model)
        models = KnownModels(settings.data_dir / "embedding-models.json", open_model)
        store = ChromaStore(vector_server(settings) or settings.data_dir / "chroma")
        lock = settings.data_dir / "index.lock"
        words = settings.data_dir / "words"
        lexical = Lexical(words)
        return _Parts(
            embedder=embedder,
            models=models,
            index=Index(
                self._engine,
                store,
                embedder,
                self._chunk_settings,
                lock,
                loader=self._loader,
                words=words,
            ),
            retriever=Retriever(
                Manifest(self._engine),
                store,
                embedder,
                lexical,
                models=models.find,
                reranker=self._reranker,
                recency=Recency(half_life) if half_life else None,
            ),
        )


def vector_server(settings: Settings) -> "ChromaServer | None":
    """Where the vectors are, when they are not in the data directory."""
    from knowledge.chroma_server import ChromaServer

    knowledge = settings.knowledge
    if knowledge.chroma_url is None:
        return None
    token = knowledge.chroma_token.get_secret_value() if knowledge.chroma_token else None
    return ChromaServer(knowledge.chroma_url, token=token, database=knowledge.chroma_database)


@contextmanager
def open_library(settings: Settings) -> Iterator[Library]:
    """The library alone, for commands that need no model; raises `DatabaseError`."""
    engine = open_database(settings.database_url.get_secret_value())
    try:
        migrate(engine)
        yield Library(settings, engine)
    finally:
        engine.dispose()
