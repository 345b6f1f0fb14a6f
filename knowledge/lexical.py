"""BM25 over the live passages, from one Tantivy index for each source.

What is asked about the sources that somebody may see depends on these sources alone: scores, corrections and statistics
are put together from their indexes at that moment (`knowledge.words.weights` says how), and are what one index of the
same passages would give. A query is never parsed as query syntax: it is analysed like the text, for each language
that these sources hold.

A source's index is made, or changed, when the keys of its passages have changed; `knowledge.words.snapshots` keeps it
on disk. Where the disk cannot be written it is made in memory, which costs seconds at every start and every change. A
passage that stands in documents of two languages is indexed in that of one of them.
"""

import logging
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from knowledge.documents import Chunk
from knowledge.errors import IndexDamagedError
from knowledge.spelling import correct
from knowledge.words.analysis import WHOLE, stemmed_as, terms, variants
from knowledge.words.questions import QUESTION_WORDS, content, is_question_word
from knowledge.words.snapshots import Snapshots
from knowledge.words.source import SourceWords, Term, build, fingerprint, new_index
from knowledge.words.weights import inverse_document_frequency

__all__ = ["QUESTION_WORDS", "Lexical", "Words", "content"]

log = logging.getLogger(__name__)

_MOST_QUERY_TERMS = 64
_PAGE = 1_000
_ATTEMPTS = 5


class Keyed(Protocol):
    """The passages that are searched; the part of `knowledge.retriever.Shelf` that is needed here."""

    def live_keys(self) -> Mapping[str, AbstractSet[str]]:
        """For each source the keys of its passages."""

    def find_keys(self, keys: Iterable[str], *, sources: AbstractSet[str]) -> Mapping[str, Sequence[Chunk]]:
        """By key the passages of those sources, in a fixed order; only keys that have any."""


@dataclass(frozen=True)
class _State:
    """What was indexed of a revision; replaced as a whole."""

    revision: int | None = None
    updated: frozenset[str] | None = frozenset()
    """The sources that are as in this revision; None: all there are."""
    sources: Mapping[str, SourceWords] = field(default_factory=dict)
    """With those that have not been looked at since an earlier revision."""
    fingerprints: Mapping[str, str] = field(default_factory=dict)

    def knows(self, sources: AbstractSet[str] | None) -> bool:
        return sources is not None and sources <= self.sources.keys()

    def has(self, revision: int, sources: AbstractSet[str] | None) -> bool:
        if self.revision != revision:
            return False
        return self.updated is None or (sources is not None and sources <= self.updated)


class _MovedError(Exception):
    """A sync has published while the passages were read."""


