from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import QuestionTooLongError
from bot.llm.protocol import ChatMessage
from bot.prompt import Exchange, FittedPrompt, fit, load_prompt
from knowledge.documents import Chunk, Hit


async def count_words(messages: Sequence[ChatMessage]) -> int:
    return sum(len(message.content.split()) for message in messages)


def hit(n: int, words: int = 20) -> Hit:
    text = f"passage{n} " * words
    return Hit(Chunk(f"c{n}", f"d{n}", "docs", 0, f"Title {n}", "", f"file{n}.md", text), 1 / n, 0.9)


async def fitted(
    *, history: Sequence[Exchange] = (), hits: Sequence[Hit] = (), budget: int = 10_000
) -> FittedPrompt:
    return await fit(
        load_prompt(),
        "How much leave?",
        assistant_name="Parley",
        history=history,
        passages=list(enumerate(hits, start=1)),
        count_tokens=count_words,
        budget=budget,
    )


async def test_passages_are_numbered_and_stand_before_the_question() -> None:
    result = await fitted(hits=[hit(1), hit(2)])
    question = result.messages[-1].content
    assert question.index("[1] Title 1") < question.index("[2] Title 2") < question.index("How much leave?")
    assert "Parley" in result.messages[0].content


async def test_text_with_dollars_and_braces_is_kept_as_it_is() -> None:
    chunk = Chunk("c", "d", "docs", 0, "T", "", "f.md", "run $HOME/{x} $question")
    result = await fitted(hits=[Hit(chunk, 1.0, 1.0)])
    assert "run $HOME/{x} $question" in result.messages[-1].content


async def test_the_oldest_history_goes_first_then_the_weakest_passage() -> None:
    history = [Exchange("oldest " * 20, "a"), Exchange("newest " * 20, "b")]
    everything = await fitted(history=history, hits=[hit(1), hit(2)])
    less = await fitted(history=history, hits=[hit(1), hit(2)], budget=everything.tokens - 1)
    assert "oldest" not in str(less.messages)
    assert "newest" in str(less.messages)
    without_history = await fitted(hits=[hit(1), hit(2)])
    least = await fitted(history=history, hits=[hit(1), hit(2)], budget=without_history.tokens - 1)
    assert [(n, h.chunk.id) for n, h in least.passages] == [(1, "c1")]


async def test_a_question_that_does_not_fit_alone_is_refused_with_the_numbers() -> None:
    with pytest.raises(QuestionTooLongError, match=r"at most 5.*llm\.context"):
        await fitted(hits=[hit(1)], budget=5)


@given(
    history=st.lists(st.integers(0, 30), max_size=5),
    hits=st.lists(st.integers(0, 30), max_size=5),
    budget=st.integers(70, 400),
)
async def test_a_prompt_never_exceeds_its_budget_and_never_loses_the_question(
    history: list[int], hits: list[int], budget: int
) -> None:
    result = await fitted(
        history=[Exchange("q " * n, "a " * n) for n in history],
        hits=[hit(i + 1, n) for i, n in enumerate(hits)],
        budget=budget,
    )
    assert await count_words(result.messages) == result.tokens <= budget
    assert result.messages[-1].content.endswith("How much leave?")
