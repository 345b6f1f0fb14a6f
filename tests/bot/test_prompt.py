from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import QuestionTooLongError
from bot.llm.protocol import ChatMessage
from bot.messages import Said
from bot.prompt import Exchange, FittedPrompt, Manner, fit, load_prompt
from knowledge.documents import Chunk, Hit


async def count_words(messages: Sequence[ChatMessage]) -> int:
    return sum(len(message.content.split()) for message in messages)


def hit(n: int, words: int = 20) -> Hit:
    text = f"passage{n} " * words
    return Hit(Chunk(f"c{n}", f"d{n}", "docs", 0, f"Title {n}", "", f"file{n}.md", text), 1 / n, 0.9)


async def fitted(
    *,
    said: Sequence[Said] = (),
    history: Sequence[Exchange] = (),
    hits: Sequence[Hit] = (),
    budget: int = 10_000,
) -> FittedPrompt:
    return await fit(
        load_prompt(),
        "How much leave?",
        manner=Manner("Parley"),
        history=history,
        said=said,
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


async def test_what_people_said_goes_before_the_history_oldest_first() -> None:
    said = [Said("Ann", "first " * 20), Said("Bob", "second " * 20)]
    history = [Exchange("asked " * 20, "a")]
    everything = await fitted(said=said, history=history, hits=[hit(1), hit(2)])
    less = await fitted(said=said, history=history, hits=[hit(1), hit(2)], budget=everything.tokens - 1)
    assert "first" not in str(less.messages)
    assert "> Bob: second second" in less.messages[-1].content
    without = await fitted(history=history, hits=[hit(1), hit(2)])
    least = await fitted(said=said, history=history, hits=[hit(1), hit(2)], budget=without.tokens)
    assert least == without
    assert "asked" in str(least.messages)


def test_where_nothing_is_set_and_nothing_was_said_the_prompt_is_the_one_that_was_measured() -> None:
    history, passages = [Exchange("Q?", "A.")], [(1, hit(1)), (2, hit(2))]
    first, second = (
        load_prompt(name).messages("Why?", manner=Manner("Parley"), history=history, passages=passages)
        for name in ("answer-1", "answer-2")
    )
    assert first == second


@given(st.text(), st.text(), st.text())
def test_nothing_that_people_write_leaves_its_line(author: str, text: str, persona: str) -> None:
    bare, full = (
        load_prompt().messages("Why?", manner=Manner("Parley", persona=p), history=[], said=s, passages=[])
        for p, s in (("", [Said("x", "y")]), (f"x{persona}", [Said(author, text)]))
    )
    assert len(full[0].content.splitlines()) == len(bare[0].content.splitlines()) + 1
    assert len(full[1].content.splitlines()) == len(bare[1].content.splitlines())
    assert [line[0] for line in full[1].content.splitlines() if line].count(">") == 1


@given(
    said=st.lists(st.integers(0, 30), max_size=5),
    history=st.lists(st.integers(0, 30), max_size=5),
    hits=st.lists(st.integers(0, 30), max_size=5),
    budget=st.integers(70, 400),
)
async def test_a_prompt_never_exceeds_its_budget_and_never_loses_the_question(
    said: list[int], history: list[int], hits: list[int], budget: int
) -> None:
    result = await fitted(
        said=[Said("Ann", "s " * n) for n in said],
        history=[Exchange("q " * n, "a " * n) for n in history],
        hits=[hit(i + 1, n) for i, n in enumerate(hits)],
        budget=budget,
    )
    assert await count_words(result.messages) == result.tokens <= budget
    assert result.messages[-1].content.endswith("How much leave?")