class Lexical:
    """Searches the words of the documents, from any thread."""

    def __init__(self, folder: Path | None = None, *, language: str = "en") -> None:
        """Empty until `update`. Without a `folder` everything is in memory; several processes may share one.

        `language` (ISO 639-1) is that of texts whose language is not known; '' leaves their words whole.
        """
        self._language = language
        self._snapshots = Snapshots(folder, language=language) if folder else None
        self._state = _State()
        self._lock = threading.Lock()

    @property
    def revision(self) -> int | None:
        """The manifest's revision as of the last `update`; None before the first."""
        return self._state.revision

    def update(self, shelf: Keyed, *, revision: int, sources: AbstractSet[str] | None = None) -> None:
        """See what is live now, in some `sources` or all: cheap when nothing has changed, seconds when much has.

        While another thread does that, one whose `sources` all had words before does not wait, and goes on with those.

        Raises IndexDamagedError when the shelf does.
        """
        if self._state.has(revision, sources):
            return
        if not self._lock.acquire(blocking=not self._state.knows(sources)):
            return
        try:
            if not self._state.has(revision, sources):
                self._state = self._updated(shelf, revision, sources)
        finally:
            self._lock.release()

    def within(self, sources: AbstractSet[str]) -> "Words":
        """The words of these sources, and of no other."""
        return Words(self, frozenset(sources))

    def search(
        self, query: str, *, sources: AbstractSet[str], k: int, keys: AbstractSet[str] | None = None
    ) -> list[tuple[str, float]]:
        """The `k` best keys of these sources with their score, best first, each once.

        With `keys` only these are found, with the scores that they have among all.
        """
        searched = self._of(sources)
        question = _question(query, searched)
        best: dict[str, float] = {}
        for source in searched:
            for key, score in source.search(question, k=k, keys=keys):
                best[key] = max(score, best.get(key, 0.0))
        return sorted(best.items(), key=lambda hit: (-hit[1], hit[0]))[: max(k, 0)]

    def corrected(self, query: str, *, sources: AbstractSet[str]) -> str:
        """The query with words that none of these sources has replaced by those they were probably meant to be."""
        searched = self._of(sources)

        def known(beginning: str) -> Mapping[str, int]:
            found: Counter[str] = Counter()
            for source in searched:
                found.update(source.long_words(beginning))
            return found

        def is_known(word: str) -> bool:
            return is_question_word(word) or any(
                source.posting(term).frequency
                for term in variants(word, _languages(searched))
                for source in searched
            )

        return correct(query, known=known, is_known=is_known)

    def analyse(self, text: str, *, language: str = "") -> list[str]:
        """The stems of the text's words in order, as a text of that language is indexed."""
        return terms(text, stemmed_as(language, otherwise=self._language))

    def document_count(self, *, sources: AbstractSet[str]) -> int:
        """The number of passages; one that stands in several places of a source is one."""
        return sum(source.count for source in self._of(sources))

    def document_frequency(self, stems: Iterable[str], *, sources: AbstractSet[str]) -> dict[str, int]:
        """In how many passages each stem from `analyse` stands in title, headings or text."""
        searched = self._of(sources)
        return {stem: sum(source.posting(stem).frequency for source in searched) for stem in stems}

    def _of(self, sources: AbstractSet[str]) -> list[SourceWords]:
        state = self._state
        return [state.sources[name] for name in sorted(sources) if name in state.sources]

    def _updated(self, shelf: Keyed, revision: int, sources: AbstractSet[str] | None) -> _State:
        for _ in range(_ATTEMPTS):
            with suppress(_MovedError):
                return self._read(shelf, revision, sources)
        raise IndexDamagedError(
            "The list of documents names passages that are not there. Run `parley reindex`, and `parley doctor`."
        )

    def _read(self, shelf: Keyed, revision: int, sources: AbstractSet[str] | None) -> _State:
        before, live = self._state, shelf.live_keys()
        indexed, fingerprints = dict(before.sources), dict(before.fingerprints)
        for name in indexed.keys() - live.keys():
            del indexed[name], fingerprints[name]
        for name in live if sources is None else live.keys() & sources:
            found = fingerprint(live[name], language=self._language)
            if found != fingerprints.get(name):
                indexed[name] = self._index(shelf, name, live[name])
                fingerprints[name] = found
        if self._snapshots and sources is None:
            self._snapshots.keep_only(live.keys())
        updated = None if sources is None else frozenset(sources)
        if updated is not None and before.revision == revision:
            updated |= before.updated or frozenset()
        return _State(revision, updated, indexed, fingerprints)

    def _index(self, shelf: Keyed, source: str, keys: AbstractSet[str]) -> SourceWords:
        def load(wanted: AbstractSet[str]) -> Iterator[tuple[str, Chunk]]:
            rest = sorted(wanted)
            for start in range(0, len(rest), _PAGE):
                page = rest[start : start + _PAGE]
                found = shelf.find_keys(page, sources=frozenset({source}))
                for key in page:
                    if not (chunks := found.get(key)):
                        raise _MovedError
                    yield key, chunks[0]

        if self._snapshots:
            try:
                return self._snapshots.open(source, keys, load)
            except (OSError, ValueError) as error:
                log.warning(
                    "the words of %s are indexed in memory, because the disk refuses: %s", source, error
                )
        index = new_index(None)
        build(index, load(keys), language=self._language)
        return SourceWords(index)


@dataclass(frozen=True, slots=True)
class Words:
    """The words of some sources; see the methods of `Lexical`."""

    lexical: Lexical
    sources: frozenset[str]

    @property
    def document_count(self) -> int:
        return self.lexical.document_count(sources=self.sources)

    def analyse(self, text: str, *, language: str = "") -> list[str]:
        return self.lexical.analyse(text, language=language)

    def corrected(self, query: str) -> str:
        return self.lexical.corrected(query, sources=self.sources)

    def document_frequency(self, stems: Iterable[str]) -> dict[str, int]:
        return self.lexical.document_frequency(stems, sources=self.sources)


def _languages(searched: Sequence[SourceWords]) -> list[str]:
    return sorted(frozenset().union(*(source.languages for source in searched)))


def _question(query: str, searched: Sequence[SourceWords]) -> list[Term]:
    """What the words of the query may be in these sources, and what they are worth there."""
    total = sum(source.count for source in searched)
    languages = _languages(searched)
    taken: set[str] = set()
    question: list[Term] = []
    for word in list(dict.fromkeys(terms(content(query), WHOLE)))[:_MOST_QUERY_TERMS]:
        forms = tuple(form for form in variants(word, languages) if form not in taken)
        taken.update(forms)
        frequencies = {form: sum(source.posting(form).frequency for source in searched) for form in forms}
        if most := max(frequencies.values(), default=0):
            question.append(Term(forms, inverse_document_frequency(most, of=total)))
    return question
