"""BM25 over the live chunks, in memory (Tantivy).

Rebuilt when the manifest's revision changes (29,459 chunks: 4 s on two busy cores; a search: 1.3 ms). The query
is never parsed as query syntax: it is analysed like the text, and its terms are looked up.
"""

import re
import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from knowledge.documents import Chunk
from knowledge.spelling import correct

_BOOSTS = {"title": 2.0, "heading": 1.5, "text": 1.0}
_LONGEST_TERM = 60
_ANALYSER = "parley"
_MAX_QUERY_TERMS = 64
_LONG_WORD = re.compile(r"[^\W\d_]{5,}")


# Words a question is built with rather than about; they say nothing on what is asked.
QUESTION_WORDS = frozenset(
    """
    a about am an and any are as at be been but by can could did do does doing done find for from get
    give go got had has have he her hi hello hey him his how i if in into is it its just know let like
    many may me mean might much must my need no not of on or our out over please she should so some
    someone something tell than thank thanks that the their them then there these they thing things this
    those to too up us use used want was we were what whats what's when where which who whom whose why
    will with work works would you your der die das ein eine ich wir ist sind wie was wo wann wer welche
    welcher kann muss für und oder den dem zu im in
    """.split()
)


def content(text: str) -> str:
    """The text without the words that questions are built with; all of it when nothing else is left."""
    words = [
        word
        for word in re.findall(r"[^\s]+", text)
        if word.casefold().strip("?!.,:;\"'()") not in QUESTION_WORDS
    ]
    return " ".join(words) or text


@dataclass(frozen=True)
class _Built:
    revision: int
    index: Any
    searcher: Any
    words: Mapping[str, int]
    """Every word of five letters or more, as written but in lower case, and how often it comes."""


class Lexical:
    """An inverted index with word stems of one language, used from any thread."""

    def __init__(self, *, language: str = "english") -> None:
        """Empty; see `rebuild`. `language` is a Snowball stemmer's name."""
        self._language = language
        self._built: _Built | None = None
        self._lock = threading.Lock()

    @property
    def revision(self) -> int | None:
        """The manifest's revision that was indexed; None before the first `rebuild`."""
        return self._built.revision if self._built else None

    @property
    def document_count(self) -> int:
        """The number of chunks."""
        return int(self._built.searcher.num_docs) if self._built else 0

    def rebuild(self, chunks: Iterable[Chunk], *, revision: int) -> None:
        """Replace the index by one of `chunks`; searches go on in the old one meanwhile."""
        import tantivy

        with self._lock:
            if self.revision == revision:
                return
            index = tantivy.Index(self._schema)
            index.register_tokenizer(_ANALYSER, self._analyser)
            # One thread gives one segment: the same chunks give the same ranking.
            writer = index.writer(heap_size=64_000_000, num_threads=1)
            seen: Counter[str] = Counter()
            for chunk in chunks:
                seen.update(_LONG_WORD.findall(chunk.contextual_text.casefold()))
                writer.add_document(
                    tantivy.Document(
                        id=chunk.id,
                        source=chunk.source,
                        title=chunk.title,
                        heading=chunk.heading,
                        text=chunk.text,
                        everything=f"{chunk.context}\n{chunk.text}",
                    )
                )
            writer.commit()
            writer.wait_merging_threads()
            index.reload()
            self._built = _Built(revision, index, index.searcher(), seen)

    def search(self, query: str, *, sources: AbstractSet[str], k: int) -> list[tuple[str, float]]:
        """The `k` best chunk ids of these sources with their BM25 score, best first."""
        built = self._built
        terms = list(dict.fromkeys(self.analyse(content(query))))[:_MAX_QUERY_TERMS]
        if built is None or not terms or not sources or k < 1:
            return []
        from tantivy import Occur, Query

        words = [
            (Occur.Should, Query.boost_query(Query.term_query(self._schema, name, term), boost))
            for term in terms
            for name, boost in _BOOSTS.items()
        ]
        allowed = Query.term_set_query(self._schema, "source", sorted(sources))
        found = built.searcher.search(
            Query.boolean_query(
                [
                    (Occur.Must, Query.boolean_query(words)),
                    (Occur.Must, Query.const_score_query(allowed, 0.0)),
                ]
            ),
            limit=k,
            count=False,
        )
        hits = [(str(built.searcher.doc(address)["id"][0]), float(score)) for score, address in found.hits]
        return sorted(hits, key=lambda hit: (-hit[1], hit[0]))

    def corrected(self, query: str) -> str:
        """The query with words that no document has replaced by those they were probably meant to be."""
        if self._built is None:
            return query
        return correct(
            query,
            known=self._built.words,
            is_known=lambda word: (
                word.casefold() in QUESTION_WORDS or any(self.document_frequency(self.analyse(word)).values())
            ),
        )

    def analyse(self, text: str) -> list[str]:
        """The stems of the text's words in order, as they are indexed."""
        return list(self._analyser.analyze(text))

    def document_frequency(self, terms: Sequence[str]) -> dict[str, int]:
        """In how many chunks each term (a stem from `analyse`) stands in title, headings or text."""
        if self._built is None:
            return dict.fromkeys(terms, 0)
        return {term: int(self._built.searcher.doc_freq("everything", term)) for term in terms}

    @cached_property
    def _analyser(self) -> Any:
        from tantivy import Filter, TextAnalyzerBuilder, Tokenizer

        builder = TextAnalyzerBuilder(Tokenizer.simple()).filter(Filter.remove_long(_LONGEST_TERM))
        return builder.filter(Filter.lowercase()).filter(Filter.stemmer(self._language)).build()

    @cached_property
    def _schema(self) -> Any:
        from tantivy import SchemaBuilder

        builder = SchemaBuilder()
        builder.add_text_field("id", stored=True, tokenizer_name="raw", index_option="basic")
        builder.add_text_field("source", tokenizer_name="raw", index_option="basic")
        for name in _BOOSTS:
            builder.add_text_field(name, tokenizer_name=_ANALYSER, index_option="freq")
        builder.add_text_field("everything", tokenizer_name=_ANALYSER, index_option="basic")
        return builder.build()
