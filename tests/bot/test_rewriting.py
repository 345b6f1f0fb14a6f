import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from bot.errors import ModelUnavailableError
from bot.llm.local import Unavailable
from bot.llm.protocol import LLM, ChatMessage, Delta
from bot.prompt import Exchange
from bot.rewriting import MAX_TOKENS, is_rewriting, load_rewrite_prompt, rewritten
from bot.understanding import Understood
from knowledge.filters import EVERYTHING
from tests.llm.fakes import ScriptedLLM

EARLIER = "How much leave do full-time employees get?"
HISTORY = [Exchange(EARLIER, "28 days.")]
QUESTION = Understood(
    "and for part-timers?", EVERYTHING, f"{EARLIER} and for part-timers?", "and for part-timers?", EARLIER
)
GOOD = "How much leave do part-timers get?"


async def query(llm: LLM, question: Understood = QUESTION, *, patience: float = 5.0) -> str:
    return (await rewritten(llm, question, history=HISTORY, patience=patience)).query


@pytest.mark.parametrize(
    "answer", [GOOD, f'"{GOOD}"\nIt depends.', f"Rewritten question: {GOOD}", f"\n{GOOD}\n"]
)
async def test_a_follow_up_is_searched_as_the_model_completes_it(answer: str) -> None:
    question = await rewritten(ScriptedLLM([answer]), QUESTION, history=HISTORY)
    assert (question.query, question.asked, question.text) == (GOOD, GOOD, QUESTION.text)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "I don't know.",
        "Part-timers?",
        "and for part-timers?",
        "How much leave do interns get?",
        "How much leave do part-timers get in Prague?",
        "How many of the 40 days of leave do part-timers get?",
        "How much leave do part-timers get " * 20,
    ],
    ids=["nothing", "declined", "less", "the same", "another", "a new name", "a new figure", "rambling"],
)
async def test_what_is_no_such_question_leaves_the_rule(answer: str) -> None:
    assert await query(ScriptedLLM([answer])) == QUESTION.query


async def test_a_model_that_is_away_leaves_the_rule() -> None:
    assert await query(Unavailable("No model is set.")) == QUESTION.query
    down = ScriptedLLM([GOOD], fail_after=1, error=ModelUnavailableError("It is being restarted."))
    assert await query(down) == QUESTION.query


class Silent(ScriptedLLM):
    """Never says a word."""

    @asynccontextmanager
    async def stream(
        self,
        messages: Sequence[ChatMessage],
        *,
        max_tokens: int,
        temperature: float = 0.0,
        stop: Sequence[str] = (),
    ) -> AsyncIterator[AsyncIterator[Delta]]:
        async def deltas() -> AsyncIterator[Delta]:
            await asyncio.Event().wait()
            yield Delta("")

        yield deltas()


async def test_a_model_that_is_too_slow_leaves_the_rule() -> None:
    assert await query(Silent(), patience=0.05) == QUESTION.query


async def test_a_question_that_stands_alone_is_not_given_to_the_model() -> None:
    llm = ScriptedLLM([GOOD])
    alone = Understood(EARLIER, EVERYTHING, EARLIER, EARLIER)
    assert await rewritten(llm, alone, history=HISTORY) == alone
    assert not llm.asked


def test_the_prompt_has_the_end_of_the_thread_and_a_bounded_length() -> None:
    history = [Exchange(f"question {n} " + "long " * 500, f"answer {n}\n\n- one\n- $two") for n in range(9)]
    messages = load_rewrite_prompt().messages("and now?", history=history)
    text = messages[-1].content
    assert "question 5" not in text
    assert text.index("question 6") < text.index("answer 8 - one - $two") < text.index("and now?")
    assert len(text) < 2500
    assert MAX_TOKENS < 100


def test_names_of_the_thread_may_come_back() -> None:
    thread = ["Which hotel do we prefer in Vienna?"]
    assert is_rewriting("Which hotel do we prefer in Prague?", question="and in Prague?", thread=thread)
    assert is_rewriting("How dear is the hotel in Vienna?", question="how dear?", thread=thread)
