"""The whole flow of a message with a scripted model, a library in memory and a real database."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from bot.assistant import Assistant
from bot.database import migrate, open_database
from bot.errors import ModelUnavailableError, QuestionTooLongError
from bot.llm.local import Unavailable
from bot.llm.protocol import LLM
from bot.messages import Event, Final, IncomingMessage, Progress, Text
from feedback.records import Turn
from feedback.store import FeedbackStore
from tests.bot.conftest import FakeSearch
from tests.llm.fakes import ScriptedLLM

QUESTION = "Within how many days must receipts be handed in?"
FACT = "Receipts must be handed in within 30 days."


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_database(f"sqlite:///{tmp_path / 'parley.db'}")
    migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def store(engine: Engine) -> FeedbackStore:
    return FeedbackStore(engine)


def assistant(
    search: FakeSearch, store: FeedbackStore, llm: LLM | None = None, *, max_tokens: int = 256
) -> Assistant:
    return Assistant(
        search=search,
        llm=llm or ScriptedLLM([FACT]),
        store=store,
        visible_to={"handbook": frozenset({"everyone"}), "secret": frozenset({"slack:C1"})},
        max_tokens=max_tokens,
    )


def message(
    text: str = QUESTION, *, thread: str = "t", principals: frozenset[str] = frozenset()
) -> IncomingMessage:
    return IncomingMessage(
        platform="test",
        event_id="e",
        conversation_id="c",
        thread_id=thread,
        user_id="u",
        text=text,
        principals=principals,
    )


async def events(assistant: Assistant, text: str = QUESTION, *, thread: str = "t") -> list[Event]:
    async with assistant.answer(message(text, thread=thread)) as stream:
        return [event async for event in stream]


def last(stream: list[Event]) -> Final:
    final = stream[-1]
    assert isinstance(final, Final)
    return final


def stored(store: FeedbackStore) -> Turn:
    (one,) = store.turns()
    return one.turn


async def test_an_answer_is_progress_then_checked_text_then_the_end(
    search: FakeSearch, store: FeedbackStore
) -> None:
    stream = await events(assistant(search, store))
    assert [type(event) for event in stream[:2]] == [Progress, Progress]
    assert "".join(event.content for event in stream if isinstance(event, Text)) == f"{FACT} [1]"
    final = last(stream)
    assert (final.mode, final.answer) == ("written", f"{FACT} [1]")
    assert [source.title for source in final.sources] == ["Travel"]
    assert final.total_ms >= (final.first_text_ms or 0) >= final.retrieve_ms


async def test_the_turn_is_stored_before_the_end_is_seen(search: FakeSearch, store: FeedbackStore) -> None:
    async with assistant(search, store).answer(message()) as stream:
        async for event in stream:
            if isinstance(event, Final):
                turn = stored(store)
                assert turn.id == event.turn_id
                assert turn.sources == event.sources
                assert len(turn.retrieved) == 3
                assert (turn.model_id, turn.prompt_id) == ("scripted", "answer-1")


async def test_what_the_model_makes_up_is_not_shown_and_is_kept_for_later(
    search: FakeSearch, store: FeedbackStore
) -> None:
    llm = ScriptedLLM([f"Receipts must be handed in within 90 days. {FACT} Ask Zoe about it."])
    final = last(await events(assistant(search, store, llm)))
    assert final.answer.startswith(f"{FACT} [1]")
    assert "The documents say:" in final.answer
    assert not {"90", "Zoe"} & set(final.answer.split())
    assert [("90" in text, "Zoe" in text) for text in stored(store).dropped] == [(True, False), (False, True)]


@pytest.mark.parametrize(
    "llm",
    [
        ScriptedLLM(["It depends on the weather in Paris."]),
        ScriptedLLM(["I don't know."]),
        ScriptedLLM(
            [FACT], fail_after=0, error=ModelUnavailableError("The model is down; it is being restarted.")
        ),
        Unavailable("No model is set."),
    ],
    ids=["made up", "declined", "died", "missing"],
)
async def test_without_a_usable_sentence_the_documents_are_quoted(
    llm: LLM, search: FakeSearch, store: FeedbackStore
) -> None:
    final = last(await events(assistant(search, store, llm)))
    assert final.mode == "quotes"
    assert f"> {FACT}" in final.answer
    assert final.sources
    assert final.model_id == ""


async def test_a_model_that_dies_in_mid_answer_costs_the_rest_and_says_so(
    search: FakeSearch, store: FeedbackStore
) -> None:
    error = ModelUnavailableError("The model is down; it is being restarted.")
    llm = ScriptedLLM([f"{FACT} Alcohol is not reimbursed."], fail_after=10, error=error)
    final = last(await events(assistant(search, store, llm)))
    assert FACT in final.answer
    assert final.note == str(error)
    assert stored(store).outcome == "answered"


async def test_a_model_that_rambles_is_not_listened_to_for_long(
    search: FakeSearch, store: FeedbackStore
) -> None:
    llm = ScriptedLLM([" ".join(f"Zoe has {n} goats in Paris." for n in range(100, 120))])
    final = last(await events(assistant(search, store, llm)))
    assert final.mode == "quotes"
    assert len(stored(store).dropped) == 3
    assert llm.left_early == 1


async def test_what_the_documents_do_not_say_is_not_answered(
    search: FakeSearch, store: FeedbackStore
) -> None:
    llm = ScriptedLLM(["The capital of Mongolia is Ulaanbaatar."])
    final = last(await events(assistant(search, store, llm), "What is the capital of Mongolia?"))
    assert final.mode == "unknown"
    assert "don't know" in final.answer
    assert not final.sources
    assert not llm.asked, "the model was asked although nothing was found"


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


async def test_a_follow_up_is_searched_and_asked_with_its_thread(
    search: FakeSearch, store: FeedbackStore
) -> None:
    llm = ScriptedLLM(["Full-time employees get 28 days of paid leave a year."])
    bot = assistant(search, store, llm)
    await events(bot, "How many days of paid leave do full-time employees get?")
    await events(bot, "and part-time?")
    assert search.queries[-1] == "How many days of paid leave do full-time employees get? and part-time?"
    assert [m.role for m in llm.asked[-1]] == ["system", "user", "assistant", "user"]
    assert "[1]" not in llm.asked[-1][2].content


async def test_threads_are_not_mixed(search: FakeSearch, store: FeedbackStore) -> None:
    bot = assistant(search, store)
    await events(bot, thread="one")
    await events(bot, "and part-time?", thread="two")
    assert search.queries[-1] == "and part-time?"


async def test_leaving_early_stops_the_model_and_stores_what_was_shown(
    search: FakeSearch, store: FeedbackStore
) -> None:
    llm = ScriptedLLM([f"{FACT} Alcohol is not reimbursed."])
    async with assistant(search, store, llm).answer(message()) as stream:
        async for event in stream:
            if isinstance(event, Text):
                break
    turn = stored(store)
    assert (turn.outcome, turn.answer) == ("cancelled", f"{FACT} [1]")
    assert llm.left_early == 1


async def test_a_failure_is_stored_with_its_error(search: FakeSearch, store: FeedbackStore) -> None:
    bot = assistant(search, store, ScriptedLLM([FACT], context_window=300), max_tokens=295)
    with pytest.raises(QuestionTooLongError):
        await events(bot)
    turn = stored(store)
    assert turn.outcome == "failed"
    assert "QuestionTooLongError" in str(turn.error)


async def test_passages_are_dropped_before_the_context_overflows(
    search: FakeSearch, store: FeedbackStore
) -> None:
    llm = ScriptedLLM([FACT], context_window=256 + 120)
    assert last(await events(assistant(search, store, llm))).mode == "written"
    assert "[1]" in llm.asked[0][-1].content
    assert "[3]" not in llm.asked[0][-1].content
