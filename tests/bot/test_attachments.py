"""Attached files as passages, with a hashing embedder."""

import pytest

from bot.attachments import MOST_FILES, MOST_PASSAGES, Attachments
from knowledge.documents import Hit
from tests.bot.conftest import FakeSearch, chunk

MENU = "Monday is soup day.\n\n## Friday\n\nFish is served at noon.\n"
PRICES = "A room costs 90 EUR.\n\n## Breakfast\n\nBreakfast costs 12 EUR.\n"
FILES = [("menu.md", MENU), ("prices.pdf", PRICES)]


@pytest.fixture
def attachments(search: FakeSearch) -> Attachments:
    return Attachments(search)


def test_a_file_is_embedded_once_until_it_changes(search: FakeSearch, attachments: Attachments) -> None:
    for _ in range(2):
        attachments.of(FILES).join([], query="fish", question="fish")
    once = search.embedder.embedded
    assert once > 0
    attachments.of([("menu.md", f"{MENU}\nChanged.")]).join([], query="fish", question="fish")
    assert search.embedder.embedded > once


def test_of_two_files_of_one_name_the_later_counts(attachments: Attachments) -> None:
    found = attachments.of([("menu.md", "Old soup."), *FILES]).join([], query="soup", question="soup")
    assert "Old soup." not in {hit.chunk.text for hit in found}


def test_of_very_many_files_the_oldest_are_left_out(attachments: Attachments) -> None:
    files = attachments.of([(f"{n}.md", f"Text {n}.") for n in range(MOST_FILES + 1)])
    assert files.meant("What does 0.md say?") == []
    assert files.meant(f"What does {MOST_FILES}.md say?") == [f"{MOST_FILES}.md"]


@pytest.mark.parametrize(
    ("question", "new", "meant"),
    [
        ("What does prices.pdf say about rooms?", [], ["prices.pdf"]),
        ("What does Menu.md say?", ["prices.pdf"], ["menu.md"]),
        ("How much is a room?", ["prices.pdf"], ["prices.pdf"]),
        ("How much is a room according to the attached file?", [], ["prices.pdf"]),
        ("Was steht in der angehängten Datei?", [], ["prices.pdf"]),
        ("How much is a room?", [], []),
    ],
)
def test_the_file_that_is_meant(
    question: str, new: list[str], meant: list[str], attachments: Attachments
) -> None:
    assert attachments.of(FILES, new=new).meant(question) == meant


@pytest.mark.parametrize(
    ("question", "is_subject"),
    [
        ("summarise this", True),
        ("Can you give me a short summary of the attached PDF?", True),
        ("tl;dr", True),
        ("What are the 3 main points of menu.md?", True),
        ("Fass das Dokument bitte kurz zusammen", True),
        ("What does this file say about fish?", False),
        ("How much is a room?", False),
    ],
)
def test_whether_a_question_is_about_the_whole_file(
    question: str, is_subject: bool, attachments: Attachments
) -> None:
    assert attachments.of(FILES, new=["menu.md"]).is_subject(question) is is_subject


def test_without_files_no_question_is_about_one(attachments: Attachments) -> None:
    assert not attachments.of([]).is_subject("Summarise the document")
    assert not attachments.of([("menu.md", MENU)]).is_subject("Summarise the thread")


@pytest.mark.parametrize(
    ("question", "rest"),
    [
        ("What does the attached file say about fish?", "What does about fish?"),
        ("In menu.md, when is fish served?", "In , when is fish served?"),
        ("What do people say about fish?", "What do people say about fish?"),
    ],
)
def test_what_is_looked_for_is_the_question_without_the_file(
    question: str, rest: str, attachments: Attachments
) -> None:
    assert attachments.of(FILES).without_mention(question) == rest


DOCUMENTS = [Hit(chunk(f"d{n}", f"Document {n}"), 0.9 - n / 10, 0.5) for n in range(6)]


def test_a_file_that_is_meant_comes_first_and_the_documents_keep_their_order(
    attachments: Attachments,
) -> None:
    files = attachments.of([*FILES, ("long.md", "\n\n".join(f"## {n}\n\n{'word ' * 50}" for n in range(9)))])
    found = files.join(DOCUMENTS, query="when is fish served", question="when is fish served, says menu.md?")
    titles = [hit.chunk.title for hit in found]
    assert titles[0] == "menu.md"
    assert [hit for hit in found if hit in DOCUMENTS] == DOCUMENTS
    assert len(found) <= len(DOCUMENTS) + MOST_PASSAGES
    assert [hit.score for hit in found] == sorted((hit.score for hit in found), reverse=True)


def test_a_file_of_the_thread_joins_by_how_near_it_is(attachments: Attachments) -> None:
    found = attachments.of(FILES).join(DOCUMENTS, query="fish is served at noon", question="")
    assert any(hit.chunk.text == "Fish is served at noon." for hit in found)
    assert found[0].chunk.title != "prices.pdf"


def test_passages_carry_the_name_of_the_file_and_no_address(attachments: Attachments) -> None:
    hits, _ = attachments.of(FILES, new=["menu.md", "prices.pdf"]).outline("summarise", most=4)
    assert [hit.chunk.title for hit in hits] == ["menu.md"] * 2 + ["prices.pdf"] * 2
    assert {(hit.chunk.source, hit.chunk.uri) for hit in hits} == {("attachment", "")}
    assert [hit.chunk.position for hit in hits] == [0, 1, 0, 1]
    assert len({hit.chunk.id for hit in hits}) == 4


def test_a_file_without_a_passage_is_no_trouble(attachments: Attachments) -> None:
    files = attachments.of([("empty.md", "<!-- nothing -->")], new=["empty.md"])
    assert files.outline("summarise", most=4)[0] == []
    assert files.join(DOCUMENTS, query="fish", question="fish") == DOCUMENTS
