"""What a question and the passages that were found for it are compared by."""

from collections.abc import Sequence
from dataclasses import replace

from bot.evidence import Evidence
from knowledge.documents import Hit
from knowledge.lexical import Lexical
from tests.knowledge.fakes import HashingEmbedder
from tests.knowledge.words.shelves import Passages, chunk

GERMAN = chunk("Die Kündigungsfristen stehen im Vertrag.", language="de", key="de")
ENGLISH = chunk("Notice periods are in the contract.", language="en", key="en")


def evidence(question: str, languages: Sequence[str]) -> Evidence:
    lexical = Lexical()
    lexical.update(Passages([GERMAN, ENGLISH]), revision=1)
    chunks = {"de": GERMAN, "en": ENGLISH, "": replace(ENGLISH, language="")}
    return Evidence(
        question,
        [Hit(chunks[language], 1.0, 1.0) for language in languages],
        embedder=HashingEmbedder(),
        vocabulary=lexical.within({"docs"}),
    )


def test_words_are_cut_as_in_the_language_that_most_hits_are_in() -> None:
    german = evidence("Wie lang ist die Kündigungsfrist?", ["de", "en", "de"])
    assert german.analyse("Kündigungsfristen") == ["kundigungsfrist"]
    assert german.terms.weights.keys() == {"lang", "kundigungsfrist"}
    assert german.bare_coverages[0] > german.bare_coverages[1] == 0


def test_without_a_language_they_are_cut_as_english() -> None:
    assert evidence("notice periods", ["", ""]).terms.weights.keys() == {"notic", "period"}
    assert evidence("notice periods", []).terms.weights.keys() == {"notic", "period"}
