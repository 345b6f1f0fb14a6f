"""The engine with its thread, asked from asyncio."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from bot.errors import (
    ModelBusyError,
    ModelError,
    ModelFileError,
    ModelUnavailableError,
    QuestionTooLongError,
)
from bot.llm.engine import Engine
from bot.llm.generation import Generation, Piece, Sampling
from bot.llm.grammar import MOST_REPEATED
from bot.llm.protocol import ChatMessage
from tests.llm import odd_models

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUESTION = [ChatMessage("user", "What is the hotel limit?")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(tiny: Path) -> AsyncIterator[Engine]:
    async with Engine(tiny, context=1024, queue_size=4, parallel=2) as loaded:
        yield loaded


async def _all(generation: Generation) -> tuple[str, list[Piece]]:
    pieces = [piece async for piece in generation]
    return "".join(piece.text for piece in pieces), pieces


async def _ask(engine: Engine, prompt: Any = QUESTION, **sampling: Any) -> tuple[str, list[Piece]]:
    return await _all(await engine.submit(prompt, Sampling(**{"max_tokens": 8, **sampling})))


async def test_many_at_once_get_what_each_gets_alone(engine: Engine) -> None:
    questions = [[ChatMessage("user", f"Who approves number {n}?")] for n in range(6)]
    alone = [(await _ask(engine, question, max_tokens=4))[0] for question in questions]
    together = await asyncio.gather(*(_ask(engine, question, max_tokens=4) for question in questions))
    assert [text for text, _ in together] == alone


async def test_the_last_piece_says_why_it_ended_and_what_it_cost(engine: Engine) -> None:
    _, pieces = await _ask(engine)
    assert [piece.finish_reason for piece in pieces[:-1]] == [None] * (len(pieces) - 1)
    assert pieces[-1].finish_reason == "length"
    usage = pieces[-1].usage
    assert usage is not None
    assert usage.prompt_tokens == await engine.count_tokens(QUESTION)
    assert usage.completion_tokens == 8


async def test_a_prompt_may_be_plain_text(engine: Engine) -> None:
    _, pieces = await _ask(engine, "The hotel limit is", max_tokens=3)
    assert pieces[-1].usage is not None
    assert 0 < pieces[-1].usage.prompt_tokens < await engine.count_tokens(QUESTION)
    with pytest.raises(ModelError, match="empty"):
        await engine.submit("", Sampling())


async def test_an_answer_has_the_shape_of_its_json_schema(engine: Engine) -> None:
    schema = {
        "type": "object",
        "properties": {"night": {"type": "integer"}, "breakfast": {"type": "boolean"}},
        "required": ["night", "breakfast"],
        "additionalProperties": False,
    }
    for temperature in (0.0, 1.0):
        text, pieces = await _ask(
            engine, json_schema=json.dumps(schema), max_tokens=400, temperature=temperature, seed=4
        )
        answer = json.loads(text)
        assert pieces[-1].finish_reason == "stop"
        assert type(answer["night"]) is int
        assert type(answer["breakfast"]) is bool


async def test_an_answer_follows_its_grammar(engine: Engine) -> None:
    text, pieces = await _ask(engine, grammar='root ::= "yes" | "no"')
    assert text in {"yes", "no"}
    assert pieces[-1].finish_reason == "stop"


async def test_a_schema_may_count_to_a_thousand(engine: Engine) -> None:
    text, _ = await _ask(engine, json_schema=json.dumps({"type": "string", "maxLength": MOST_REPEATED}))
    assert text.startswith('"')


@pytest.mark.parametrize(
    "fields",
    [
        {"grammar": "this is no grammar"},
        {"grammar": 'leaf ::= "x"'},
        {"json_schema": "{no"},
        {"json_schema": '{"type": "object"}', "grammar": 'root ::= "x"'},
        {"json_schema": '{"type": "string", "maxLength": 1001}'},
    ],
)
async def test_a_grammar_that_cannot_be_used_is_refused_at_once(engine: Engine, fields: Any) -> None:
    sentence = "JSON schema" if "json_schema" in fields else "not GBNF with a rule named root"
    with pytest.raises(ModelError, match=sentence):
        await engine.submit(QUESTION, Sampling(**fields))


async def test_log_probabilities_come_with_their_tokens(engine: Engine) -> None:
    text, pieces = await _ask(engine, logprobs=3)
    tokens = [token for piece in pieces for token in piece.logprobs]
    assert len(tokens) == 8
    assert b"".join(token.bytes for token in tokens).decode() == text
    for token in tokens:
        assert len(token.top) == 3
        assert token.top[0] == (token.token, token.logprob, token.bytes)  # greedy: the likeliest was taken
        values = [value for _, value, _ in token.top]
        assert values == sorted(values, reverse=True)
        assert values[0] <= 0
    assert not any(piece.logprobs for piece in (await _ask(engine))[1])


async def test_penalties_keep_words_from_coming_again(engine: Engine) -> None:
    only = 'root ::= ("a" | "b" | "c" | "d")+'
    plain, _ = await _ask(engine, grammar=only, max_tokens=4)
    for penalty in ({"presence_penalty": 100.0}, {"frequency_penalty": 100.0}, {"repeat_penalty": 100.0}):
        varied, _ = await _ask(engine, grammar=only, max_tokens=4, **penalty)
        assert len(set(varied)) >= len(set(plain))
        if "repeat_penalty" not in penalty:
            assert sorted(varied) == ["a", "b", "c", "d"]


async def test_top_k_of_one_takes_the_likeliest(engine: Engine) -> None:
    greedy, _ = await _ask(engine)
    assert (await _ask(engine, temperature=2.0, top_k=1, seed=1))[0] == greedy
    assert (await _ask(engine, temperature=2.0, min_p=1.0, seed=1))[0] == greedy
    assert (await _ask(engine, temperature=2.0, top_p=1e-6, seed=1))[0] == greedy
    assert (await _ask(engine, temperature=5.0, seed=1))[0] != greedy


async def test_an_answer_ends_before_its_stop_string(engine: Engine) -> None:
    whole, _ = await _ask(engine, max_tokens=12)
    stop = whole[7:10]
    text, pieces = await _ask(engine, max_tokens=12, stop=(stop,))
    assert text == whole[: whole.index(stop)]
    assert pieces[-1].finish_reason == "stop"


async def test_places_in_the_queue_and_what_happens_when_it_is_full(engine: Engine) -> None:
    asked = [await engine.submit(QUESTION, Sampling(max_tokens=None)) for _ in range(2)]
    for generation in asked:
        async for _ in generation:
            break
    asked += [await engine.submit(QUESTION, Sampling(max_tokens=2)) for _ in range(4)]
    assert [generation.position for generation in asked] == [0, 0, 1, 2, 3, 4]
    assert (engine.stats.running, engine.stats.queued) == (2, 4)
    with pytest.raises(ModelBusyError, match="4 are waiting"):
        await engine.submit(QUESTION, Sampling())
    with pytest.raises(ModelBusyError, match="4 are waiting"):  # said before the grammar is looked at
        await engine.submit(QUESTION, Sampling(grammar="this is no grammar"))
    asked[3].close()
    assert [generation.position for generation in asked] == [0, 0, 1, 0, 2, 3]
    asked[0].close()
    assert (await _all(asked[2]))[1][-1].finish_reason == "length"
    asked[1].close()
    for generation in asked[4:]:
        await _all(generation)
    assert engine.stats.queued == 0


async def test_a_cancelled_answer_ends_without_a_last_piece(engine: Engine) -> None:
    generation = await engine.submit(QUESTION, Sampling(max_tokens=None))
    pieces = []
    async for piece in generation:
        pieces.append(piece)
        generation.close()
    assert all(piece.finish_reason is None for piece in pieces)
    assert (await _ask(engine))[1][-1].finish_reason == "length"
    assert engine.stats.running == 0


async def test_an_answer_that_is_too_late_ends_with_a_sentence(engine: Engine) -> None:
    late = await engine.submit(QUESTION, Sampling(max_tokens=None), deadline=0.02)
    with pytest.raises((ModelBusyError, ModelUnavailableError), match="in time"):
        await _all(late)


async def test_a_question_that_waits_too_long_is_told_so(engine: Engine) -> None:
    busy = [await engine.submit(QUESTION, Sampling(max_tokens=None)) for _ in range(2)]
    waiting = await engine.submit(QUESTION, Sampling(), deadline=0.0)
    with pytest.raises((ModelBusyError, ModelUnavailableError), match="in time"):
        await _all(waiting)
    for generation in busy:
        generation.close()


async def test_a_prompt_that_leaves_no_room_is_refused(engine: Engine) -> None:
    with pytest.raises(QuestionTooLongError, match="shorten the question"):
        await engine.submit("hotel " * 1024, Sampling())


async def test_figures_add_up(engine: Engine) -> None:
    while engine.stats.running:  # noqa: ASYNC110 - what an earlier test has cancelled ends with the step that it is in
        await asyncio.sleep(0.001)
    before = engine.stats
    _, pieces = await _ask(engine, [ChatMessage("user", "How many nights may I stay?")], max_tokens=5)
    after, usage = engine.stats, pieces[-1].usage
    assert usage is not None
    assert after.prompt_tokens - before.prompt_tokens == usage.prompt_tokens
    assert after.cached_tokens - before.cached_tokens == usage.cached_tokens
    assert after.completion_tokens - before.completion_tokens == 5
    evaluated = usage.prompt_tokens - usage.cached_tokens + 4 + usage.draft_tokens - usage.accepted_tokens
    assert after.batch_tokens_total - before.batch_tokens_total == evaluated
    assert after.steps > before.steps
    assert after.last_step_at > before.last_step_at
    assert after.decode_seconds > before.decode_seconds
    assert after.python_seconds > before.python_seconds
    assert 0 < after.cells_used <= after.cells
    assert (after.parallel, after.running, after.queued) == (2, 0, 0)


async def test_what_is_running_and_waiting_ends_with_the_engine(tiny: Path) -> None:
    async with Engine(tiny, context=1024, parallel=1) as engine:
        asked = [await engine.submit(QUESTION, Sampling(max_tokens=None)) for _ in range(2)]
        async for _ in asked[0]:
            break
    for generation in asked:
        with pytest.raises(ModelUnavailableError, match="stopped"):
            await _all(generation)
    with pytest.raises(ModelUnavailableError):
        await engine.submit(QUESTION, Sampling())


async def test_an_adapter_changes_the_answers_as_much_as_it_is_told_to(tiny: Path, tmp_path: Path) -> None:
    style = odd_models.adapter(tiny, tmp_path / "style.gguf")
    said = []
    for lora in ([], [(style, 0.0)], [(style, 1.0)], [(style, 1.0)]):
        async with Engine(tiny, context=1024, lora=lora) as engine:
            said.append((await _ask(engine))[0])
    plain, switched_off, styled, again = said
    assert plain == switched_off
    assert styled == again != plain


async def test_an_adapter_that_is_none_is_named(tiny: Path, tmp_path: Path) -> None:
    missing = tmp_path / "style.gguf"
    with pytest.raises(ModelFileError, match=r"style\.gguf"):
        async with Engine(tiny, lora=[(missing, 1.0)]):
            pass
