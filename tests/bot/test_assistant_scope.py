"""What an answer may be found in: the sources of the place, those of a filter, and attached files."""

import pytest

from bot.llm.local import Unavailable
from bot.places import PlaceSettings
from feedback.store import FeedbackStore
from knowledge.access import EVERYONE
from tests.bot.asking import FACT, QUESTION, assistant, events, last, message, stored
from tests.bot.conftest import FakeSearch, chunk
from tests.llm.fakes import ScriptedLLM


async def test_nothing_is_found_in_sources_that_the_place_may_not_see(
    search: FakeSearch, store: FeedbackStore
) -> None:
    hidden = FakeSearch(
        [type(c)(c.id, c.document_id, "secret", 0, c.title, "", c.uri, c.text) for c in search.chunks]
    )
    bot = assistant(hidden, store)
    assert last(await events(bot)).mode == "unknown"
    async with bot.answer(message(principals=frozenset({"slack:C1"}))) as stream:
        final = last([event async for event in stream])
    assert final.mode == "written"


@pytest.mark.parametrize(
    ("chosen", "found"),
    [
        ((), {"handbook", "notes"}),
        (("notes",), {"notes"}),
        (("secret",), set()),
        (("notes", "secret"), {"notes"}),
    ],
)
async def test_a_place_narrows_what_is_searched_and_never_widens_it(
    chosen: tuple[str, ...], found: set[str], store: FeedbackStore
) -> None:
    names = ("handbook", "notes", "secret")
    search = FakeSearch([chunk(name, f"{FACT} So says the {name}.", source=name) for name in names])
    bot = assistant(search, store, visible_to={"notes": frozenset({EVERYONE})})
    await events(bot, place=PlaceSettings(sources=chosen))
    assert {source.source for source in stored(store).retrieved} == found


async def test_a_filter_narrows_the_search_and_the_answer_says_so(
    search: FakeSearch, store: FeedbackStore
) -> None:
    llm = ScriptedLLM([FACT])
    final = last(await events(assistant(search, store, llm), f"in:handbook {QUESTION}"))
    assert final.answer == f"{FACT} [1]"
    assert final.note == "I looked only in handbook."
    assert search.queries == [QUESTION]
    assert "in:handbook" not in str(llm.asked)
    assert stored(store).question == f"in:handbook {QUESTION}"


async def test_a_filter_that_lets_nothing_through_leaves_no_answer(
    search: FakeSearch, store: FeedbackStore
) -> None:
    final = last(await events(assistant(search, store), f"tag:legal {QUESTION}"))
    assert final.mode == "unknown"
    assert final.answer == "I don't know: there are no such documents here."
    assert final.note == "I looked only at what is tagged legal."


async def test_an_unknown_source_is_answered_with_a_sentence_that_names_no_hidden_one(
    search: FakeSearch, store: FeedbackStore
) -> None:
    for name in ("secret", "nowhere"):
        final = last(await events(assistant(search, store), f"in:{name} {QUESTION}"))
        assert final.answer == (
            f"There is no source named '{name}' that I may use here; ask in one of: handbook."
        )
        assert (final.mode, final.sources) == ("unknown", ())
    assert not search.queries


OFFSITE = """\
# Offsite

The offsite takes place in Ljubljana in the spring.

## Budget

Dinner may cost 40 EUR a head.
"""


async def test_what_an_attached_file_says_is_written_and_cited_under_its_name(
    search: FakeSearch, store: FeedbackStore
) -> None:
    llm = ScriptedLLM(["Dinner may cost 40 EUR a head."])
    asked = message("How much may dinner cost a head?", attached=["offsite.md"])
    final = last(await events(assistant(search, store, llm), asked, files=[("offsite.md", OFFSITE)]))
    assert final.answer == "Dinner may cost 40 EUR a head. [1]"
    (source,) = final.sources
    assert (source.title, source.source, source.uri) == ("offsite.md", "attachment", "")


async def test_an_attached_file_is_quoted_without_a_model(search: FakeSearch, store: FeedbackStore) -> None:
    bot = assistant(search, store, Unavailable("No model is set."))
    asked = message("What does the attached file say about dinner?", attached=["offsite.md"])
    final = last(await events(bot, asked, files=[("offsite.md", OFFSITE)]))
    assert "> Dinner may cost 40 EUR a head." in final.answer


@pytest.mark.parametrize(
    ("text", "attached"),
    [("", ["offsite.md"]), ("Summarise this, please.", ["offsite.md"]), ("What is in offsite.md?", [])],
)
async def test_a_question_about_a_file_as_a_whole_is_answered_from_all_of_it(
    text: str, attached: list[str], search: FakeSearch, store: FeedbackStore
) -> None:
    llm = ScriptedLLM(["The offsite takes place in Ljubljana in the spring. Dinner may cost 40 EUR a head."])
    final = last(
        await events(
            assistant(search, store, llm), message(text, attached=attached), files=[("offsite.md", OFFSITE)]
        )
    )
    assert (final.mode, {source.title for source in final.sources}) == ("written", {"offsite.md"})
    assert "Ljubljana" in final.answer
    assert "40 EUR" in final.answer
    assert "The documents say" not in final.answer
    assert not search.queries
    assert stored(store).question == (text or "Summarise the attached file.")


async def test_a_file_is_found_only_by_who_hands_it_in(search: FakeSearch, store: FeedbackStore) -> None:
    bot = assistant(search, store, Unavailable("No model is set."))
    question = "How much may dinner cost a head?"
    with_file = last(await events(bot, question, thread="one", files=[("offsite.md", OFFSITE)]))
    without = last(await events(bot, question, thread="two"))
    assert "40 EUR" in with_file.answer
    assert "40 EUR" not in without.answer
    turns = [one.turn for one in store.turns()]
    assert ["attachment" in {source.source for source in turn.retrieved} for turn in turns] == [False, True]


async def test_a_question_beside_the_file_still_finds_the_documents(
    search: FakeSearch, store: FeedbackStore
) -> None:
    final = last(
        await events(
            assistant(search, store), message(attached=["offsite.md"]), files=[("offsite.md", OFFSITE)]
        )
    )
    assert FACT in final.answer
    assert [source.title for source in final.sources] == ["Travel"]


async def test_a_follow_up_on_a_file_stays_with_the_file(search: FakeSearch, store: FeedbackStore) -> None:
    bot = assistant(search, store, Unavailable("No model is set."))
    files = [("offsite.md", OFFSITE), ("menu.md", "Fish is served on Friday.")]
    await events(bot, "What does offsite.md say about the price of dinner?", files=files)
    await events(bot, "and about the place?", files=files)
    assert search.queries[-1] == "What does about the price of dinner? and about the place?"
    assert store.turns()[0].turn.retrieved[0].title == "offsite.md"


async def test_the_files_of_a_thread_are_no_part_of_a_source(
    search: FakeSearch, store: FeedbackStore
) -> None:
    files = [("receipts.md", "Receipts must be handed in within 90 days.")]
    final = last(await events(assistant(search, store), f"in:handbook {QUESTION}", files=files))
    assert {source.title for source in final.sources} == {"Travel"}
