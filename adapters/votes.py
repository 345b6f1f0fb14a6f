"""Votes on answers, by button and by thumb. Everybody has one for each answer, and the last one counts."""

import asyncio
import logging
from dataclasses import dataclass

from bot.desk import Desk
from feedback.errors import UnknownTurnError
from feedback.records import Score, Vote
from feedback.store import FeedbackStore

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reaction:
    """A thumb was put on a message, or taken away."""

    conversation_id: str
    message_id: str
    user_id: str
    score: Score
    added: bool


class Votes:
    """Brings a platform's votes to the desk. Every method raises `FeedbackError` when a vote is not kept."""

    def __init__(self, platform: str, *, desk: Desk, feedback: FeedbackStore) -> None:
        self._platform = platform
        self._desk = desk
        self._feedback = feedback

    async def cast(self, turn_id: str, user_id: str, score: Score) -> None:
        """The same vote once more changes nothing: it would take the place of the one that came with a reason."""
        if await self._score(turn_id, user_id) != score:
            await self._desk.vote(Vote(turn_id=turn_id, user_id=user_id, score=score))

    async def react(self, reaction: Reaction) -> None:
        """A thumb on one of our answers is a vote, and taking that thumb away withdraws it."""
        turn_id = await asyncio.to_thread(
            self._desk.outbox.turn_of, self._platform, reaction.conversation_id, reaction.message_id
        )
        if turn_id is None:
            return
        try:
            if reaction.added:
                await self.cast(turn_id, reaction.user_id, reaction.score)
            elif await self._score(turn_id, reaction.user_id) == reaction.score:
                await self._desk.withdraw_vote(turn_id, reaction.user_id)
        except UnknownTurnError:
            log.info("a reaction to turn %s is no vote: no answer of that name is stored", turn_id)

    async def _score(self, turn_id: str, user_id: str) -> Score | None:
        votes = await asyncio.to_thread(self._feedback.votes, turn_id)
        return next((vote.score for vote in votes if vote.user_id == user_id), None)
