"""Files that people attached in a thread: cut, embedded and ranked for one question, never indexed.

Passages and vectors of the last files are kept, so that a follow-up does not embed them again. They are kept by
content and found only by who hands the same file in again: nothing passes from one thread to another.

Whether a question is about the files is a rule over English and German words, not a model: one that comes with a file
is, and one that names a file ("the attached report.pdf") is. A question that it misses still finds the files' passages
when they are near it.
"""

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import Protocol

import numpy as np

from knowledge.chunking import Chunker
from knowledge.documents import Chunk, Document, Hit
from knowledge.embedding import Embedder, Vectors
from knowledge.lexical import QUESTION_WORDS

SOURCE = "attachment"
"""What stands as the source of a file's passages."""
MOST_FILES = 10
"""Of a thread; older ones are left out."""
MOST_PASSAGES = 4
"""That join those of the documents."""
NAMED_LEAD = 3.0
"""Of the passages of a file that the question names: so many times the score of the best of the documents'."""
KEPT = 32
"""Files whose passages and vectors are kept; about 2 MB each at most."""

_FILES = (
    r"(?:files?|documents?|docs?|pdfs?|attachments?|spreadsheets?|presentations?|slides|"
    r"datei(?:en)?|dokumente?|anhang)"
)
_MENTION = re.compile(
    r"(?:\b(?:in|from|of|to|according to|based on|aus|laut)\s+)?"
    r"\b(?:this|that|the|these|those|my|our|attached|uploaded|der|die|das|dem|den|diese[rsmn]?)\s+"
    r"(?:(?:attached|uploaded|enclosed|above|angehängten?|beigefügten?)\s+)*"
    rf"{_FILES}\b",
    re.IGNORECASE,
)
_SAYS = re.compile(r"\b(?:says?|mentions?|states?|tells?|steht|sagt)\b", re.IGNORECASE)
# Words of a wish that looks for nothing in particular: "give me a short summary of the main points".
_OF_ALL = frozenset(
    """
    attached brief briefly bullet bullets content contents describe explain file gist important key list look main
    most outline overview paragraph point points quick quickly read say says sentence sentences short shortly sum
    summaries summarise summarised summarize summarized summary takeaways tl tldr dr topic topics
    bitte dar darin datei dokument du es fass fasse geht ihr inhalt kurz mir steht stichpunkten überblick uns worum
    zusammen zusammenfassen zusammenfassung
    """.split()
)


class Cutter(Protocol):
    """The part of the knowledge layer that files need; its methods block."""

    def cut(self, name: str, text: str) -> list[Chunk]:
        """The file's passages in order; their source is `SOURCE`, their title the file's name."""

    @property
    def embedder(self) -> Embedder: ...


def cut(chunker: Chunker, name: str, text: str) -> list[Chunk]:
    """What `Cutter.cut` returns."""
    key = hashlib.sha256(f"{name}\0{text}".encode()).hexdigest()[:24]
    document = Document(id=f"{SOURCE}-{key}", source=SOURCE, title=name, uri="", text=text)
    return [
        Chunk(
            id=f"{document.id}-{passage.position}",
            document_id=document.id,
            source=document.source,
            position=passage.position,
            title=document.title,
            heading=passage.heading,
            uri=document.uri,
            text=passage.text,
        )
        for passage in chunker.passages(document)
    ]


class Attachments:
    """Makes and keeps what is needed of the last files; used from any thread."""

    def __init__(self, cutter: Cutter) -> None:
        self._cutter = cutter
        self._kept = lru_cache(maxsize=KEPT)(self._embedded)

    def of(self, files: Sequence[tuple[str, str]], *, new: Collection[str] = ()) -> "Attached":
        """The thread's `files`, names and texts, oldest first; `new` are the names of those that came just now.

        Cheap; of two files of one name the later counts.
        """
        latest: dict[str, str] = {}
        for name, text in files:
            latest.pop(name, None)
            latest[name] = text
        return Attached(dict(list(latest.items())[-MOST_FILES:]), frozenset(new), self)

    def pieces(self, name: str, text: str) -> tuple[list[Chunk], Vectors]:
        """A file's chunks, and their vectors, shape (n, d). Blocking; raises `KnowledgeError`."""
        return self._kept(name, text)

    def embed_query(self, query: str) -> Vectors:
        """Shape (d,)."""
        vector: Vectors = self._cutter.embedder.embed_queries([query])[0]
        return vector

    def _embedded(self, name: str, text: str) -> tuple[list[Chunk], Vectors]:
        chunks = self._cutter.cut(name, text)
        return chunks, self._cutter.embedder.embed_documents([chunk.contextual_text for chunk in chunks])


