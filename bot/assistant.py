"""One message, from question to stored turn.

`Assistant.answer` is the whole flow: history, search, abstain or write, check, store. It knows no platform, and
whatever happens inside, leaving the block stores the turn.
"""

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from bot import quotes, ranking, relevance
from bot.errors import ModelError
from bot.evidence import Evidence, Vocabulary
from bot.facts import strip_citations
from bot.followup import search_query
from bot.grounding import Grounding, is_decline, sentences
from bot.llm.protocol import LLM
from bot.messages import Event, Final, IncomingMessage, Progress, Text
from bot.prompt import Exchange, Passage, Prompt, fit, load_prompt
from feedback.records import Mode, Outcome, SourceRecord, Turn, now
from feedback.store import FeedbackStore
from knowledge.access import visible_sources
from knowledge.documents import Hit
from knowledge.embedding import Embedder
from knowledge.lexical import content

log = logging.getLogger(__name__)
T = TypeVar("T")

HISTORY_TURNS = 6
GIVE_UP_AFTER = 3
"""Sentences dropped in a row after which the model is not listened to any longer: nobody waits for its ramblings."""
UNSURE = "I don't know: I am not sure that the documents say. The nearest I found:"


class Search(Protocol):
    """The part of the knowledge layer that answering needs; its methods block."""

    def search(self, query: str, *, sources: frozenset[str], top_k: int) -> list[Hit]: ...

    @property
    def embedder(self) -> Embedder: ...

    @property
    def vocabulary(self) -> Vocabulary: ...


@dataclass(frozen=True, slots=True)
class _Found:
    """What the documents have on a question."""

    evidence: Evidence
    scores: npt.NDArray[np.float64]
    """Of the evidence's statements, see `bot.ranking`."""
    relevance: float
    quotes: list[quotes.Quote]

    @property
    def is_doubtful(self) -> bool:
        """Whether what was found is near the question, and perhaps no answer to it."""
        quoted = {quote.statement.n for quote in self.quotes}
        return self.relevance < relevance.ANSWER or bool(relevance.unmentioned(self.evidence, quoted))


