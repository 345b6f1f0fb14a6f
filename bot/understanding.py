"""What a question asks for: without its filters, beside what it leans on, and so what is searched for and where.

A question that leans on an earlier one of its thread keeps to the filters that were given from there on, until it names
others of the same kind: after "in:handbook how much leave do I get?", "and interns?" is searched in the handbook.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Protocol

from bot.evidence import Vocabulary
from bot.followup import earlier_texts, leans_on, search_query
from bot.messages import Said
from knowledge.errors import FilterError
from knowledge.filters import Filter, parse, without_filters
from knowledge.lexical import content


class Words(Protocol):
    """The part of the knowledge layer that understanding needs; its methods block."""

    def vocabulary_of(self, sources: frozenset[str]) -> Vocabulary:
        """The words of those sources."""

    @property
    def source_tags(self) -> Mapping[str, frozenset[str]]:
        """By source the tags that all of its documents have."""


@dataclass(frozen=True, slots=True)
class Understood:
    """A question, ready to be searched for."""

    text: str
    """In the person's own words, without filters."""
    where: Filter
    query: str
    """What is searched for."""
    asked: str
    """What says which kind of answer is wanted."""
    previous: str | None = None
    """What it leans on: an earlier question of the thread without its filters, or what people said there."""


def understand(
    words: Words,
    question: str,
    *,
    earlier: Sequence[str],
    sources: frozenset[str],
    context: Sequence[Said] = (),
    has_files: bool = False,
    today: date | None = None,
) -> Understood:
    """The question, asked after its thread's `earlier` ones and in the `context` of what people said there.

    `sources` are those that may be seen. A filter without a question asks the last one again, narrowed down.
    Blocking work, for a thread. Raises `FilterError` with a sentence for the person, or `KnowledgeError`.
    """
    days = today or datetime.now(UTC).astimezone().date()
    tags = {name: words.source_tags.get(name, frozenset()) for name in sorted(sources)}
    text, where = parse(question, sources=tags, today=days)
    if not _has_words(text) and where:
        asked = [n for n, one in enumerate(earlier) if _has_words(without_filters(one))]
        if not asked:
            raise FilterError(
                "Ask something beside the filter, as in `since:2026-01 how much leave do I get?`."
            )
        last = understand(
            words,
            without_filters(earlier[asked[-1]]),
            earlier=earlier[: asked[-1]],
            sources=sources,
            context=context,
            has_files=has_files,
            today=days,
        )
        before = last.where
        for one in earlier[asked[-1] :]:  # the question's own, and those that came alone after it
            before = _filter(one, tags, days).over(before)
        return replace(last, where=where.over(before))
    bare = [without_filters(one) for one in earlier]
    vocabulary = words.vocabulary_of(sources)
    own = text if has_files else vocabulary.corrected(text)  # a word of a file may be in no document
    previous = leans_on(
        own,
        earlier=earlier_texts(
            [Said(one.author, without_filters(one.text)) for one in context],
            questions=[one for one in bare if one],
        ),
        analyse=lambda text: vocabulary.analyse(content(text)),
    )
    query = search_query(own, previous)
    if previous not in bare:
        # "Can somebody answer this?" does not ask for a permission: what people said says what is asked for.
        return Understood(text, where, query, text if previous is None else query, previous)
    inherited = Filter()
    for one in earlier[len(bare) - 1 - bare[::-1].index(previous) :]:
        inherited = _filter(one, tags, days).over(inherited)
    return Understood(text, where.over(inherited), query, text, previous)


def _has_words(text: str) -> bool:
    return re.search(r"\w", text) is not None


def _filter(question: str, tags: Mapping[str, frozenset[str]], today: date) -> Filter:
    """Of an earlier question; what it named may not be there any more, or never was."""
    try:
        return parse(question, sources=tags, today=today)[1]
    except FilterError:
        return Filter()