class Attached:
    """The files of one thread, for one question. What searches blocks, and raises `KnowledgeError`."""

    def __init__(self, files: Mapping[str, str], new: frozenset[str], attachments: Attachments) -> None:
        self._files = files
        self._new = [name for name in files if name in new]
        self._attachments = attachments

    def __bool__(self) -> bool:
        return bool(self._files)

    def meant(self, question: str) -> list[str]:
        """Names of the files that the question is about: those it names, else those that came with it."""
        named = [name for name in self._files if name.casefold() in question.casefold()]
        latest = list(self._files)[-1:] if _MENTION.search(question) else []
        return named or self._new or latest

    def is_named(self, question: str) -> bool:
        """Whether the question speaks of a file."""
        return bool(_MENTION.search(question)) or any(
            name.casefold() in question.casefold() for name in self._files
        )

    def is_subject(self, question: str) -> bool:
        """Whether the question is about a file as a whole: "summarise this", "what is in the attached PDF?"."""
        words = re.findall(r"[^\W\d_]+", self.without_mention(question).casefold())
        return bool(self.meant(question)) and set(words) <= QUESTION_WORDS | _OF_ALL

    def without_mention(self, query: str) -> str:
        """What is left to look for in the files: "what does the attached file say about leave?" asks for leave."""
        rest = _MENTION.sub(" ", query)
        for name in self._files:
            rest = re.sub(re.escape(name), " ", rest, flags=re.IGNORECASE)
        return query if rest == query else " ".join(_SAYS.sub(" ", rest).split())

    def join(self, hits: Sequence[Hit], *, query: str, question: str) -> list[Hit]:
        """The best passages of the files among the `hits` of the documents, before them if the question means them.

        `query` is what is looked for, `question` what says which files are meant.
        The documents' passages keep their scores, which the ranking of statements takes relative to the best: beside a
        file that only came with the question they lose nothing, beside one that the question names they lose most.
        """
        vector = self._attachments.embed_query(query)
        meant = self.meant(question)
        lead = NAMED_LEAD if self.is_named(question) else 1.0
        found: list[tuple[bool, Hit]] = []
        for name, text in self._files.items():
            chunks, vectors = self._attachments.pieces(name, text)
            found += [
                (name in meant, Hit(chunk, float(similarity), float(similarity)))
                for chunk, similarity in zip(chunks, vectors @ vector, strict=True)
            ]
        found.sort(key=lambda item: (item[0], item[1].score), reverse=True)
        top = max((hit.score for hit in hits), default=0.0)
        joined = [
            Hit(hit.chunk, lead * top + 0.01 * (1 + hit.score), hit.similarity) if goes_first else hit
            for goes_first, hit in found[:MOST_PASSAGES]
        ]
        return sorted([*joined, *hits], key=lambda hit: -hit.score)

    def outline(self, question: str, *, most: int) -> tuple[list[Hit], Vectors]:
        """At most `most` passages that stand for the files that are meant, in order, and the files' middle, shape (d,).

        The opening, and those that are most like the whole.
        """
        files = [self._attachments.pieces(name, self._files[name]) for name in self.meant(question)[:most]]
        centre = np.vstack([vectors for _, vectors in files]).sum(axis=0)
        centre /= max(float(np.linalg.norm(centre)), 1e-9)
        hits: list[Hit] = []
        for chunks, vectors in files:
            similarities = vectors @ centre
            best = sorted(range(len(chunks)), key=lambda i: (i > 0, -similarities[i]))[: most // len(files)]
            hits += [Hit(chunks[i], float(similarities[i]), float(similarities[i])) for i in sorted(best)]
        return hits, centre
