"""What people do with Parley's commands, buttons and dialogues.

Discord waits three seconds for the first response to each, so that goes out before anything else; what follows takes
its time. A question asked for everybody to see is repeated as a message, and from then on is a message like any other:
its answer refers to it, and does not depend on a token that ends after fifteen minutes.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import discord

from adapters.background import PlatformBackground
from adapters.discord import events
from adapters.discord.buttons import given_reason, reason_modal
from adapters.discord.contents import Control
from adapters.discord.errors import ALREADY_ACKNOWLEDGED, TRANSPORT_ERRORS
from adapters.discord.events import Way
from adapters.memory import Memory
from adapters.render import clean
from adapters.votes import Votes
from bot.delivery import APOLOGY
from bot.desk import Desk
from bot.errors import EXPLAINED, UsageError
from bot.messages import Addressed, IncomingMessage
from feedback.records import Vote

log = logging.getLogger(__name__)

Interaction = discord.Interaction[Any]
Share = Callable[[str, str], Awaitable[None]]
"""Shows the private answer of a turn to everybody where it was asked, for the person who asked it."""
"""Whether who said that may use the commands of admins."""

TWICE = 10.0
"""Seconds in which a second press of somebody on a button is that of a nervous finger."""

NOT_YOURS = "Only the person who asked can stop this, as long as it is not finished."
THANKS = "Thank you, noted."
BELOW = "The answer is on its way, below that message."
FORGOTTEN = "That question is not stored any more; ask it again."
SHARED = "Everybody here can see it now."
NOTHING_TO_READ = "There is no text in that message that I could answer; ask in your own words with `/ask`."


class Interactions:
    """Satisfies `buttons.Presses`; what is raised ends in a sentence for the person, and in the log."""

    def __init__(
        self,
        *,
        desk: Desk,
        votes: Votes,
        background: PlatformBackground,
        share: Share,
    ) -> None:
        self._desk = desk
        self._votes = votes
        self._background = background
        self._share = share
        self._presses: Memory[tuple[int, int, str], bool] = Memory(TWICE, time.monotonic)
        """By message, person and command of the button."""

    # Commands.

    async def ask(self, interaction: Interaction, question: str, private: bool) -> None:
        """`/ask`; where the bot is not itself, nobody else sees the answer."""
        async with _Told(interaction):
            if private or not _is_at_home(interaction):
                await self._privately(interaction, question, addressed="mention")
                return
            quoted = "\n".join(f"> {line}" for line in clean(question, allowed_links=()).splitlines())
            said = await interaction.response.send_message(quoted, suppress_embeds=True)
            question_id = str(said.message_id or "")
            way = Way(str(interaction.channel_id), question_id)
            addressed: Addressed = "mention" if interaction.guild_id else "direct"
            message = events.command(interaction, question, addressed=addressed, way=way, is_private=False)
            await self._desk.receive(replace(message, message_id=question_id))

    async def menu(self, interaction: Interaction, chosen: discord.Message) -> None:
        """ "Ask Parley about this": the message is the question, and the answer refers to it."""
        async with _Told(interaction):
            text, files = events.plain(chosen.content), events.attachments_of(chosen)
            if not (text or files):
                raise UsageError(NOTHING_TO_READ)
            if not _is_at_home(interaction):
                await self._privately(interaction, text, addressed="shortcut")
                return
            await interaction.response.send_message(BELOW, ephemeral=True)
            way = Way(str(interaction.channel_id), str(chosen.id))
            message = events.command(interaction, text, addressed="shortcut", way=way, is_private=False)
            await self._desk.receive(replace(message, attachments=files))

    async def order(self, interaction: Interaction, text: str) -> None:
        """`/parley …`."""
        async with _Told(interaction):
            await self._privately(interaction, text, addressed="command")

    # Buttons and dialogues.

    async def pressed(self, control: Control, turn_id: str, interaction: Interaction) -> None:
        async with _Told(interaction):
            match control:
                case "up":
                    await self._background.in_time(self._votes.cast(turn_id, str(interaction.user.id), 1))
                    await interaction.response.send_message(THANKS, ephemeral=True)
                case "down":
                    await self._background.in_time(self._votes.cast(turn_id, str(interaction.user.id), -1))
                    await interaction.response.send_modal(reason_modal(turn_id))
                case "again":
                    await self._again(turn_id, interaction)
                case "stop":
                    await self._stop(turn_id, interaction)
                case "share":
                    await interaction.response.defer(ephemeral=True, thinking=True)
                    await self._share(turn_id, str(interaction.user.id))
                    await interaction.edit_original_response(content=SHARED)

    async def chosen(self, command: str, interaction: Interaction) -> None:
        """The command is given by whoever pressed; an admin's press takes the buttons away, others leave them."""
        async with _Told(interaction):
            press = (interaction.message.id if interaction.message else 0, interaction.user.id, command)
            is_second = self._presses.get(press)
            self._presses.put(press, True)
            await interaction.response.defer()
            if is_second:
                return
            message = events.command(interaction, command, way=_private_way(interaction))
            try:
                await self._desk.receive(message)
            except BaseException:
                self._presses.forget(press)
                raise
            if await self._desk.may(message):
                await interaction.edit_original_response(view=None)

    async def submitted(self, interaction: Interaction) -> None:
        """A dialogue was sent."""
        given = given_reason(interaction)
        if given is None:
            return
        async with _Told(interaction):
            await interaction.response.send_message(THANKS, ephemeral=True)
            await self._desk.vote(
                Vote(
                    turn_id=given.turn_id,
                    user_id=str(interaction.user.id),
                    score=-1,
                    reason=given.reason,
                    comment=given.comment,
                )
            )

    async def _again(self, turn_id: str, interaction: Interaction) -> None:
        """The same question once more, of whoever pressed; answered where the first answer stands."""
        asked = await asyncio.to_thread(self._desk.inbox.message, turn_id)
        if asked is None:
            raise UsageError(FORGOTTEN)
        if interaction.message is not None and interaction.message.flags.ephemeral:
            await self._privately(interaction, asked.text, addressed="mention")
            return
        await interaction.response.defer()
        place = Way.of(asked)
        await self._desk.receive(
            IncomingMessage(
                platform=events.PLATFORM,
                event_id=str(interaction.id),
                workspace_id=asked.workspace_id,
                conversation_id=asked.conversation_id,
                thread_id=asked.thread_id,
                user_id=str(interaction.user.id),
                text=asked.text,
                addressed="direct" if asked.addressed == "direct" else "shortcut",
                reply_to=str(Way(place.channel_id, place.question_id)),
            )
        )

    async def _stop(self, turn_id: str, interaction: Interaction) -> None:
        await interaction.response.defer()
        is_admin = interaction.permissions.manage_guild
        if not await self._desk.stop_turn(turn_id, user_id=str(interaction.user.id), by_admin=is_admin):
            await interaction.followup.send(NOT_YOURS, ephemeral=True)

    async def _privately(self, interaction: Interaction, text: str, *, addressed: Addressed) -> None:
        promised = await interaction.response.defer(ephemeral=True, thinking=True)
        way = _private_way(interaction, response_id=str(promised.message_id or "") if promised else "")
        await self._desk.receive(events.command(interaction, text, addressed=addressed, way=way))


