"""What OpenAI's own client can do with Parley's model server."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import pytest_asyncio

from bot.llm.supervisor import Load, ModelProcess

pytestmark = pytest.mark.asyncio(loop_scope="module")

MODEL = "tiny.gguf"
MESSAGES: Any = [{"role": "user", "content": "What is the hotel limit?"}]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(tiny: Path) -> AsyncIterator[openai.AsyncOpenAI]:
    async with ModelProcess(tiny, load=Load(threads=1)) as process:
        await process.ready()
        transport = httpx.AsyncHTTPTransport(uds=str(process.socket))
        async with httpx.AsyncClient(transport=transport, timeout=60) as http:
            client: Any = http  # openai takes httpx's clients, and declares only its own fork's
            yield openai.AsyncOpenAI(
                base_url="http://model/v1", api_key="none", http_client=client, max_retries=0
            )


async def _text(client: openai.AsyncOpenAI, **fields: Any) -> str:
    options = {"model": MODEL, "messages": MESSAGES, "max_tokens": 12, "temperature": 0, **fields}
    return str((await client.chat.completions.create(**options)).choices[0].message.content)


async def test_models_are_listed_and_found(client: openai.AsyncOpenAI) -> None:
    assert [model.id async for model in client.models.list()] == [MODEL]
    assert (await client.models.retrieve(MODEL)).id == MODEL
    with pytest.raises(openai.NotFoundError, match=r"no model 'gpt-9'; it has 'tiny\.gguf'"):
        await _text(client, model="gpt-9")


async def test_a_stream_ends_with_its_usage(client: openai.AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(
        model=MODEL,
        messages=MESSAGES,
        max_completion_tokens=12,
        temperature=0,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = [chunk async for chunk in stream]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == await _text(client)
    assert [chunk.usage for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    usage = chunks[-1].usage
    assert usage
    assert usage.completion_tokens == 12
    assert usage.total_tokens == usage.prompt_tokens + 12
    assert chunks[-2].choices[0].finish_reason == "length"


async def test_the_helper_for_streams_works(client: openai.AsyncOpenAI) -> None:
    text = await _text(client)
    stop = text[8:11]  # the helper wants answers that end by themselves
    async with client.chat.completions.stream(
        model=MODEL, messages=MESSAGES, max_tokens=12, temperature=0, stop=stop
    ) as stream:
        kinds = {event.type async for event in stream}
        final = await stream.get_final_completion()
    assert "content.delta" in kinds
    assert final.choices[0].message.content == text[: text.index(stop)]


async def test_stop_strings(client: openai.AsyncOpenAI) -> None:
    text = await _text(client)
    stop = text[4:7]
    assert await _text(client, stop=stop) == text[: text.index(stop)]
    assert await _text(client, stop=[stop, "never"]) == text[: text.index(stop)]


async def test_logprobs_of_the_tokens_and_their_alternatives(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(
        model=MODEL, messages=MESSAGES, max_tokens=5, temperature=0, logprobs=True, top_logprobs=3
    )
    choice = answer.choices[0]
    assert choice.logprobs
    assert choice.logprobs.content
    tokens = choice.logprobs.content
    assert len(tokens) == 5
    assert b"".join(bytes(token.bytes or []) for token in tokens).decode() == choice.message.content
    for token in tokens:
        assert token.logprob <= 0
        assert len(token.top_logprobs) == 3
        best = token.top_logprobs[0]  # what greedy choice takes
        assert best.token == token.token
        assert best.logprob == pytest.approx(token.logprob)
    stream = await client.chat.completions.create(
        model=MODEL, messages=MESSAGES, max_tokens=5, temperature=0, logprobs=True, stream=True
    )
    streamed = [
        token
        async for chunk in stream
        if chunk.choices and chunk.choices[0].logprobs
        for token in chunk.choices[0].logprobs.content or []
    ]
    assert [token.token for token in streamed] == [token.token for token in tokens]
    assert streamed[0].top_logprobs == []


async def test_json_that_fits_a_schema(client: openai.AsyncOpenAI) -> None:
    schema = {
        "type": "object",
        "properties": {"limit": {"type": "integer"}, "city": {"enum": ["Vienna", "Graz"]}},
        "required": ["limit", "city"],
        "additionalProperties": False,
    }
    text = await _text(
        client,
        max_tokens=300,
        response_format={"type": "json_schema", "json_schema": {"name": "limit", "schema": schema}},
    )
    answer = json.loads(text)
    assert set(answer) == {"limit", "city"}
    assert isinstance(answer["limit"], int)
    assert answer["city"] in {"Vienna", "Graz"}


async def test_any_json(client: openai.AsyncOpenAI) -> None:
    assert (await _text(client, response_format={"type": "json_object"})).lstrip().startswith("{")
    assert await _text(client, response_format={"type": "text"}) == await _text(client)


async def test_a_grammar_of_ones_own(client: openai.AsyncOpenAI) -> None:
    assert await _text(client, extra_body={"grammar": 'root ::= "yes" | "no"'}) in {"yes", "no"}
    with pytest.raises(openai.APIStatusError, match="grammar"):
        await _text(client, extra_body={"grammar": "no grammar at all ::="})


async def test_seed_and_penalties_change_the_answer(client: openai.AsyncOpenAI) -> None:
    fields = {"temperature": 1.5, "max_tokens": 20}
    assert await _text(client, seed=1, **fields) == await _text(client, seed=1, **fields)
    assert await _text(client, seed=1, **fields) != await _text(client, seed=2, **fields)
    plain = await _text(client, max_tokens=60)
    assert await _text(client, max_tokens=60, frequency_penalty=2, presence_penalty=2) != plain


async def test_completions_without_a_template(client: openai.AsyncOpenAI) -> None:
    whole = await client.completions.create(
        model=MODEL, prompt="The hotel limit is", max_tokens=8, temperature=0, logprobs=2
    )
    choice = whole.choices[0]
    assert (choice.finish_reason, whole.object) == ("length", "text_completion")
    assert choice.logprobs
    assert choice.logprobs.tokens
    assert choice.logprobs.text_offset
    assert len(choice.logprobs.tokens) == 8
    assert choice.logprobs.text_offset[0] == 0
    stream = await client.completions.create(
        model=MODEL, prompt=["The hotel limit is"], max_tokens=8, temperature=0, stream=True
    )
    assert "".join([chunk.choices[0].text async for chunk in stream if chunk.choices]) == choice.text


@pytest.mark.parametrize(
    ("fields", "param", "sentence"),
    [
        ({"n": 2}, "n", "gives one choice"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools", "tools are not supported"),
        ({"logit_bias": {"1": 5}}, "logit_bias", "not supported"),
        ({"top_logprobs": 2}, None, "needs logprobs"),
        ({"response_format": {"type": "json_schema"}}, "response_format", "json_schema is missing"),
        ({"temperature": -1}, "temperature", "greater than or equal to 0"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
            "messages.0.content.0.type",
            "text",
        ),
    ],
)
async def test_what_is_not_offered_is_refused_with_a_sentence(
    client: openai.AsyncOpenAI, fields: dict[str, Any], param: str | None, sentence: str
) -> None:
    with pytest.raises(openai.BadRequestError, match=sentence) as caught:
        await _text(client, **fields)
    assert (caught.value.type, caught.value.param) == ("invalid_request_error", param)


async def test_a_prompt_beyond_the_context_has_openais_code(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await _text(client, messages=[{"role": "user", "content": "hotel " * 5000}])
    assert caught.value.code == "context_length_exceeded"


async def test_the_newer_name_of_the_system_is_known(client: openai.AsyncOpenAI) -> None:
    older, newer = ([{"role": role, "content": "Be short."}, *MESSAGES] for role in ("system", "developer"))
    assert await _text(client, messages=older) == await _text(client, messages=newer)
