"""The words of one source in one Tantivy index, as they are for one set of keys; never changed once it is built.

A passage is indexed under its key, with each of its terms at the level that `knowledge.words.weights` gives it, so the
index itself weighs nothing: a search says what each term at each level is worth.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from knowledge.documents import Chunk
from knowledge.words.analysis import stemmed_as, terms
from knowledge.words.weights import PARAMETERS, levels, weight

LAYOUT = 1
"""Raised whenever the same passages would be indexed otherwise."""
_LONG_WORD = re.compile(r"[^\W\d_]{5,}")
_TOKENS = "tokens"
_LEVEL = "\x1f"
"""Between a term and its level."""
_FIRST_LEVEL = 0x21
_TIES = 1 << 12
_HEAP = 64_000_000
_MOST_POSTINGS = 50_000


@dataclass(frozen=True, slots=True)
class Posting:
    """Where one term stands in a source."""

    frequency: int
    """The number of passages."""
    levels: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Term:
    """One word of a question: what it may be in a passage, and what it is worth."""

    variants: tuple[str, ...]
    idf: float


class SourceWords:
    """An index that is searched; from any thread."""

    def __init__(self, index: Any, *, has_deleted: bool = False) -> None:
        """`index` is committed; with `has_deleted`, passages of other sets of keys may still be in its statistics."""
        from tantivy import Query

        index.reload()
        self._searcher = index.searcher()
        self._schema = index.schema
        self._live = Query.all_query() if has_deleted else None
        self.posting = lru_cache(maxsize=_MOST_POSTINGS)(self._posting)
        """Where a term stands."""
        self.count = int(self._searcher.num_docs)
        """The number of passages."""
        self.languages = frozenset(name.removeprefix(_LEVEL) for name, _ in self._terms("language", _LEVEL))
        """Keys of `STEMMERS`, or `WHOLE`."""

    def search(
        self, question: Sequence[Term], *, k: int, keys: AbstractSet[str] | None = None
    ) -> list[tuple[str, float]]:
        """The `k` best keys with their score, best first; equal scores in an order that depends on the keys alone.

        With `keys` none but these.
        """
        from tantivy import Occur, Query

        clauses = []
        for term in question:
            found = [
                Query.const_score_query(
                    Query.term_query(self._schema, "terms", _token(variant, level), index_option="basic"),
                    weight(term.idf, level),
                )
                for variant in term.variants
                for level in self.posting(variant).levels
            ]
            # A passage has a term at one level only; of several forms of a word in it, the best counts.
            if len(term.variants) > 1 and found:
                clauses.append((Occur.Should, Query.disjunction_max_query(found)))
            else:
                clauses += [(Occur.Should, one) for one in found]
        if not clauses or k < 1:
            return []
        query, limit = Query.boolean_query(clauses), k + 1
        if keys is not None:
            among = Query.const_score_query(Query.term_set_query(self._schema, "key", sorted(keys)), 0.0)
            query = Query.boolean_query([(Occur.Must, query), (Occur.Must, among)])
        while True:
            hits = self._searcher.search(query, limit=limit, count=False, weight_by_field="tie").hits
            if len(hits) < limit or hits[-1][0] < hits[k - 1][0]:
                break
            limit *= 4  # passages of equal score: which of them come first must not depend on the order of indexing
        keyed = [(str(self._searcher.doc(address)["key"][0]), float(score)) for score, address in hits]
        return sorted(keyed, key=lambda hit: (-hit[1], hit[0]))[:k]

    def _posting(self, term: str) -> Posting:
        found = self._terms("terms", f"{term}{_LEVEL}")
        steps = sorted(ord(token[-1]) - _FIRST_LEVEL for token, _ in found)
        return Posting(sum(count for _, count in found), tuple(steps))

    def long_words(self, beginning: str) -> dict[str, int]:
        """The words of five letters or more that begin so, in lower case, with the number of passages they are in."""
        return dict(self._terms("words", beginning))

    def _terms(self, field: str, prefix: str) -> list[tuple[str, int]]:
        found: list[tuple[str, int]] = self._searcher.terms_with_prefix(
            field, prefix, filter_query=self._live
        )
        return found


def build(
    index: Any, chunks: Iterable[tuple[str, Chunk]], *, gone: AbstractSet[str] = frozenset(), language: str
) -> None:
    """Add the passages of `chunks` to an index, each under its key, and take those of the keys `gone` away.

    `language` is that of passages whose language is not known.
    """
    import tantivy

    # One thread gives one segment.
    writer = index.writer(heap_size=_HEAP, num_threads=1)
    if gone:
        writer.delete_documents_by_query(tantivy.Query.term_set_query(index.schema, "key", sorted(gone)))
    for key, chunk in chunks:
        code = stemmed_as(chunk.language, otherwise=language)
        found = levels(terms(chunk.title, code), terms(chunk.heading, code), terms(chunk.text, code))
        writer.add_document(
            tantivy.Document(
                key=key,
                terms=" ".join(_token(term, level) for term, level in found.items()),
                words=" ".join(set(_LONG_WORD.findall(chunk.contextual_text.casefold()))),
                language=_LEVEL + code,
                tie=_tie(key),
            )
        )
    writer.commit()
    writer.wait_merging_threads()


def new_index(folder: Path | None) -> Any:
    """An empty one, in memory without a folder."""
    import tantivy

    builder = tantivy.SchemaBuilder()
    builder.add_text_field("key", stored=True, tokenizer_name="raw", index_option="basic")
    builder.add_text_field("terms", tokenizer_name=_TOKENS, index_option="basic")
    builder.add_text_field("words", tokenizer_name=_TOKENS, index_option="basic")
    builder.add_text_field("language", tokenizer_name="raw", index_option="basic")
    builder.add_float_field("tie", fast=True)
    schema = builder.build()
    return _ready(tantivy.Index(schema, path=str(folder)) if folder else tantivy.Index(schema))


def open_index(folder: Path) -> Any:
    """One that was written before. Raises ValueError when it is none."""
    import tantivy

    return _ready(tantivy.Index.open(str(folder)))


def recipe(language: str) -> str:
    """What the index of given passages depends on: two of the same recipe are the same."""
    return f"{LAYOUT} {PARAMETERS} {version('tantivy')} {language}"


def fingerprint(keys: Iterable[str], *, language: str) -> str:
    """Of what an index of these keys holds; 32 hexadecimal digits."""
    digest = hashlib.sha256(recipe(language).encode())
    for key in sorted(keys):
        digest.update(f"\0{key}".encode())
    return digest.hexdigest()[:32]


def _ready(index: Any) -> Any:
    from tantivy import TextAnalyzerBuilder, Tokenizer

    index.register_tokenizer(_TOKENS, TextAnalyzerBuilder(Tokenizer.whitespace()).build())
    return index


def _token(term: str, level: int) -> str:
    return f"{term}{_LEVEL}{chr(_FIRST_LEVEL + level)}"


def _tie(key: str) -> float:
    """Tantivy multiplies the score by log2(2 + this): a thousandth at most, so that few passages score the same."""
    digest = hashlib.sha256(key.encode()).digest()
    return int.from_bytes(digest[:2], "big") % _TIES / _TIES / 512