class _Told:
    """The boundary for errors: who pressed or typed gets the sentence, the log gets the rest."""

    def __init__(self, interaction: Interaction) -> None:
        self._interaction = interaction

    async def __aenter__(self) -> None:
        return

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if error is None or not isinstance(error, Exception):
            return False
        if isinstance(error, discord.HTTPException) and error.code == ALREADY_ACKNOWLEDGED:
            return True  # a second delivery: the first has been taken
        explained = isinstance(error, EXPLAINED)
        log.log(
            logging.WARNING if explained else logging.ERROR,
            "interaction %s was not taken: %s",
            self._interaction.id,
            error,
            exc_info=None if explained else error,
        )
        await self._say(str(error) if explained else APOLOGY)
        return True

    async def _say(self, sentence: str) -> None:
        try:
            if self._interaction.response.is_done():
                await self._interaction.followup.send(sentence, ephemeral=True)
            else:
                await self._interaction.response.send_message(sentence, ephemeral=True)
        except TRANSPORT_ERRORS as error:
            log.info("the person at interaction %s could not be told: %s", self._interaction.id, error)


def _private_way(interaction: Interaction, *, response_id: str = "") -> Way:
    """To the person of the interaction alone; `response_id` is the message that was promised to Discord, if any."""
    return Way(
        str(interaction.channel_id or ""),
        application_id=str(interaction.application_id),
        token=interaction.token,
        response_id=response_id,
    )


def _is_at_home(interaction: Interaction) -> bool:
    """Whether the bot can answer as itself where the interaction is: not where somebody only brought the app along."""
    if interaction.guild_id is None:
        return interaction.context.dm_channel
    may = interaction.app_permissions
    in_thread = isinstance(interaction.channel, discord.Thread)
    return (
        interaction.client.get_guild(interaction.guild_id) is not None
        and interaction.is_guild_integration()
        and may.view_channel
        and (may.send_messages_in_threads if in_thread else may.send_messages)
    )
