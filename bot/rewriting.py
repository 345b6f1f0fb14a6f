"""Questions that lean on their thread, rewritten by the language model so that they can be searched for alone.

`bot.followup` decides whether a question leans on the thread, and its rule is what is used whenever the model is off,
too slow, or gives something that is no such question. The model sees the thread of the question and nothing else, and
what it gives is searched for and never shown.
"""

import asyncio
import logging
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from string import Template

from bot.errors import ParleyError
from bot.facts import facts, numbers, words
from bot.grounding import is_decline
from bot.llm.protocol import LLM, ChatMessage
from bot.prompt import Exchange
from bot.understanding import Understood
from knowledge.lexical import QUESTION_WORDS

log = logging.getLogger(__name__)

CURRENT = "rewrite-1"
PATIENCE = 8.0
"""Seconds; the person waits for the search meanwhile."""
MAX_TOKENS = 64
MOST_EXCHANGES = 3
LONGEST_TEXT = 300
"""Characters of a question or an answer of the thread, and of what is rewritten."""
_LABEL = re.compile(r"^\s*(?:rewritten |last )?question\s*:\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class RewritePrompt:
    """A versioned wording with places for `string.Template`."""

    id: str
    system: str
    user: str
    asked: str
    answered: str

    def messages(self, question: str, *, history: Sequence[Exchange]) -> list[ChatMessage]:
        """`history` oldest first; its last exchanges count, each text cut and on one line."""
        thread = "\n".join(
            Template(form).substitute(text=_cut(text))
            for exchange in history[-MOST_EXCHANGES:]
            for form, text in ((self.asked, exchange.question), (self.answered, exchange.answer))
            if text.strip()
        )
        user = Template(self.user).substitute(thread=thread, question=_cut(question))
        return [ChatMessage("system", self.system), ChatMessage("user", user)]


@cache
def load_rewrite_prompt(name: str = CURRENT) -> RewritePrompt:
    """Read a prompt file of the package."""
    text = resources.files("bot").joinpath("prompts", f"{name}.toml").read_text(encoding="utf-8")
    return RewritePrompt(id=name, **tomllib.loads(text))


async def rewritten(
    llm: LLM, question: Understood, *, history: Sequence[Exchange], patience: float = PATIENCE
) -> Understood:
    """The question as the model completes it, where it leans on an earlier one of `history`; else as it is.

    Never raises for what the model does, and never takes longer than `patience` seconds.
    """
    if question.previous is None or not history:
        return question
    try:
        async with asyncio.timeout(patience):
            text = await _complete(llm, load_rewrite_prompt().messages(question.text, history=history))
    except TimeoutError:
        log.info("the follow-up was not rewritten within %g s", patience)
        return question
    except ParleyError as error:
        log.info("the follow-up was not rewritten: %s", error)
        return question
    thread = [text for exchange in history for text in (exchange.question, exchange.answer)]
    if not is_rewriting(text, question=question.text, thread=thread):
        log.info("the follow-up keeps its rule: what the model gave is no such question")
        return question
    return replace(question, query=text, asked=text)


def is_rewriting(text: str, *, question: str, thread: Sequence[str]) -> bool:
    """Whether the text may stand for the question: it says more, keeps what it asks, and brings nothing from elsewhere.

    No figure and no name that neither the question nor the thread has, and no word of the question's lost that a rule
    would search for.
    """
    known = " ".join([question, *thread])
    # The first word of a sentence is capitalised whether it names something or not.
    names = facts(text[:1].lower() + text[1:]).names
    return bool(
        0 < len(text) <= LONGEST_TEXT
        and not is_decline(text)
        and numbers(text) <= numbers(known)
        and all(set(words(name)) & set(words(known)) for name in names)
        and _content(question) <= set(words(text))
        and _content(text) > _content(question)
    )


async def _complete(llm: LLM, messages: Sequence[ChatMessage]) -> str:
    """The first line that the model writes."""
    await llm.ready()
    held = ""
    async with llm.stream(messages, max_tokens=MAX_TOKENS, temperature=0.0) as deltas:
        async for delta in deltas:
            held += delta.content
            if "\n" in held.strip():
                break
    line = next(iter(held.strip().splitlines()), "")
    return _LABEL.sub("", line).strip().strip("\"'“”„`").strip()


def _content(text: str) -> set[str]:
    return {word for word in words(text) if word not in QUESTION_WORDS}


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1].rstrip()}…"
