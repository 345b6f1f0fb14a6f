"""OpenAI's chat completions as this server speaks them: the request it reads, the JSON it writes."""

import json
import time
import uuid
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bot.errors import ModelBusyError, ModelUnavailableError, ParleyError, QuestionTooLongError
from bot.llm.generation import Piece, Sampling, Usage
from bot.llm.protocol import ChatMessage

CONTEXT_LENGTH_EXCEEDED = "context_length_exceeded"


class TextPart(BaseModel):
    type: Literal["text"]
    text: str


class Message(BaseModel):
    role: Literal["system", "user", "assistant"]
    content: str | list[TextPart]

    def parsed(self) -> ChatMessage:
        text = self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)
        return ChatMessage(self.role, text)


class StreamOptions(BaseModel):
    include_usage: bool = False


class TokenizeRequest(BaseModel):
    messages: Annotated[list[Message], Field(min_length=1)]


class ChatRequest(TokenizeRequest):
    """The fields that are honoured; others are ignored, `n` may only be 1."""

    model_config = ConfigDict(allow_inf_nan=False)

    stream: bool = False
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    repeat_penalty: Annotated[float, Field(gt=0, le=10)] | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    n: Literal[1] | None = None

    def sampling(self) -> Sampling:
        stop = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return Sampling(
            max_tokens=self.max_completion_tokens or self.max_tokens,
            temperature=1.0 if self.temperature is None else self.temperature,
            top_p=1.0 if self.top_p is None else self.top_p,
            min_p=0.0 if self.min_p is None else self.min_p,
            repeat_penalty=1.0 if self.repeat_penalty is None else self.repeat_penalty,
            seed=self.seed,
            stop=tuple(stop),
        )


def error(message: str, *, status: int, code: str | None = None, param: str | None = None) -> dict[str, Any]:
    kind = "invalid_request_error" if status < 500 else "server_error"  # noqa: PLR2004
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def error_of(exc: ParleyError) -> tuple[int, dict[str, Any]]:
    """HTTP status and body for what the engine raises."""
    match exc:
        case QuestionTooLongError():
            return 400, error(str(exc), status=400, code=CONTEXT_LENGTH_EXCEEDED, param="messages")
        case ModelBusyError():
            return 429, error(str(exc), status=429, code="queue_full")
        case ModelUnavailableError():
            return 503, error(str(exc), status=503, code="model_unavailable")
        case _:
            return 500, error(str(exc), status=500)


def validation_error(exc: ValidationError) -> dict[str, Any]:
    """The first thing wrong with a request, in one sentence."""
    first = exc.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return error(f"{place}: {first['msg']}" if place else first["msg"], status=400, param=place or None)


class Completion:
    """The JSON of one completion: whole, or as the chunks of a stream."""

    def __init__(self, model: str) -> None:
        self._common: Mapping[str, Any] = {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "created": int(time.time()),
            "model": model,
        }

    def whole(self, text: str, last: Piece) -> dict[str, Any]:
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": last.finish_reason, "logprobs": None}
        return {
            **self._common,
            "object": "chat.completion",
            "choices": [choice],
            "usage": _usage(last.usage),
        }

    def opening(self) -> dict[str, Any]:
        return self._chunk(
            [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]
        )

    def chunk(self, piece: Piece) -> dict[str, Any]:
        delta = {"content": piece.text} if piece.text else {}
        return self._chunk([{"index": 0, "delta": delta, "finish_reason": piece.finish_reason}])

    def usage(self, usage: Usage | None) -> dict[str, Any]:
        return {**self._chunk([]), "usage": _usage(usage)}

    def _chunk(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {**self._common, "object": "chat.completion.chunk", "choices": choices}


def event(data: Mapping[str, Any]) -> str:
    """One server-sent event."""
    return f"data: {json.dumps(data, ensure_ascii=False, separators=(',', ':'))}\n\n"


DONE = "data: [DONE]\n\n"


def _usage(usage: Usage | None) -> dict[str, Any] | None:
    if usage is None:
        return None
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
    }
