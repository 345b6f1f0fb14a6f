"""OpenAI's completions as this server reads them: requests in, and errors out.

Unknown fields are ignored, as clients send many. What would change the answer and is not offered (several
choices, tools, images) is refused with a sentence. Beyond OpenAI's fields: `top_k`, `min_p`, `repeat_penalty`,
`grammar` (GBNF) and `deadline` (seconds).
"""

import json
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError

from bot.errors import ModelBusyError, ModelUnavailableError, ParleyError, QuestionTooLongError
from bot.llm.generation import Sampling
from bot.llm.protocol import ChatMessage

CONTEXT_LENGTH_EXCEEDED = "context_length_exceeded"
USUAL_ANSWER = 1024
"""Tokens of a chat's answer when the client sets no limit. The cache keeps room for the whole answer of each
request, so that without a limit each would take a whole context, and few could be answered at once."""
_ANY_OBJECT = '{"type": "object"}'


class TextPart(BaseModel):
    type: Literal["text"]
    text: str


class Message(BaseModel):
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart]

    def parsed(self) -> ChatMessage:
        text = self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)
        return ChatMessage("system" if self.role == "developer" else self.role, text)


class StreamOptions(BaseModel):
    include_usage: bool = False


class JsonSchema(BaseModel):
    """`strict` is not asked: the answer always fits the schema."""

    name: str = ""
    given: dict[str, Any] = Field(alias="schema")


class ResponseFormat(BaseModel):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None

    @model_validator(mode="after")
    def _has_its_schema(self) -> Self:
        if self.type == "json_schema" and self.json_schema is None:
            raise _refusal("json_schema is missing")
        return self

    def schema_text(self) -> str | None:
        """JSON text of what the answer must fit."""
        if self.type == "json_schema" and self.json_schema is not None:
            return json.dumps(self.json_schema.given)
        return _ANY_OBJECT if self.type == "json_object" else None


class TokenizeRequest(BaseModel):
    messages: Annotated[list[Message], Field(min_length=1)]


class Options(BaseModel):
    """What both kinds of completion take."""

    model_config = ConfigDict(allow_inf_nan=False)

    model: str | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=0)] | None = None
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    repeat_penalty: Annotated[float, Field(gt=0, le=10)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    seed: int | None = None
    stop: str | Annotated[list[str], Field(max_length=16)] | None = None
    n: int | None = None
    logit_bias: dict[str, float] | None = None
    grammar: str | None = None
    deadline: Annotated[float, Field(gt=0)] | None = None

    @field_validator("n")
    @classmethod
    def _one_choice(cls, n: int | None) -> int | None:
        if n not in {None, 1}:
            raise _refusal("this server gives one choice: n must be 1")
        return n

    @field_validator("logit_bias")
    @classmethod
    def _no_bias(cls, bias: dict[str, float] | None) -> dict[str, float] | None:
        if bias:
            raise _refusal("logit_bias is not supported")
        return bias

    @property
    def with_usage(self) -> bool:
        return self.stream_options is not None and self.stream_options.include_usage

    def _sampling(
        self, *, max_tokens: int | None, logprobs: int | None, json_schema: str | None = None
    ) -> Sampling:
        stop = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return Sampling(
            max_tokens=max_tokens,
            temperature=1.0 if self.temperature is None else self.temperature,
            top_k=self.top_k or 0,
            top_p=1.0 if self.top_p is None else self.top_p,
            min_p=self.min_p or 0.0,
            repeat_penalty=1.0 if self.repeat_penalty is None else self.repeat_penalty,
            presence_penalty=self.presence_penalty or 0.0,
            frequency_penalty=self.frequency_penalty or 0.0,
            seed=self.seed,
            stop=tuple(text for text in stop if text),
            grammar=self.grammar or None,
            json_schema=json_schema,
            logprobs=logprobs,
        )


class ChatRequest(Options):
    """The body of `/v1/chat/completions`."""

    messages: Annotated[list[Message], Field(min_length=1)]
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    response_format: ResponseFormat | None = None
    tools: list[Any] | None = None
    functions: list[Any] | None = None

    @field_validator("tools", "functions")
    @classmethod
    def _no_tools(cls, given: list[Any] | None) -> list[Any] | None:
        if given:
            raise _refusal("tools are not supported")
        return given

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.top_logprobs and not self.logprobs:
            raise _refusal("top_logprobs needs logprobs to be true")
        if self.grammar and self.response_format and self.response_format.schema_text():
            raise _refusal("grammar and response_format exclude each other")
        return self

    def prompt_messages(self) -> list[ChatMessage]:
        return [message.parsed() for message in self.messages]

    def sampling(self) -> Sampling:
        return self._sampling(
            max_tokens=self.max_completion_tokens or self.max_tokens or USUAL_ANSWER,
            logprobs=(self.top_logprobs or 0) if self.logprobs else None,
            json_schema=self.response_format.schema_text() if self.response_format else None,
        )


class TextRequest(Options):
    """The body of `/v1/completions`: a prompt without a chat template."""

    prompt: str | Annotated[list[str], Field(min_length=1, max_length=1)]
    logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    echo: bool | None = None
    suffix: str | None = None
    best_of: int | None = None

    @model_validator(mode="after")
    def _plain(self) -> Self:
        if self.echo or self.suffix or (self.best_of or 1) > 1:
            raise _refusal("echo, suffix and best_of are not supported")
        return self

    def prompt_text(self) -> str:
        return self.prompt if isinstance(self.prompt, str) else self.prompt[0]

    def sampling(self) -> Sampling:
        return self._sampling(max_tokens=self.max_tokens or 16, logprobs=self.logprobs)  # OpenAI's default


def error(
    message: str, *, status: int, code: str | None = None, param: str | None = None, **more: Any
) -> dict[str, Any]:
    """OpenAI's shape of an error; `more` stands beside its own fields."""
    kind = "invalid_request_error" if status < 500 else "server_error"  # noqa: PLR2004
    return {"error": {"message": message, "type": kind, "param": param, "code": code, **more}}


class RefusedError(ParleyError):
    """A request that is well formed and still cannot be served."""

    def __init__(
        self, message: str, *, status: int, code: str | None = None, param: str | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.param = status, code, param


def error_of(exc: ParleyError) -> tuple[int, dict[str, Any]]:
    """HTTP status and body for what the engine and the routes raise."""
    match exc:
        case RefusedError():
            return exc.status, error(str(exc), status=exc.status, code=exc.code, param=exc.param)
        case QuestionTooLongError():
            return 400, error(str(exc), status=400, code=CONTEXT_LENGTH_EXCEEDED, param="messages")
        case ModelBusyError():
            return 429, error(str(exc), status=429, code="queue_full")
        case ModelUnavailableError():
            return 503, error(str(exc), status=503, code="model_unavailable")
        case _:
            return 500, error(str(exc), status=500)


def validation_error(exc: ValidationError) -> dict[str, Any]:
    """What is wrong with a request, in one sentence; of several things the one deepest in it."""
    errors = exc.errors(include_url=False, include_context=False, include_input=False)
    deepest = max(errors, key=lambda details: len(details["loc"]))
    # The kinds that a value may have (`str`, `list[...]`) are pydantic's, not the client's.
    place = ".".join(str(part) for part in deepest["loc"] if part != "str" and "[" not in str(part))
    return error(f"{place}: {deepest['msg']}" if place else deepest["msg"], status=400, param=place or None)


def _refusal(sentence: str) -> PydanticCustomError:
    # Not ValueError: pydantic would put "Value error, " in front.
    return PydanticCustomError("refused", "{sentence}", {"sentence": sentence})
