"""A model that says what it was told to."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

from bot.errors import ModelError, QuestionTooLongError
from bot.llm.protocol import ChatMessage, Delta


class ScriptedLLM:
    """An `LLM` that gives its answers in order, word by word, the last again and again; a word is a token.

    `asked` keeps every prompt. With `fail_after`, each stream raises `error` after that many words.
    """

    def __init__(
        self,
        answers: Iterable[str] = ("This is the answer.",),
        *,
        context_window: int = 4096,
        model_id: str = "scripted",
        error: ModelError | None = None,
        fail_after: int | None = None,
    ) -> None:
        self.model_id = model_id
        self.context_window = context_window
        self.asked: list[Sequence[ChatMessage]] = []
        self.left_early = 0
        """Streams that nobody read to their end."""
        self.error = error or ModelError("The scripted model failed, as it was told to.")
        self.fail_after = fail_after
        self._answers = list(answers)

    async def ready(self) -> None:
        return

    async def count_tokens(self, messages: Sequence[ChatMessage]) -> int:
        return sum(len(message.content.split()) for message in messages)

    @asynccontextmanager
    async def stream(
        self,
        messages: Sequence[ChatMessage],
        *,
        max_tokens: int,
        temperature: float = 0.0,
        stop: Sequence[str] = (),
    ) -> AsyncIterator[AsyncIterator[Delta]]:
        if await self.count_tokens(messages) >= self.context_window:
            raise QuestionTooLongError("The question does not fit the scripted model: ask a shorter one.")
        self.asked.append(tuple(messages))
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        found = [at for text in stop if text and (at := answer.find(text)) >= 0]
        words = [f"{word} " for word in answer[: min(found, default=len(answer))].split(" ")]
        words[-1] = words[-1].removesuffix(" ")
        ended = False

        async def deltas() -> AsyncIterator[Delta]:
            nonlocal ended
            for number, word in enumerate(words[:max_tokens]):
                if number == self.fail_after:
                    raise self.error
                yield Delta(word)
            ended = True
            yield Delta("", "length" if len(words) > max_tokens else "stop")

        try:
            yield deltas()
        finally:
            self.left_early += not ended
