"""What becomes of every way in which a server can fail."""

from collections.abc import Callable

import httpx
import pytest

from bot.errors import ModelBusyError, ModelError, ModelUnavailableError, QuestionTooLongError
from bot.llm.client import OpenAIClient
from bot.llm.protocol import ChatMessage, Delta

QUESTION = [ChatMessage("user", "What is the hotel limit?")]
SSE = {"content-type": "text/event-stream"}
CHUNK = 'data: {"choices":[{"index":0,"delta":{"content":"140"},"finish_reason":%s}]}\n\n'


def _client(handler: Callable[[httpx.Request], httpx.Response], **options: object) -> OpenAIClient:
    client = OpenAIClient(url="http://gpu:8000/v1", model="m", **options)  # type: ignore[arg-type]
    client._http = httpx.AsyncClient(transport=httpx.MockTransport(handler))
    return client


async def _deltas(client: OpenAIClient) -> list[Delta]:
    async with client, client.stream(QUESTION, max_tokens=5, stop=["x"]) as deltas:
        return [delta async for delta in deltas]


@pytest.mark.parametrize(
    ("status", "body", "expected", "sentence"),
    [
        (
            400,
            {"error": {"message": "no", "code": "context_length_exceeded"}},
            QuestionTooLongError,
            "shorter",
        ),
        (
            400,
            {"error": {"message": "no", "type": "exceed_context_size_error"}},
            QuestionTooLongError,
            "shorter",
        ),
        (
            400,
            {
                "object": "error",
                "message": "This model's maximum context length is 4096 tokens.",
                "code": 400,
            },
            QuestionTooLongError,
            "shorter",
        ),
        (400, {"error": {"message": "bad stop"}}, ModelError, "bad stop"),
        (401, {"error": {"message": "key"}}, ModelUnavailableError, "PARLEY_LLM_API_KEY"),
        (404, {"error": {"message": "model"}}, ModelUnavailableError, r"llm\.url"),
        (429, {"error": {"message": "full"}}, ModelBusyError, "queue is full"),
        (500, {"error": {"message": "oops"}}, ModelUnavailableError, "status 500"),
        (503, {"error": {"message": "loading"}}, ModelUnavailableError, "status 503"),
    ],
)
async def test_statuses(status: int, body: object, expected: type[Exception], sentence: str) -> None:
    with pytest.raises(expected, match=sentence) as caught:
        await _deltas(_client(lambda _: httpx.Response(status, json=body)))
    assert caught.type is expected


@pytest.mark.parametrize(
    "error", [httpx.ConnectError("refused"), httpx.ConnectTimeout("slow"), httpx.ReadTimeout("slow")]
)
async def test_no_connection(error: httpx.HTTPError) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise error

    with pytest.raises(ModelUnavailableError, match="http://gpu:8000/v1"):
        await _deltas(_client(fail))
    with pytest.raises(ModelUnavailableError, match="http://gpu:8000/v1"):
        await _client(fail).ready()
    with pytest.raises(ModelUnavailableError, match="http://gpu:8000/v1"):
        await _client(fail).count_tokens(QUESTION)


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (CHUNK % "null", ModelUnavailableError),
        (CHUNK % "null" + "data: [DONE]\n\n", ModelUnavailableError),
        (CHUNK % "null" + 'data: {"error":{"message":"no","code":"queue_full"}}\n\n', ModelBusyError),
        (CHUNK % "null" + 'data: {"error":{"message":"gone","code":"x"}}\n\n', ModelUnavailableError),
        ("data: {no json\n\n", ModelError),
        ("data: []\n\n", ModelError),
        ("", ModelUnavailableError),
    ],
)
async def test_streams_that_break(stream: str, expected: type[Exception]) -> None:
    with pytest.raises(expected) as caught:
        await _deltas(_client(lambda _: httpx.Response(200, text=stream, headers=SSE)))
    assert caught.type is expected


@pytest.mark.parametrize(
    ("given", "reason"), [("stop", "stop"), ("length", "length"), ("content_filter", "stop")]
)
async def test_the_reason_is_stop_or_length(given: str, reason: str) -> None:
    stream = (
        'data: {"choices":[]}\n\n'
        + CHUNK % f'"{given}"'
        + 'data: {"choices":[],"usage":{}}\n\ndata: [DONE]\n\n'
    )
    deltas = await _deltas(_client(lambda _: httpx.Response(200, text=stream, headers=SSE)))
    assert [(delta.content, delta.finish_reason) for delta in deltas] == [("140", reason)]


@pytest.mark.parametrize(
    "answer", [httpx.Response(404), httpx.Response(405), httpx.Response(200, json={"tokens": [1]})]
)
async def test_tokens_are_estimated_where_nobody_counts(answer: httpx.Response) -> None:
    asked = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return answer

    async with _client(handler) as client:
        counts = [await client.count_tokens([ChatMessage("user", "word " * n)]) for n in (1, 10)]
    assert counts == [3 + 16, 25 + 16]
    assert asked == ["/tokenize"]


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"id": "m", "max_model_len": 32768}, 32768),
        ({"id": "m", "meta": {"n_ctx": 2048}}, 2048),
        ({"id": "m"}, 4096),
    ],
)
async def test_the_context_is_what_the_server_says(entry: dict[str, object], expected: int) -> None:
    async with _client(lambda _: httpx.Response(200, json={"data": [{"id": "other"}, entry]})) as client:
        await client.ready()
        assert client.context_window == expected
    async with _client(lambda _: httpx.Response(200, json={"data": [entry]}), context=1000) as client:
        await client.ready()
        assert client.context_window == 1000


async def test_the_first_model_is_taken_when_none_is_named() -> None:
    client = _client(lambda _: httpx.Response(200, json={"data": [{"id": "first"}]}))
    client._model = None
    async with client:
        await client.ready()
        assert client.model_id == "first"
    client = _client(lambda _: httpx.Response(200, json={"data": []}))
    client._model = None
    async with client:
        with pytest.raises(ModelUnavailableError, match="lists no model"):
            await client.ready()


@pytest.mark.parametrize("body", ["<html>", "[]", "null"])
async def test_something_that_is_no_openai_api(body: str) -> None:
    async with _client(lambda _: httpx.Response(200, text=body)) as client:
        with pytest.raises(ModelError, match=r"check llm\.url"):
            await client.ready()
