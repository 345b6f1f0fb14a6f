"""From a question, its history and the passages found to the messages a model reads.

The prompt never exceeds the budget: the oldest history goes first, then the weakest passages, never the question.
Prompts are versioned files under `prompts/`; the file's name is stored with every turn.
"""

import tomllib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from string import Template

from bot.errors import QuestionTooLongError
from bot.llm.protocol import ChatMessage
from knowledge.documents import Hit

CURRENT = "answer-1"

Passage = tuple[int, Hit]
"""A passage and the number it is cited by."""
CountTokens = Callable[[Sequence[ChatMessage]], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Exchange:
    """An earlier question of the thread and what was answered."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """A versioned wording with places for `string.Template`."""

    id: str
    system: str
    user: str
    passage: str

    def messages(
        self, question: str, *, assistant_name: str, history: Sequence[Exchange], passages: Sequence[Passage]
    ) -> list[ChatMessage]:
        """System prompt, the thread's earlier turns, and the question under its numbered passages."""
        text = "\n\n".join(
            Template(self.passage).substitute(n=n, context=hit.chunk.context, text=hit.chunk.text)
            for n, hit in passages
        )
        earlier = [
            message
            for exchange in history
            for message in (ChatMessage("user", exchange.question), ChatMessage("assistant", exchange.answer))
        ]
        return [
            ChatMessage("system", Template(self.system).substitute(assistant_name=assistant_name)),
            *earlier,
            ChatMessage("user", Template(self.user).substitute(passages=text, question=question)),
        ]


@dataclass(frozen=True, slots=True)
class FittedPrompt:
    """Messages within the budget, and the passages that are in them."""

    messages: list[ChatMessage]
    passages: list[Passage]
    tokens: int


@cache
def load_prompt(name: str = CURRENT) -> Prompt:
    """Read a prompt file of the package."""
    text = resources.files("bot").joinpath("prompts", f"{name}.toml").read_text(encoding="utf-8")
    fields = tomllib.loads(text)
    return Prompt(id=name, system=fields["system"], user=fields["user"], passage=fields["passage"])


async def fit(
    prompt: Prompt,
    question: str,
    *,
    assistant_name: str,
    history: Sequence[Exchange],
    passages: Sequence[Passage],
    count_tokens: CountTokens,
    budget: int,
) -> FittedPrompt:
    """The largest prompt of at most `budget` tokens.

    `passages` come best first; one passage is always kept while it fits beside the question.
    Raises `QuestionTooLongError` when the question alone does not fit.
    """
    kept_history, kept = list(history), list(passages)
    while True:
        messages = prompt.messages(
            question, assistant_name=assistant_name, history=kept_history, passages=kept
        )
        tokens = await count_tokens(messages)
        if tokens <= budget:
            return FittedPrompt(messages, kept, tokens)
        if kept_history:
            kept_history.pop(0)
        elif kept:
            kept.pop()
        else:
            raise QuestionTooLongError(
                f"The question takes {tokens} tokens and the model reads at most {budget}; "
                "ask a shorter one, or raise llm.context."
            )