@dataclass
class _Draft:
    """What is known of a turn so far."""

    message: IncomingMessage
    prompt_id: str
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    started_at: datetime = field(default_factory=now)
    clock: float = field(default_factory=time.monotonic)
    pieces: list[str] = field(default_factory=list)
    mode: Mode = "unknown"
    outcome: Outcome = "cancelled"
    hits: Sequence[Hit] = ()
    cited: set[int] = field(default_factory=set)
    dropped: list[str] = field(default_factory=list)
    note: str = ""
    error: str | None = None
    retrieve_ms: int = 0
    first_text_ms: int | None = None
    total_ms: int = 0
    stored: bool = False

    def elapsed_ms(self) -> int:
        return round(1000 * (time.monotonic() - self.clock))

    def text(self, content: str) -> Text:
        """A piece that is about to be shown."""
        if self.first_text_ms is None:
            self.first_text_ms = self.elapsed_ms()
        self.pieces.append(content)
        return Text(content)

    @property
    def answer(self) -> str:
        return "".join(self.pieces).strip()


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
        prompt: Prompt | None = None,
    ) -> None:
        self._search = search
        self._llm = llm
        self._store = store
        self._visible_to = visible_to
        self._assistant_name = assistant_name
        self._top_k = top_k
        self._max_tokens = max_tokens
        self._temperature = temperature
        self._patience = patience
        self._prompt = prompt or load_prompt()

    @asynccontextmanager
    async def answer(self, message: IncomingMessage) -> AsyncIterator[AsyncIterator[Event]]:
        """Progress, then checked text, then one `Final`; the turn is stored before `Final` is seen.

        Leaving the block early cancels the model's work and stores what was shown as a cancelled turn.
        Raises `ParleyError`, `KnowledgeError` or `FeedbackError`, with the turn stored as failed.
        """
        draft = _Draft(message, self._prompt.id)
        try:
            async with aclosing(self._events(draft)) as events:
                yield events
        except Exception as error:
            draft.outcome, draft.error = "failed", f"{type(error).__name__}: {error}"
            raise
        finally:
            if not draft.stored:
                await asyncio.shield(self._save(draft))

    async def _events(self, draft: _Draft) -> AsyncGenerator[Event]:
        yield Progress("searching", "Searching the documents")
        history = await self._history(draft.message)
        found = await asyncio.to_thread(self._find, draft.message, history)
        evidence = found.evidence
        draft.hits, draft.retrieve_ms = evidence.hits, draft.elapsed_ms()

        if found.relevance < relevance.SHOW:
            yield draft.text(_unknown(evidence.hits))
        elif found.is_doubtful:
            draft.cited = {quote.statement.n for quote in found.quotes}
            yield draft.text(f"{UNSURE}\n\n{quotes.render(found.quotes)}")
        else:
            passages = _to_read(found)
            yield Progress("reading", f"Reading {_count(len(passages))}")
            grounding = Grounding(evidence, found.scores)
            async with aclosing(self._written(draft, grounding, history, passages)) as written:
                async for event in written:
                    yield event
            if draft.mode != "written" or not grounding.is_sound:
                lead = "\n\nThe documents say:\n\n" if draft.mode == "written" else ""
                draft.mode = "written" if lead else "quotes"
                draft.cited.update(quote.statement.n for quote in found.quotes)
                yield draft.text(lead + quotes.render(found.quotes))

        draft.outcome = "answered"
        await self._save(draft)
        yield self._final(draft)

    async def _written(
        self,
        draft: _Draft,
        grounding: Grounding,
        history: Sequence[Exchange],
        passages: Sequence[Passage],
    ) -> AsyncGenerator[Event]:
        """Sentences of the model that passed the check; none when it is down or has nothing to say.

        Waits `patience` seconds for the model in all, its start included.
        """
        deadline = time.monotonic() + self._patience
        try:
            await asyncio.wait_for(self._llm.ready(), self._patience)
            fitted = await fit(
                self._prompt,
                draft.message.text,
                assistant_name=self._assistant_name,
                history=history,
                passages=passages,
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
                    draft.mode = "written"
                    draft.cited.update(checked.cited)
                    yield draft.text(checked.text)
        except TimeoutError:
            draft.note = f"The model took longer than {self._patience:.0f} s (llm.timeout)."
        except ModelError as error:
            draft.note = str(error)
        if draft.note:
            log.warning("turn %s has to do without the model: %s", draft.id, draft.note)

    def _find(self, message: IncomingMessage, history: Sequence[Exchange]) -> _Found:
        """Search and cut into statements: blocking work, for a thread."""
        vocabulary = self._search.vocabulary
        query = search_query(
            vocabulary.corrected(message.text),
            earlier=[exchange.question for exchange in history],
            analyse=lambda text: vocabulary.analyse(content(text)),
        )
        sources = visible_sources(self._visible_to, message.principals)
        hits = self._search.search(query, sources=sources, top_k=self._top_k)
        evidence = Evidence(
            query, hits, embedder=self._search.embedder, vocabulary=vocabulary, asked=message.text
        )
        scores = ranking.scores(ranking.feature_matrix(evidence))
        return _Found(
            evidence,
            scores,
            relevance=relevance.probability(scores),
            quotes=quotes.best_quotes(evidence, scores),
        )

    async def _history(self, message: IncomingMessage) -> list[Exchange]:
        turns = await asyncio.to_thread(
            self._store.history,
            message.platform,
            message.conversation_id,
            message.thread_id,
            limit=HISTORY_TURNS,
        )
        return [Exchange(turn.question, strip_citations(turn.answer)) for turn in turns]

    async def _save(self, draft: _Draft) -> None:
        draft.total_ms = draft.elapsed_ms()
        records = tuple(_record(n, hit) for n, hit in enumerate(draft.hits, start=1))
        turn = Turn(
            id=draft.id,
            platform=draft.message.platform,
            conversation_id=draft.message.conversation_id,
            thread_id=draft.message.thread_id,
            user_id=draft.message.user_id,
            question=draft.message.text,
            answer=draft.answer,
            mode=draft.mode,
            outcome=draft.outcome,
            sources=tuple(record for record in records if record.n in draft.cited),
            retrieved=records,
            model_id=self._llm.model_id if draft.mode == "written" else "",
            prompt_id=draft.prompt_id,
            started_at=draft.started_at,
            retrieve_ms=draft.retrieve_ms,
            first_text_ms=draft.first_text_ms,
            total_ms=draft.total_ms,
            dropped=tuple(draft.dropped),
            error=draft.error,
        )
        await asyncio.to_thread(self._store.save_turn, turn)
        draft.stored = True

    def _final(self, draft: _Draft) -> Final:
        return Final(
            turn_id=draft.id,
            mode=draft.mode,
            answer=draft.answer,
            sources=tuple(_record(n, hit) for n, hit in enumerate(draft.hits, start=1) if n in draft.cited),
            model_id=self._llm.model_id if draft.mode == "written" else "",
            retrieve_ms=draft.retrieve_ms,
            first_text_ms=draft.first_text_ms,
            total_ms=draft.total_ms,
            note=draft.note,
        )


async def until(deadline: float, items: AsyncGenerator[T]) -> AsyncGenerator[T]:
    """The items that come before `deadline` (of `time.monotonic`); raises TimeoutError after it."""
    async with aclosing(items):
        while True:
            try:
                item = await asyncio.wait_for(anext(items), deadline - time.monotonic())
            except StopAsyncIteration:
                return
            yield item


def _to_read(found: _Found) -> list[Passage]:
    """The passages of the best statements, best first, under the numbers they are cited by."""
    numbers = dict.fromkeys(quote.statement.n for quote in found.quotes)
    return [(n, found.evidence.hits[n - 1]) for n in numbers]


def _record(n: int, hit: Hit) -> SourceRecord:
    chunk = hit.chunk
    return SourceRecord(n, chunk.id, chunk.title, chunk.heading, chunk.uri, round(hit.score, 4), chunk.text)


def _count(count: int) -> str:
    return "one passage" if count == 1 else f"{count} passages"


def _unknown(hits: Sequence[Hit]) -> str:
    titles = list(dict.fromkeys(hit.chunk.title for hit in hits))[:3]
    if not titles:
        return "I don't know: there are no documents here that I may use."
    return "I don't know: the documents do not seem to say. The nearest are: " + ", ".join(titles) + "."
