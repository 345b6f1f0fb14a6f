"""From a question to a checked answer that is stored, whatever the model makes up, leaves out or dies of."""

import pytest

from bot.errors import ModelUnavailableError, QuestionTooLongError
from bot.llm.local import Unavailable
from bot.llm.protocol import LLM
from bot.messages import Final, Progress, Text
from feedback.store import FeedbackStore
from tests.bot.asking import FACT, assistant, events, last, message, stored
from tests.bot.conftest import FakeSearch
from tests.llm.fakes import ScriptedLLM


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
                assert (turn.model_id, turn.prompt_id) == ("scripted", "answer-2")


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


async def test_the_turn_is_the_messages_and_a_second_attempt_takes_the_place_of_the_first(
    search: FakeSearch, store: FeedbackStore
) -> None:
    asked = message(event="1700000000.0001")
    async with assistant(search, store).answer(asked) as stream:
        async for event in stream:
            if isinstance(event, Text):
                break  # as when the process is stopped
    assert stored(store).outcome == "cancelled"
    final = last(await events(assistant(search, store), asked))
    assert final.turn_id == asked.turn_id == stored(store).id
    assert (stored(store).outcome, stored(store).answer) == ("answered", f"{FACT} [1]")


async def test_a_question_that_is_asked_again_does_not_follow_itself(
    search: FakeSearch, store: FeedbackStore
) -> None:
    llm = ScriptedLLM([FACT])
    asked = message(event="1700000000.0001")
    bot = assistant(search, store, llm)
    await events(bot, asked)
    await events(bot, asked)
    assert [m.role for m in llm.asked[-1]] == ["system", "user"]


async def test_sources_are_stored_with_the_name_of_their_source(
    search: FakeSearch, store: FeedbackStore
) -> None:
    final = last(await events(assistant(search, store)))
    assert {source.source for source in final.sources} == {"handbook"}
    assert {source.source for source in stored(store).retrieved} == {"handbook"}
