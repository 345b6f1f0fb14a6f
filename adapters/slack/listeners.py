"""From Slack to the desk: a Bolt app whose listeners each hand one kind of event on.

Slack is answered "OK" only when a listener has come to its end (`process_before_response`), so that what the desk
has not taken is sent again; a message is written down by then, and a vote stored. What can be slow or need not
outlive a crash goes on after the acknowledgement (`background`).

Errors end in `_failed`, and nowhere else: Slack gets no acknowledgement, and who pressed or typed gets the sentence.
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from slack_bolt.async_app import AsyncAck, AsyncApp, AsyncBoltContext, AsyncRespond
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.authorization.async_authorize import AsyncAuthorize
from slack_sdk.web.async_client import AsyncWebClient

from adapters.background import PlatformBackground
from adapters.slack import events
from adapters.slack.blocks import REASON_MODAL, SHARE, STOP, VOTE, parse_reason, parse_vote, reason_modal
from adapters.slack.choices import CHOICE, take_away
from adapters.slack.errors import TRANSPORT_ERRORS
from adapters.slack.events import COMMAND, Choice, Deleted, Edited, Json, Press
from adapters.slack.workspaces import Workspace, Workspaces
from adapters.votes import Votes
from bot.delivery import APOLOGY
from bot.desk import Desk
from bot.errors import EXPLAINED
from bot.messages import IncomingMessage
from feedback.records import Vote
from feedback.store import FeedbackStore

log = logging.getLogger(__name__)

NOT_YOURS = "Only the person who asked can stop this, as long as it is not finished."
NO_QUESTION = "Ask something, such as `/ask How many days of leave do I have?`"
PRESSED = "You have pressed that already; to do it once more, give the command: `{} {}`"


Share = Callable[[Workspace, Press], Coroutine[Any, Any, None]]
"""Shows the private answer of a turn to everybody where it was asked; raises an explained error instead."""


class Listeners:
    """What the Bolt app does."""

    def __init__(
        self,
        *,
        desk: Desk,
        feedback: FeedbackStore,
        workspaces: Workspaces,
        share: Share,
        prompts: Sequence[str] = (),
    ) -> None:
        self._desk = desk
        self._votes = Votes(events.PLATFORM, desk=desk, feedback=feedback)
        self._workspaces = workspaces
        self._share = share
        self._prompts = prompts
        self._background = PlatformBackground("Slack", expected=TRANSPORT_ERRORS)
        self.events: dict[str, Callable[..., Awaitable[None]]] = {
            "message": self._message,
            "app_mention": self._message,
            "reaction_added": self._reaction,
            "reaction_removed": self._reaction,
            "app_home_opened": self._home_opened,
            "agent_session_stopped": self._session_stopped,
            "member_joined_channel": self._channel_changed,
            "channel_shared": self._channel_changed,
            "channel_unshared": self._channel_changed,
            "user_change": self._person_changed,
            "app_uninstalled": self._removed,
            "tokens_revoked": self._removed,
        }
        self.commands = (events.ASK, events.COMMAND)
        self.shortcuts = (events.ASK_ABOUT_THIS,)

    def bolt(self, *, api_url: str, signing_secret: str = "") -> AsyncApp:
        """The app, for Socket Mode and for signed requests."""
        bolt = AsyncApp(
            name="parley",
            client=AsyncWebClient(base_url=api_url),
            signing_secret=signing_secret,
            authorize=_Authorize(self._workspaces),  # type: ignore[arg-type]  # None: not installed there
            process_before_response=True,
            ignoring_self_events_enabled=False,  # `events` knows better which of them matter
            attaching_function_token_enabled=False,
            attaching_conversation_kwargs_enabled=False,
        )
        bolt.error(self._failed)
        for name, listener in self.events.items():
            bolt.event(name)(listener)
        for command in self.commands:
            bolt.command(command)(self._command)
        for callback_id in self.shortcuts:
            bolt.shortcut(callback_id)(self._shortcut)
        bolt.action(VOTE)(self._voted)
        bolt.action(STOP)(self._stop_pressed)
        bolt.action(SHARE)(self._share_pressed)
        bolt.action(CHOICE)(self._chosen)
        bolt.view(REASON_MODAL)(self._reason_given)
        # What is not ours to handle (links that look like buttons, events that somebody subscribed to) is taken.
        bolt.event(re.compile(".*"))(_nothing)
        bolt.action(re.compile(".*"))(_acknowledge)
        return bolt

    async def close(self) -> None:
        """Let what goes on after an acknowledgement come to its end."""
        await self._background.close()

    # Events.

    async def _message(self, body: Json, workspace: Workspace) -> None:
        match events.message(body, team_id=workspace.team_id, bot_user_id=workspace.bot_user_id):
            case IncomingMessage() as message:
                await self._desk.receive(message)
            case Edited(channel, ts, text):
                await self._background.in_time(self._desk.edited(events.PLATFORM, channel, ts, text))
            case Deleted(channel, ts):
                await self._background.in_time(self._desk.deleted(events.PLATFORM, channel, ts))

    async def _reaction(self, body: Json, workspace: Workspace) -> None:
        reaction = events.reaction(body, bot_user_id=workspace.bot_user_id)
        if reaction is not None:
            await self._votes.react(reaction)

    async def _home_opened(self, body: Json, workspace: Workspace) -> None:
        if body["event"].get("tab") == "messages" and self._prompts:
            prompts = [{"title": prompt, "message": prompt} for prompt in self._prompts]
            # Without thread_ts: with it Slack says OK to an agent, and shows nothing.
            self._background.later(
                workspace.client.assistant_threads_setSuggestedPrompts(
                    channel_id=body["event"]["channel"], prompts=prompts
                )
            )

    async def _session_stopped(self, body: Json) -> None:
        stopped = events.stopped(body)

        async def stop() -> None:
            entries = await asyncio.to_thread(self._desk.inbox.unfinished, events.PLATFORM)
            # The last ones first: else each would begin when the one before it ends.
            for asked in [entry.message for entry in reversed(entries) if stopped.stops(entry.message)]:
                await self._desk.stop_turn(asked.turn_id, user_id=stopped.user_id)

        await self._background.in_time(stop())

    async def _channel_changed(self, body: Json, workspace: Workspace) -> None:
        workspace.people.forget_channel(body["event"]["channel"])

    async def _person_changed(self, body: Json, workspace: Workspace) -> None:
        workspace.people.changed(body["event"]["user"])

    async def _removed(self, body: Json, context: AsyncBoltContext) -> None:
        event = body["event"]
        if event["type"] == "app_uninstalled" or (event.get("tokens") or {}).get("bot"):
            log.warning("Slack workspace %s removed the app", context.team_id)
            await self._workspaces.installations.async_delete_bot(team_id=context.team_id)

    # What people do with Parley's commands, buttons and dialogues.

    async def _command(self, body: Json, ack: AsyncAck, workspace: Workspace) -> None:
        message = events.command(body, team_id=workspace.team_id)
        if message.addressed != "command" and not message.text:
            await ack(NO_QUESTION)
            return
        await self._desk.receive(message)
        await ack()

    async def _shortcut(self, body: Json, ack: AsyncAck, workspace: Workspace) -> None:
        await self._desk.receive(
            events.shortcut(body, team_id=workspace.team_id, bot_user_id=workspace.bot_user_id)
        )
        await ack()

    async def _voted(self, body: Json, ack: AsyncAck, workspace: Workspace) -> None:
        press = events.press(body)
        if (parsed := parse_vote(press.value)) is None:
            await ack()
            return
        turn_id, score = parsed
        await self._votes.cast(turn_id, press.user_id, score)
        await ack()
        if score < 0:
            view = reason_modal(turn_id, channel=press.conversation_id)
            self._background.later(workspace.client.views_open(trigger_id=press.trigger_id, view=view))

    async def _reason_given(self, body: Json, ack: AsyncAck) -> None:
        given = parse_reason(body["view"])
        await self._desk.vote(
            Vote(
                turn_id=given.turn_id,
                user_id=body["user"]["id"],
                score=-1,
                reason=given.reason,
                comment=given.comment,
            )
        )
        await ack()

    async def _stop_pressed(self, body: Json, ack: AsyncAck, respond: AsyncRespond) -> None:
        press = events.press(body)

        async def stop() -> None:
            if not await self._desk.stop_turn(press.value, user_id=press.user_id):
                await _privately(respond, NOT_YOURS)

        await self._background.in_time(stop())
        await ack()

    async def _share_pressed(
        self, body: Json, ack: AsyncAck, respond: AsyncRespond, workspace: Workspace
    ) -> None:
        press = events.press(body)

        async def share() -> None:
            try:
                await self._share(workspace, press)
            except EXPLAINED as error:
                await _privately(respond, str(error))

        self._background.later(share())
        await ack()

    async def _chosen(self, body: Json, ack: AsyncAck, respond: AsyncRespond, workspace: Workspace) -> None:
        choice = events.choice(body, team_id=workspace.team_id)
        is_new = await asyncio.to_thread(self._desk.inbox.message, choice.command.turn_id) is None
        await self._desk.receive(choice.command)
        await ack()
        if not is_new:
            self._background.later(_privately(respond, PRESSED.format(COMMAND, choice.command.text)))
        self._background.later(self._take_buttons(choice, workspace))

    async def _take_buttons(self, choice: Choice, workspace: Workspace) -> None:
        """Nobody is to press them again; one that was refused to this person is left for others."""
        if choice.shown is None or await self._desk.may(choice.command):
            await take_away(choice, workspace.api)

    async def _failed(self, error: Exception, body: Json, context: AsyncBoltContext) -> None:
        """The boundary for errors: no acknowledgement, so that Slack sends an event again or shows a failed press."""
        what = (body.get("event") or {}).get("type") or body.get("command") or body.get("type")
        explained = isinstance(error, EXPLAINED)
        log.log(
            logging.WARNING if explained else logging.ERROR,
            "%s of workspace %s was not taken: %s",
            what,
            context.team_id,
            error,
            exc_info=None if explained else error,
        )
        if context.response_url and context.respond:
            self._background.later(_privately(context.respond, str(error) if explained else APOLOGY))


class _Authorize(AsyncAuthorize):
    """Finds the workspace of a request, for the listeners.

    Asks Slack nothing: an event has to be taken while Slack's API is down as well.
    """

    def __init__(self, workspaces: Workspaces) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._workspaces = workspaces

    async def __call__(
        self, *, context: AsyncBoltContext, team_id: str | None, **_: Any
    ) -> AuthorizeResult | None:
        workspace = await self._workspaces.find(team_id)
        if workspace is None:
            return None
        context["workspace"] = workspace
        return AuthorizeResult(
            enterprise_id=None,
            team_id=workspace.team_id,
            bot_user_id=workspace.bot_user_id,
            bot_token=workspace.client.token,
        )


async def _nothing() -> None:
    pass


async def _acknowledge(ack: AsyncAck) -> None:
    await ack()


async def _privately(respond: AsyncRespond, sentence: str) -> None:
    await respond(text=sentence, response_type="ephemeral", replace_original=False)
