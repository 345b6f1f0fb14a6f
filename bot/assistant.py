"""One message, from question to stored turn.

`Assistant.answer` is the whole flow: history, search, abstain or write, check, store. It knows no platform, and
whatever happens inside, leaving the block stores the turn.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import TypeVar

from bot import quotes, relevance
from bot.attachments import Attachments
from bot.draft import Draft
from bot.errors import ModelError
from bot.facts import strip_citations
from bot.findings import Found, Search, find
from bot.followup import talk
from bot.grounding import Grounding, is_decline, sentences
from bot.llm.protocol import LLM
from bot.messages import Event, IncomingMessage, Progress, Said, Text
from bot.places import PlaceSettings
from bot.prompt import Exchange, Manner, Prompt, fit, load_prompt
from bot.recall import usable
from bot.rewriting import rewritten
from bot.selection import BUDGET
from bot.understanding import Understood, understand
from feedback.store import FeedbackStore
from knowledge.access import visible_sources
from knowledge.documents import Hit
from knowledge.errors import FilterError
from knowledge.filters import without_filters

log = logging.getLogger(__name__)
T = TypeVar("T")

HISTORY_TURNS = 6
GIVE_UP_AFTER = 3
"""Sentences dropped in a row after which the model is not listened to any longer: nobody waits for its ramblings."""
ANYWHERE = PlaceSettings()
JUST_THE_FILE = "Summarise the attached file."
"""What is asked with a file and no word."""
UNSURE = "I don't know: I am not sure that the documents say. The nearest I found:\n\n"
BESIDE = "\n\nThe documents say:\n\n"


class Assistant:
    """Answers questions from the documents. One instance serves many conversations at once."""

    def __init__(
        self,
        *,
        search: Search,
        llm: LLM,
        store: FeedbackStore,
        visible_to: dict[str, frozenset[str]],
        assistant_name: str = "Parley",
        top_k: int = 6,
        max_tokens: int = 256,
        temperature: float = 0.0,
        patience: float = 120.0,
        context_tokens: int = BUDGET,
        rewrite: bool = False,
        prompt: Prompt | None = None,
    ) -> None:
        """`rewrite`: whether the model completes questions that lean on their thread, see `bot.rewriting`."""
        self._search = search
        self._llm = llm
        self._store = store
        self._visible_to = visible_to
        self._assistant_name = assistant_name
        self._attachments = Attachments(search)
        self._top_k = top_k
        self._max_tokens = max_tokens
        self._temperature = temperature
        self._patience = patience
        self._context_tokens = context_tokens
        self._rewrite = rewrite
        self._prompt = prompt or load_prompt()

    @asynccontextmanager
    async def answer(
        self,
        message: IncomingMessage,
        *,
        place: PlaceSettings = ANYWHERE,
        files: Sequence[tuple[str, str]] = (),
    ) -> AsyncIterator[AsyncIterator[Event]]:
        """Progress, then checked text, then one `Final`; the turn is stored before `Final` is seen.

        `place` narrows what is searched and says how to write; `files` are the thread's, names and Markdown texts,
        oldest first. The message's `context` helps to understand the question, and is no source.
        Leaving the block early cancels the model's work and stores what was shown as a cancelled turn.
        Raises `ParleyError`, `KnowledgeError` or `FeedbackError`, with the turn stored as failed.
        """
        if message.attachments and not message.text.strip():
            message = replace(message, text=JUST_THE_FILE)
        draft = Draft(message, self._prompt.id)
        try:
            async with aclosing(self._events(draft, place, files)) as events:
                yield events
        except Exception as error:
            draft.outcome, draft.error = "failed", f"{type(error).__name__}: {error}"
            raise
        finally:
            if not draft.stored:
                await asyncio.shield(self._save(draft))

    async def _events(
        self, draft: Draft, place: PlaceSettings, files: Sequence[tuple[str, str]]
    ) -> AsyncGenerator[Event]:
        yield Progress(
            "searching", "Searching the documents and the files" if files else "Searching the documents"
        )
        message = draft.message
        history = await self._history(message)
        plain = [Exchange(without_filters(one.question), one.answer) for one in history]
        try:
            question = await asyncio.to_thread(
                understand,
                self._search,
                message.text,
                earlier=[exchange.question for exchange in history],
                context=message.context,
                sources=self._sources(message, place),
                has_files=bool(files),
            )
        except FilterError as error:
            yield draft.text(str(error))
        else:
            async with aclosing(self._answered(draft, question, plain, place, files)) as answered:
                async for event in answered:
                    yield event
        draft.outcome = "answered"
        await self._save(draft)
        yield draft.final()

    async def _answered(
        self,
        draft: Draft,
        question: Understood,
        history: Sequence[Exchange],
        place: PlaceSettings,
        files: Sequence[tuple[str, str]],
    ) -> AsyncGenerator[Event]:
        """Search, then decline, quote or write."""
        draft.scope = question.where.sentence
        if self._rewrite:
            question = await rewritten(self._llm, question, history=history)
        found = await asyncio.to_thread(
            find,
            self._search,
            question,
            sources=self._sources(draft.message, place),
            top_k=self._top_k,
            files=self._attachments.of(files, new=[file.name for file in draft.message.attachments]),
            context_tokens=self._context_tokens,
        )
        evidence = found.evidence
        draft.hits, draft.retrieve_ms = evidence.hits, draft.elapsed_ms()

        if found.relevance < relevance.SHOW:
            yield draft.text(_unknown(evidence.hits, narrowed=bool(question.where)))
        elif found.is_doubtful:
            yield _quoted(draft, found.quotes, lead=UNSURE)
        else:
            yield Progress("reading", f"Reading {_count(len(found.passages))}")
            grounding = Grounding(evidence, found.scores)
            async with aclosing(
                self._written(draft, question.text, grounding, history, found, place)
            ) as written:
                async for event in written:
                    yield event
            if draft.mode != "written":
                draft.mode = "quotes"
                yield _quoted(draft, found.quotes)
            elif not found.is_outline and (beside := grounding.left_out(found.quotes)):
                yield _quoted(draft, beside, lead=BESIDE)

    async def _written(
        self,
        draft: Draft,
        question: str,
        grounding: Grounding,
        history: Sequence[Exchange],
        found: Found,
        place: PlaceSettings,
    ) -> AsyncGenerator[Event]:
        """Sentences of the model that passed the check; none when it is down or has nothing to say.

        Waits `patience` seconds for the model in all, its start included.
        """
        deadline = time.monotonic() + self._patience
        try:
            async with asyncio.timeout(self._patience):
                await self._llm.ready()
            fitted = await fit(
                self._prompt,
                question,
                manner=Manner(self._assistant_name, persona=place.persona, language=place.language),
                history=history,
                said=talk(
                    [Said(one.author, without_filters(one.text)) for one in draft.message.context],
                    questions=[exchange.question for exchange in history],
                ),
                passages=found.passages,
                count_tokens=self._llm.count_tokens,
                budget=self._llm.context_window - self._max_tokens,
            )
            yield Progress("writing", "Writing the answer")
            async with self._llm.stream(
                fitted.messages, max_tokens=self._max_tokens, temperature=self._temperature
            ) as deltas:
                in_a_row = 0
                async for sentence in until(deadline, sentences(deltas)):
                    if is_decline(sentence):
                        break
                    checked = await asyncio.to_thread(grounding.check, sentence)
                    if checked.dropped:
                        draft.dropped.append(f"{sentence.strip()} ({checked.dropped})")
                        in_a_row += 1
                        if in_a_row == GIVE_UP_AFTER:
                            break
                        continue
                    in_a_row = 0
                    draft.mode, draft.model_id = "written", self._llm.model_id
                    draft.cited.update(checked.cited)
                    yield draft.text(checked.text)
        except TimeoutError:
            draft.note = f"The model took longer than {self._patience:.0f} s (llm.timeout)."
        except ModelError as error:
            draft.note = str(error)
        if draft.note:
            log.info("turn %s has to do without the model: %s", draft.id, draft.note)

    def _sources(self, message: IncomingMessage, place: PlaceSettings) -> frozenset[str]:
        """What is searched: a place chooses among the sources that those who see the reply may see."""
        visible = visible_sources(self._visible_to, message.principals)
        return visible & frozenset(place.sources) if place.sources else visible

    async def _history(self, message: IncomingMessage) -> list[Exchange]:
        turns = await asyncio.to_thread(
            self._store.history,
            message.platform,
            message.conversation_id,
            message.thread_id,
            limit=4 * HISTORY_TURNS,  # some may not be built upon
        )
        visible = visible_sources(self._visible_to, message.principals)
        return [
            Exchange(turn.question, strip_citations(turn.answer))
            for turn in usable(turns, message, visible=visible)[-HISTORY_TURNS:]
        ]

    async def _save(self, draft: Draft) -> None:
        draft.total_ms = draft.elapsed_ms()
        await asyncio.to_thread(self._store.save_turn, draft.turn())
        draft.stored = True


async def until(deadline: float, items: AsyncGenerator[T]) -> AsyncGenerator[T]:
    """The items that come before `deadline` (of `time.monotonic`); raises TimeoutError after it."""
    async with aclosing(items):
        while True:
            try:
                # Not wait_for: in Python 3.11 it can swallow the cancellation of who wants the answer stopped.
                async with asyncio.timeout(deadline - time.monotonic()):
                    item = await anext(items)
            except StopAsyncIteration:
                return
            yield item


def _quoted(draft: Draft, chosen: Sequence[quotes.Quote], *, lead: str = "") -> Text:
    """Quotes as the next piece of the answer, and cited."""
    draft.cited.update(quote.statement.n for quote in chosen)
    return draft.text(lead + quotes.render(chosen))


def _count(count: int) -> str:
    return "one passage" if count == 1 else f"{count} passages"


def _unknown(hits: Sequence[Hit], *, narrowed: bool) -> str:
    titles = list(dict.fromkeys(hit.chunk.title for hit in hits))[:3]
    if not titles and narrowed:
        return "I don't know: there are no such documents here."
    if not titles:
        return "I don't know: there are no documents here that I may use."
    return "I don't know: the documents do not seem to say. The nearest are: " + ", ".join(titles) + "."
