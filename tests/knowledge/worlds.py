"""Small worlds of sources, some of which somebody may not see; and everything that searches them, without a disk."""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from pathlib import Path

from hypothesis import strategies as st

from knowledge.access import EVERYONE
from knowledge.documents import Chunk
from knowledge.lexical import Lexical
from knowledge.retriever import Retriever
from knowledge.versions import State, collection_name
from tests.knowledge.fakes import HashingEmbedder, MemoryStore
from tests.knowledge.words.shelves import Passages, chunk

PRINCIPALS = [EVERYONE, "slack:T1", "slack:C1", "slack:C2", "discord:role:7"]
SOURCES = ["handbook", "board", "legal", "it"]
GENERATION = "g"

WORDS = st.sampled_from(
    "salary salaries hotel hotels limit merger Kündigung contract server secret project zeta 買収 140".split()
)
TEXTS = st.lists(WORDS, min_size=1, max_size=10).map(" ".join)
QUESTIONS = st.lists(
    st.one_of(
        TEXTS, st.sampled_from(["what is the salray limit?", "secrte projcet", "merge contrakt hotesl"])
    ),
    min_size=1,
    max_size=3,
)
AUDIENCES = st.frozensets(st.sampled_from(PRINCIPALS), min_size=1, max_size=3)


@dataclass(frozen=True)
class World:
    """Sources, who may see them, and their passages."""

    visible_to: Mapping[str, frozenset[str]]
    passages: tuple[Chunk, ...]

    def without(self, hidden: AbstractSet[str]) -> "World":
        """One in which those sources have never been."""
        return World(
            {name: audience for name, audience in self.visible_to.items() if name not in hidden},
            tuple(one for one in self.passages if one.source not in hidden),
        )


@st.composite
def worlds(draw: st.DrawFn) -> World:
    visible_to = draw(st.dictionaries(st.sampled_from(SOURCES), AUDIENCES, min_size=1))
    made = draw(
        st.lists(
            st.tuples(
                st.sampled_from(sorted(visible_to)),
                st.sampled_from(["Rules", "Merger", "Hotels"]),
                TEXTS,
                st.sampled_from(["en", "de", "ja", ""]),
            ),
            max_size=16,
            unique_by=lambda one: one[:3],
        )
    )
    return World(
        visible_to,
        tuple(
            # The same text in two sources has the same key, as it would have.
            replace(
                chunk(text, title=title, source=source, language=language, key=f"{title}/{text}"),
                id=f"{source}/{title}/{text}",
                uri=f"/{source}/{title}/{text}",
            )
            for source, title, text, language in made
        ),
    )


class Shelf(Passages):
    """Satisfies `knowledge.retriever.Shelf`."""

    def __init__(self, world: World, embedder: HashingEmbedder) -> None:
        super().__init__(world.passages)
        self.revision = 1
        self._embedder = embedder

    def state(self) -> State:
        return State(self.revision, GENERATION, self._embedder.fingerprint)

    def described(self, sources: AbstractSet[str]) -> dict[str, tuple[str, Mapping[str, str]]]:
        return {one.id: (one.source, one.metadata) for one in self.chunks if one.source in sources}

    def version_keys(self, versions: Iterable[str]) -> dict[str, set[str]]:
        wanted = set(versions)
        return {one.id: {one.key} for one in self.chunks if one.id in wanted}


class Running:
    """Everything that is searched."""

    def __init__(self, world: World, folder: Path | None = None) -> None:
        self.embedder = HashingEmbedder()
        self.store = MemoryStore()
        self.shelf = Shelf(World({}, ()), self.embedder)
        self.retriever = Retriever(self.shelf, self.store, self.embedder, Lexical(folder))
        self.become(world)

    def become(self, world: World) -> None:
        """As after a sync."""
        self.shelf.chunks = list(world.passages)
        self.shelf.revision += 1
        self.store.data.clear()
        for one in world.passages:
            vectors = self.embedder.embed_documents([one.contextual_text])
            self.store.add(collection_name(GENERATION, one.source), [one.key], vectors)

    def learns(self, sources: frozenset[str], questions: list[str]) -> list[object]:
        """All that somebody who may see these sources can find out."""
        self.retriever.prepare()
        words = self.retriever.lexical.within(sources)
        return [
            (
                self.retriever.search(question, sources=sources, top_k=top_k),
                self.retriever.lexical.search(question, sources=sources, k=50),
                words.corrected(question),
                words.document_frequency(words.analyse(question)),
                words.document_count,
            )
            for question in questions
            for top_k in (1, 6)
        ]
