"""What the assistant asks of a language model."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Literal, Protocol

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class ChatMessage:
    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of a streamed answer. The last one of a stream carries the reason it ended."""

    content: str
    finish_reason: Literal["stop", "length"] | None = None


class LLM(Protocol):
    """A chat model. Every method raises `ModelError`, or `QuestionTooLongError` for a prompt beyond the
    context (see `bot.errors`), and nothing of the library below."""

    @property
    def model_id(self) -> str:
        """What is stored with each turn: a file's name, or the name the server knows it by."""

    @property
    def context_window(self) -> int:
        """Tokens that prompt and answer may take together."""

    async def ready(self) -> None:
        """Wait until the model answers; raises `ModelUnavailableError` when it never will."""

    async def count_tokens(self, messages: Sequence[ChatMessage]) -> int:
        """Length of the prompt, chat template included; an upper estimate where a server cannot count."""

    def stream(
        self,
        messages: Sequence[ChatMessage],
        *,
        max_tokens: int,
        temperature: float = 0.0,
        stop: Sequence[str] = (),
    ) -> AbstractAsyncContextManager[AsyncIterator[Delta]]:
        """The answer as it is written. Leaving the block early cancels the work behind it."""
