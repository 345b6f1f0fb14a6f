"""From a question, its thread and the passages found to the messages a model reads.

The prompt never exceeds the budget: first goes what people said to each other, oldest first, then the oldest history,
then the weakest passages, never the question. Prompts are versioned files under `prompts/`; the file's name is stored
with every turn.
"""

import tomllib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from string import Template

from bot.errors import QuestionTooLongError
from bot.llm.protocol import ChatMessage
from bot.messages import Said
from knowledge.documents import Hit

CURRENT = "answer-2"

Passage = tuple[int, Hit]
"""A passage and the number it is cited by."""
CountTokens = Callable[[Sequence[ChatMessage]], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Exchange:
    """An earlier question of the thread and what was answered."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Manner:
    """How the assistant presents itself: its name, and what a place's people set."""

    assistant_name: str
    persona: str = ""
    language: str = ""
    """Empty: the question's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A versioned wording with places for `string.Template`."""

    id: str
    system: str
    user: str
    passage: str
    language: str = ""
    """What stands for the language where none is set."""
    persona: str = ""
    thread: str = ""
    """Around what people said to each other; empty in prompts that have no place for it."""
    said: str = ""

    def messages(
        self,
        question: str,
        *,
        manner: Manner,
        history: Sequence[Exchange],
        said: Sequence[Said] = (),
        passages: Sequence[Passage],
    ) -> list[ChatMessage]:
        """System prompt, the thread's earlier turns, and the question under what was said and the passages."""
        text = "\n\n".join(
            Template(self.passage).substitute(n=n, context=hit.chunk.context, text=hit.chunk.text)
            for n, hit in passages
        )
        lines = "\n".join(
            Template(self.said).substitute(author=_line(one.author), text=_line(one.text)) for one in said
        )
        thread = Template(self.thread).substitute(said=lines) if lines else ""
        persona = Template(self.persona).substitute(persona=_line(manner.persona)) if manner.persona else ""
        earlier = [
            message
            for exchange in history
            for message in (ChatMessage("user", exchange.question), ChatMessage("assistant", exchange.answer))
        ]
        return [
            ChatMessage(
                "system",
                Template(self.system).substitute(
                    assistant_name=manner.assistant_name,
                    language=_line(manner.language) or self.language,
                    persona=persona,
                ),
            ),
            *earlier,
            ChatMessage(
                "user", Template(self.user).substitute(thread=thread, passages=text, question=question)
            ),
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
    return Prompt(id=name, **tomllib.loads(text))


async def fit(
    prompt: Prompt,
    question: str,
    *,
    manner: Manner,
    history: Sequence[Exchange],
    said: Sequence[Said] = (),
    passages: Sequence[Passage],
    count_tokens: CountTokens,
    budget: int,
) -> FittedPrompt:
    """The largest prompt of at most `budget` tokens.

    `said` comes oldest first, `passages` best first; one passage is always kept while it fits beside the question.
    Raises `QuestionTooLongError` when the question alone does not fit.
    """
    kept_said, kept_history, kept = list(said), list(history), list(passages)
    while True:
        messages = prompt.messages(
            question, manner=manner, history=kept_history, said=kept_said, passages=kept
        )
        tokens = await count_tokens(messages)
        if tokens <= budget:
            return FittedPrompt(messages, kept, tokens)
        if kept_said:
            kept_said.pop(0)
        elif kept_history:
            kept_history.pop(0)
        elif kept:
            kept.pop()
        else:
            raise QuestionTooLongError(
                f"The question takes {tokens} tokens and the model reads at most {budget}; "
                "ask a shorter one, or raise llm.context."
            )


def _line(text: str) -> str:
    """On one line, so that nothing in it can pass for another part of the prompt."""
    return " ".join(text.split())
