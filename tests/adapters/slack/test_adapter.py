"""The adapter between the local Slack, with the real slack-bolt and slack-sdk, and a desk that keeps notes."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import sqlalchemy as sa
from pydantic import SecretStr
from slack_sdk.oauth.installation_store.models.installation import Installation

from adapters.slack.adapter import SlackAdapter
from adapters.slack.blocks import answer_blocks, queue_blocks
from adapters.slack.connection import SocketConnection
from adapters.slack.contents import noticed
from adapters.slack.whispers import TOLD, WHISPERED
from bot import vault
from bot.app import App
from bot.config import ChatSettings, SlackSettings
from bot.database import migrate, open_database
from bot.errors import DatabaseError, PlatformError, SettingsError, UsageError
from bot.inbox import Inbox
from bot.messages import Attachment, Final, IncomingMessage
from bot.notices import Action
from bot.outbox import Outbox
from bot.telemetry import Telemetry
from bot.vault import Vault
from feedback.records import Turn, Vote, now
from feedback.store import FeedbackStore
from tests.platforms.slack import LocalSlack, Message, User

ASKED = IncomingMessage(
    platform="slack", event_id="e1", conversation_id="C1", thread_id="5.0", user_id="U1", text="?"
)
TURN = Turn(
    id=ASKED.turn_id,
    platform="slack",
    conversation_id="C1",
    thread_id="5.0",
    user_id="U1",
    question="How many days of leave?",
    answer="28 days. [1]",
    mode="written",
    outcome="answered",
    sources=(),
    retrieved=(),
    model_id="m",
    prompt_id="p",
    started_at=now(),
    retrieve_ms=1,
    first_text_ms=1,
    total_ms=1,
)


class NotingDesk:
    """Keeps what it was handed, and its votes as the real desk does; `troubles` are raised one after the other."""

    def __init__(self, engine: sa.Engine, feedback: FeedbackStore) -> None:
        self.inbox = Inbox(engine)
        self.outbox = Outbox(engine)
        self.noted: list[Any] = []
        self.troubles: list[Exception] = []
        self.joined: list[Any] = []
        self.may_share = True
        self.can_stop = True
        self._feedback = feedback

    def join(self, platform: Any) -> None:
        self.joined.append(platform)

    async def receive(self, message: IncomingMessage) -> None:
        if self.troubles:
            raise self.troubles.pop(0)
        if await asyncio.to_thread(self.inbox.accept, message):
            self.noted.append(message)

    async def may(self, message: IncomingMessage) -> bool:
        """Only admins dig."""
        return message.text == "look" or (await self.joined[-1].complete(message)).by_admin

    async def edited(self, *what: str) -> None:
        self.noted.append(("edited", *what))

    async def deleted(self, *what: str) -> None:
        self.noted.append(("deleted", *what))

    async def stop_turn(self, turn_id: str, *, user_id: str) -> bool:
        self.noted.append(("stop_turn", turn_id, user_id))
        return self.can_stop

    async def vote(self, vote: Vote) -> None:
        await asyncio.to_thread(self._feedback.save_vote, vote)

    async def withdraw_vote(self, turn_id: str, user_id: str) -> None:
        await asyncio.to_thread(self._feedback.withdraw_vote, turn_id, user_id)

    async def shareable(self, turn_id: str, principals: frozenset[str]) -> Turn:
        self.noted.append(("shareable", turn_id, principals))
        if not self.may_share:
            raise UsageError("Not everyone here may see that.")
        return TURN

    @property
    def messages(self) -> list[IncomingMessage]:
        return [noted for noted in self.noted if isinstance(noted, IncomingMessage)]


class Office:
    """A local Slack, the adapter on it, and the desk behind it."""

    def __init__(
        self, slack: LocalSlack, engine: sa.Engine, desk: NotingDesk, feedback: FeedbackStore, vault: Vault
    ) -> None:
        self.slack, self.engine, self.desk, self.feedback, self.vault = slack, engine, desk, feedback, vault
        self.telemetry = Telemetry()
        self.ann = slack.add_user("ann")
        self.bob = slack.add_user("bob", admin=True)
        self.channel = slack.add_channel("general", members=[self.ann, self.bob])
        self.adapter: SlackAdapter = cast("SlackAdapter", None)

    def make(self, *, silence: float = 300.0, **settings: Any) -> SlackAdapter:
        tokens: dict[str, Any] = {"bot_token": self.slack.bot_token, "app_token": self.slack.app_token}
        given = {
            key: SecretStr(value) for key, value in (tokens | settings).items() if key in SECRETS and value
        }
        plain = {key: value for key, value in settings.items() if key not in SECRETS}
        slack = SlackSettings(api_url=self.slack.api_url, **plain).model_copy(update=given)
        app = SimpleNamespace(
            settings=SimpleNamespace(slack=slack, chat=ChatSettings()),
            desk=self.desk,
            feedback=self.feedback,
            vault=self.vault,
            telemetry=self.telemetry,
        )
        return SlackAdapter(cast("App", app), silence=silence)

    @asynccontextmanager
    async def running(self, **settings: Any) -> AsyncIterator[SlackAdapter]:
        self.adapter = self.make(**settings)
        task = asyncio.create_task(self.adapter.run())
        try:
            await self.until(
                lambda: task.done() or (self.slack.connections or settings.get("mode") == "http")
            )
            if task.done():
                task.result()
            yield self.adapter
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError, SettingsError):
                await task

    async def until(self, look: Callable[[], Any]) -> Any:
        return await self.slack.wait_for(look)

    async def shown(self, *, private_to: User | None = None, blocks: list[Any] | None = None) -> Message:
        """An answer of the bot with its buttons, known to the stores as the answer of `TURN`."""
        self.feedback.save_turn(TURN)
        ts = self.slack.state.ts()
        message = Message(
            self.channel.id, ts, self.slack.bot.id, raw_text="28 days.", bot_id=self.slack.bot.bot_id
        )
        final = Final(TURN.id, "written", TURN.answer, (), "m", 1, 1, 1)
        message.blocks = blocks or answer_blocks(
            final, text=TURN.answer, channel_can_share=private_to is not None
        )
        message.ephemeral_to = private_to.id if private_to else None
        self.slack.state.add(message)
        asked = replace(
            ASKED, conversation_id=self.channel.id, user_id=self.ann.id, workspace_id=self.slack.workspace.id
        )
        asked = replace(asked, is_private=private_to is not None, thread_id="command:1")
        self.desk.inbox.accept(asked)
        if private_to:
            self.desk.outbox.posted(asked, WHISPERED, TOLD)
        else:
            self.desk.outbox.posted(asked, 0, ts)
        return message

    def votes(self) -> dict[str, tuple[int, str, str]]:
        return {v.user_id: (v.score, v.reason, v.comment) for v in self.feedback.votes(TURN.id)}

    def private(self, user: User) -> list[str]:
        return [m.text for m in self.slack.messages(self.channel) if m.ephemeral_to == user.id]


SECRETS = {"bot_token", "app_token", "signing_secret", "client_id", "client_secret", "secret_key"}


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[sa.Engine]:
    monkeypatch.setattr(vault, "_COST", 2)
    made = open_database(f"sqlite:///{tmp_path / 'parley.db'}")
    migrate(made)
    yield made
    made.dispose()


@pytest.fixture
async def office(engine: sa.Engine) -> AsyncIterator[Office]:
    feedback = FeedbackStore(engine)
    async with LocalSlack() as slack:
        slack.delivery.retry_delays = (0.05, 0.1, 0.2)
        slack.delivery.subscriptions |= {"user_change", "channel_shared"}
        key = SecretStr("correct horse battery staple")
        yield Office(slack, engine, NotingDesk(engine, feedback), feedback, Vault(engine, key))


class TestMessages:
    async def test_a_mention_is_received_once(self, office: Office) -> None:
        async with office.running():
            ts = await office.slack.post(office.channel, office.ann, f"{office.slack.mention} How long?")
            await office.until(lambda: len([r for r in office.slack.receipts if r.acked]) == 2)
        (message,) = office.desk.messages
        assert (message.text, message.addressed, message.message_id) == ("How long?", "mention", ts)
        assert office.desk.joined == [office.adapter]

    async def test_what_was_not_taken_is_delivered_again(self, office: Office) -> None:
        office.desk.troubles = [DatabaseError("locked"), RuntimeError("a fault")]
        office.slack.delivery.ack_timeout = 0.5
        async with office.running():
            await office.slack.direct(office.ann, "How long?")
            await office.until(lambda: office.slack.receipts[-1].acked)
            await asyncio.sleep(0.3)
        office.slack.violations.clear()
        assert office.slack.receipts[-1].attempts == 3
        assert [message.text for message in office.desk.messages] == ["How long?"]

    async def test_messages_are_taken_while_slacks_own_api_is_down(self, office: Office) -> None:
        async with office.running():
            office.slack.fail("*", "internal_error", times=1000)
            await office.slack.direct(office.ann, "How long?")
            await office.until(lambda: office.desk.messages)
            whole = await office.adapter.complete(office.desk.messages[0])
        assert (set(whole.principals), whole.by_admin) == ({f"slack:{office.ann.id}"}, False)

    async def test_edits_deletions_and_slacks_stop_button(self, office: Office) -> None:
        async with office.running():
            ts = await office.slack.post(office.channel, office.ann, f"{office.slack.mention} How long?")
            await office.slack.edit(office.channel, ts, f"{office.slack.mention} How long, really?")
            await office.until(lambda: len(office.desk.noted) == 2)
            await office.slack.delete(office.channel, ts)
            office.slack.workspace.sessions[office.channel.id, ts] = "processing"
            await office.slack.stop_session(office.channel, ts, office.ann)
            await office.until(lambda: len(office.desk.noted) == 4)
        where = ("slack", office.channel.id, ts)
        assert ("edited", *where, "How long, really?") in office.desk.noted
        assert ("deleted", *where) in office.desk.noted
        assert ("stop_turn", office.desk.messages[0].turn_id, office.ann.id) in office.desk.noted

    async def test_commands_and_the_menu_of_a_message(self, office: Office) -> None:
        async with office.running():
            await office.slack.slash("/ask", "How long?", office.ann, office.channel)
            await office.slack.slash("/parley", "status", office.bob, office.channel)
            empty = await office.slack.slash("/ask", " ", office.ann, office.channel)
            ts = await office.slack.post(office.channel, office.bob, "Are dogs allowed?")
            chosen = next(m for m in office.slack.messages(office.channel) if m.ts == ts)
            assert (await office.slack.shortcut(chosen, "ask_about_this", office.ann)).acked
            await office.until(lambda: len(office.desk.messages) == 4)
        kinds = {(m.addressed, m.text, m.is_private, m.user_id) for m in office.desk.messages}
        assert ("mention", "How long?", True, office.ann.id) in kinds
        assert ("command", "status", True, office.bob.id) in kinds
        assert ("shortcut", "Are dogs allowed?", False, office.ann.id) in kinds
        assert empty.acked
        assert "Ask something" in office.private(office.ann)[0]

    async def test_a_command_that_is_not_taken_is_not_acknowledged(self, office: Office) -> None:
        office.desk.troubles = [DatabaseError("The database is locked; wait a moment.")]
        office.slack.delivery.ack_timeout = 0.5
        async with office.running():
            assert not (await office.slack.slash("/ask", "How long?", office.ann, office.channel)).acked
            await office.until(lambda: office.private(office.ann))
        office.slack.violations.clear()
        assert office.private(office.ann) == ["The database is locked; wait a moment."]

    async def test_prompts_for_who_opens_the_conversation(self, office: Office) -> None:
        async with office.running(suggested_prompts=("How do I get leave?",)):
            await office.slack.open_home(office.ann, tab="home")
            await office.slack.open_home(office.ann)
            await office.until(lambda: office.slack.prompts)
        ((_, prompts),) = office.slack.prompts.items()
        assert prompts == [{"title": "How do I get leave?", "message": "How do I get leave?"}]

    async def test_who_may_see_is_asked_anew_after_a_change(self, office: Office) -> None:
        asked = replace(ASKED, conversation_id=office.channel.id, user_id=office.bob.id, addressed="mention")
        async with office.running() as adapter:
            asked = replace(asked, workspace_id=office.slack.workspace.id)
            whole = await adapter.complete(asked)
            assert ("everyone" in whole.principals, whole.by_admin) == (True, True)
            await office.slack.join(office.channel, office.slack.add_user("gus", guest=True))
            await office.until(lambda: office.slack.receipts and office.slack.receipts[-1].acked)
            assert "everyone" not in (await adapter.complete(asked)).principals


class TestVotes:
    async def test_everybody_votes_once_and_says_why(self, office: Office) -> None:
        message = await office.shown()
        async with office.running():
            assert (await office.slack.press(message, "positive", office.ann)).acked
            assert (await office.slack.press(message, "negative", office.bob)).acked
            assert office.votes() == {office.ann.id: (1, "", ""), office.bob.id: (-1, "", "")}
            view = await office.until(lambda: office.slack.modal(office.bob))
            await office.slack.submit_view(view, {"reason": "outdated", "comment": "It is 30 now."})
            assert office.slack.modal(office.bob) is None
            # The same opinion once more does not take the reason away.
            await office.slack.press(message, "negative", office.bob)
            await office.slack.press(message, "negative", office.ann)
        assert office.votes() == {
            office.ann.id: (-1, "", ""),
            office.bob.id: (-1, "outdated", "It is 30 now."),
        }

    async def test_reactions_are_votes_and_can_be_taken_back(self, office: Office) -> None:
        message = await office.shown()
        async with office.running():
            await office.slack.react(office.channel, message.ts, office.ann, "+1::skin-tone-4")
            await office.slack.react(office.channel, message.ts, office.bob, "tada")
            await office.until(lambda: office.votes() == {office.ann.id: (1, "", "")})
            await office.slack.react(office.channel, message.ts, office.ann, "-1")
            await office.until(lambda: office.votes() == {office.ann.id: (-1, "", "")})
            # The thumb that is gone is not the vote.
            await office.slack.unreact(office.channel, message.ts, office.ann, "+1::skin-tone-4")
            await office.until(lambda: office.slack.receipts[-1].acked)
            assert office.votes() == {office.ann.id: (-1, "", "")}
            await office.slack.unreact(office.channel, message.ts, office.ann, "-1")
            await office.until(lambda: not office.votes())

    async def test_a_vote_that_cannot_be_kept_is_not_acknowledged(self, office: Office) -> None:
        message = await office.shown(
            blocks=answer_blocks(Final("0" * 32, "written", "x", (), "m", 1, 1, 1), text="x")
        )
        office.slack.delivery.ack_timeout = 0.5
        async with office.running():
            assert not (await office.slack.press(message, "positive", office.ann)).acked
            await office.until(lambda: office.private(office.ann))
        office.slack.violations.clear()
        assert "no longer stored" in office.private(office.ann)[0]

    async def test_a_dialogue_that_does_not_open_costs_no_vote(self, office: Office) -> None:
        message = await office.shown()
        office.slack.fail("views.open", "expired_trigger_id")
        async with office.running():
            assert (await office.slack.press(message, "negative", office.ann)).acked
        assert office.votes() == {office.ann.id: (-1, "", "")}


class TestButtons:
    async def test_stop(self, office: Office) -> None:
        message = await office.shown(blocks=queue_blocks("2nd in line", TURN.id))
        async with office.running():
            await office.slack.press(message, "parley_stop", office.ann)
            assert office.desk.noted == [("stop_turn", TURN.id, office.ann.id)]
            office.desk.can_stop = False
            await office.slack.press(message, "parley_stop", office.bob)
        assert "Only the person who asked" in office.private(office.bob)[0]

    async def test_a_private_answer_is_shared_once_when_all_may_see_it(self, office: Office) -> None:
        message = await office.shown(private_to=office.ann)
        async with office.running():
            for _ in range(3):
                assert (await office.slack.press(message, "parley_share", office.ann)).acked
            await office.until(lambda: office.slack.answers(office.channel))
            await office.slack.press(message, "parley_share", office.ann)
            await asyncio.sleep(0.2)
        (shared,) = office.slack.answers(office.channel)
        assert "How many days of leave?" in shared.text
        assert "28 days. [1]" in shared.text
        principals = office.desk.noted[0][2]
        assert f"slack:{office.channel.id}" in principals

    async def test_a_reaction_to_what_was_shared_is_a_vote_on_the_answer(self, office: Office) -> None:
        message = await office.shown(private_to=office.ann)
        async with office.running():
            await office.slack.press(message, "parley_share", office.ann)
            (shared,) = await office.until(lambda: office.slack.answers(office.channel))
            await office.until(lambda: office.desk.outbox.turn_of("slack", office.channel.id, shared.ts))
            await office.slack.react(office.channel, shared.ts, office.bob, "+1")
            await office.until(lambda: office.votes() == {office.bob.id: (1, "", "")})
            # Pressed again, it is still the same message.
            await office.slack.press(message, "parley_share", office.ann)
            await asyncio.sleep(0.2)
        assert [one.ts for one in office.slack.answers(office.channel)] == [shared.ts]

    async def test_what_not_all_may_see_stays_private(self, office: Office) -> None:
        message = await office.shown(private_to=office.ann)
        office.desk.may_share = False
        async with office.running():
            await office.slack.press(message, "parley_share", office.ann)
            await office.until(lambda: len(office.private(office.ann)) == 2)
        assert office.private(office.ann)[1] == "Not everyone here may see that."
        assert not office.slack.answers(office.channel)


class TestChoices:
    """Buttons below a notice, each of which gives a command."""

    async def offered(self, office: Office, *, private_to: User | None = None, **where: Any) -> Message:
        actions = (Action("Dig on", "dig deeper"), Action("Look", "look"))
        (content,) = noticed(actions)("**12** holes.", "usual")
        message = Message(
            office.channel.id,
            office.slack.state.ts(),
            office.slack.bot.id,
            raw_text=content.text,
            blocks=list(content.blocks),
            bot_id=office.slack.bot.bot_id,
            ephemeral_to=private_to.id if private_to else None,
            **where,
        )
        return office.slack.state.add(message)

    async def test_a_press_gives_the_command_and_the_buttons_go(self, office: Office) -> None:
        message = await self.offered(office)
        async with office.running():
            assert (await office.slack.press(message, "Dig on", office.bob)).acked
            await office.until(lambda: not message.buttons)
        (given,) = office.desk.messages
        assert (given.text, given.addressed, given.is_private) == ("dig deeper", "command", True)
        assert (given.user_id, given.workspace_id) == (office.bob.id, office.slack.workspace.id)
        assert message.text == "**12** holes.\nChosen: Dig on"

    async def test_one_that_only_its_reader_sees(self, office: Office) -> None:
        message = await self.offered(office, private_to=office.bob)
        async with office.running():
            await office.slack.press(message, "Dig on", office.bob)
            await office.until(lambda: not message.buttons)
        assert message.text == "Chosen: Dig on"
        assert [given.text for given in office.desk.messages] == ["dig deeper"]
        assert office.slack.called("chat.update") == []

    async def test_in_a_thread_the_answer_has_its_place_there(self, office: Office) -> None:
        root = await office.slack.post(office.channel, office.bob, "Hello")
        message = await self.offered(office, thread_ts=root)
        async with office.running() as adapter:
            await office.slack.press(message, "Dig on", office.bob)
            (given,) = [one for one in office.desk.messages if one.addressed == "command"]
            await adapter.reply(given).say("Done.")
        told = office.slack.messages(office.channel)[-1]
        assert (told.text, told.thread_ts, told.ephemeral_to) == ("Done.", root, office.bob.id)

    async def test_pressed_again_or_delivered_again_it_is_given_once(self, office: Office) -> None:
        message = await self.offered(office)
        office.slack.fail("chat.update", "cant_update_message", times=9)
        async with office.running():
            receipt = await office.slack.press(message, "Dig on", office.bob)
            await office.slack.deliver_again(receipt)
            assert (await office.slack.press(message, "Dig on", office.bob)).acked
            await office.until(lambda: len(office.private(office.bob)) == 2)
            await office.slack.press(message, "Look", office.bob)
        assert [given.text for given in office.desk.messages] == ["dig deeper", "look"]
        assert set(office.private(office.bob)) == {
            "You have pressed that already; to do it once more, give the command: `/parley dig deeper`"
        }

    async def test_for_who_is_no_admin_the_buttons_stay_for_those_who_are(self, office: Office) -> None:
        message = await self.offered(office)
        async with office.running():
            await office.slack.press(message, "Dig on", office.ann)
        assert [button["value"] for button in message.buttons] == ["dig deeper", "look"]
        async with office.running():
            await office.slack.press(message, "Look", office.ann)  # for everybody
            await office.until(lambda: not message.buttons)
        assert [(given.text, given.user_id) for given in office.desk.messages] == [
            ("dig deeper", office.ann.id),
            ("look", office.ann.id),
        ]

    async def test_a_press_that_is_not_taken_is_not_acknowledged_and_can_be_tried_again(
        self, office: Office
    ) -> None:
        message = await self.offered(office)
        office.desk.troubles = [DatabaseError("The database is locked; wait a moment.")]
        office.slack.delivery.ack_timeout = 0.5
        async with office.running():
            assert not (await office.slack.press(message, "Dig on", office.bob)).acked
            await office.until(lambda: office.private(office.bob))
            assert len(message.buttons) == 2
            assert (await office.slack.press(message, "Dig on", office.bob)).acked
        office.slack.violations.clear()
        assert office.private(office.bob) == ["The database is locked; wait a moment."]
        assert [given.text for given in office.desk.messages] == ["dig deeper"]


class TestConnection:
    async def test_a_deaf_connection_is_replaced(self, office: Office) -> None:
        async with office.running(silence=0.3):
            first = office.slack.connections[0]
            office.slack.go_deaf(answer_pings=True)
            await office.slack.direct(office.ann, "How long?")
            await office.until(lambda: office.desk.messages)
            await office.until(lambda: first not in office.slack.connections)
            assert cast("SocketConnection", office.adapter.connection).replaced > 0
            assert "parley_slack_connections_replaced_total" in office.telemetry.text()

    async def test_silence_with_pings_answered_is_no_news(
        self, office: Office, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG, logger="adapters.slack.connection")
        async with office.running(silence=0.2):
            await office.until(lambda: cast("SocketConnection", office.adapter.connection).replaced)
        said = [record.levelname for record in caplog.records if "nothing heard" in record.message]
        assert set(said) == {"DEBUG"}

    async def test_what_comes_during_a_reconnect_is_not_lost(self, office: Office) -> None:
        async with office.running():
            await office.slack.disconnect()
            await office.slack.direct(office.ann, "How long?")
            await office.until(lambda: len(office.desk.messages) == 1)
            office.slack.drop_connections()
            await office.slack.direct(office.ann, "And then?")
            await office.until(lambda: len(office.desk.messages) == 2)

    async def test_a_wrong_token_is_a_sentence(self, office: Office) -> None:
        with pytest.raises(SettingsError, match="set PARLEY_SLACK_BOT_TOKEN"):
            async with office.running(bot_token="xoxb-wrong"):
                pass
        with pytest.raises(SettingsError, match="set PARLEY_SLACK_APP_TOKEN"):
            async with office.running(app_token="xapp-wrong"):
                pass

    async def test_signed_requests(self, office: Office, unused_tcp_port: int) -> None:
        settings = {
            "mode": "http",
            "http_port": unused_tcp_port,
            "signing_secret": office.slack.signing_secret,
        }
        async with office.running(**settings):
            office.slack.use_http(f"http://127.0.0.1:{unused_tcp_port}/slack/events")
            await office.until(lambda: office.desk.joined)
            assert await office.slack.verify_url()
            office.desk.troubles = [DatabaseError("locked")]
            await office.slack.post(office.channel, office.ann, f"{office.slack.mention} How long?")
            await office.until(lambda: all(r.acked for r in office.slack.receipts))
            await office.slack.slash("/ask", "And then?", office.ann, office.channel)
            office.slack.state.signing_secret = "forged"
            assert not await office.slack.verify_url()
            assert not (await office.slack.slash("/ask", "Hm?", office.ann, office.channel)).acked
        assert [message.text for message in office.desk.messages] == ["How long?", "And then?"]

    async def test_a_port_in_use_is_a_sentence(self, office: Office) -> None:
        port = int(office.slack.api.base_url.rpartition(":")[2])
        adapter = office.make(mode="http", http_port=port, signing_secret="s")
        with pytest.raises(SettingsError, match=r"slack\.http_port"):
            await adapter.run()


class TestSettings:
    @pytest.mark.parametrize(
        ("given", "missing"),
        [
            ({"app_token": ""}, "PARLEY_SLACK_APP_TOKEN"),
            ({"bot_token": ""}, "PARLEY_SLACK_BOT_TOKEN"),
            ({"mode": "http"}, "PARLEY_SLACK_SIGNING_SECRET"),
            (
                {"mode": "http", "bot_token": "", "client_id": "1", "signing_secret": "s"},
                "PARLEY_SLACK_CLIENT_SECRET",
            ),
            (
                {
                    "mode": "http",
                    "bot_token": "",
                    "client_id": "1",
                    "client_secret": "c",
                    "signing_secret": "s",
                },
                "PARLEY_SECRET_KEY",
            ),
        ],
    )
    async def test_half_of_the_tokens_is_a_sentence(
        self, office: Office, given: dict[str, Any], missing: str
    ) -> None:
        with pytest.raises(SettingsError, match=missing):
            office.make(**given)

    @pytest.mark.parametrize(
        ("given", "fix"),
        [
            (
                {"client_id": "1", "bot_token": "", "app_token": ""},
                'slack.mode = "http"; set that, or remove ',
            ),
            ({"client_id": "1"}, "or remove PARLEY_SLACK_CLIENT_ID from the environment."),
            (
                {"mode": "http", "client_id": "1", "client_secret": "c", "signing_secret": "s"},
                "PARLEY_SLACK_BOT_TOKEN or PARLEY_SLACK_CLIENT_ID and PARLEY_SLACK_CLIENT_SECRET",
            ),
        ],
    )
    async def test_one_workspace_or_several(self, office: Office, given: dict[str, Any], fix: str) -> None:
        with pytest.raises(SettingsError, match=fix):
            office.make(**given)

    async def test_without_tokens_it_is_off(self, office: Office) -> None:
        assert not office.make(bot_token="", app_token="").configured
        assert office.make().configured


class TestFiles:
    async def fetch(self, office: Office, *files: Attachment) -> list[tuple[str, bytes]]:
        async with office.running() as adapter:
            asked = replace(ASKED, workspace_id=office.slack.workspace.id, attachments=files)
            return await adapter.fetch(asked)

    async def test_files_are_fetched_with_the_token(self, office: Office) -> None:
        file = office.slack.add_file("a.txt", office.ann, b"28 days").wire(office.slack.api.base_url)
        found = Attachment(name="a.txt", size=7, url=file["url_private_download"])
        assert await self.fetch(office, found) == [("a.txt", b"28 days")]

    async def test_the_token_goes_nowhere_else(self, office: Office) -> None:
        for url in (
            "https://evil.example/a.txt",
            "http://files.slack.com/a.txt",
            "https://files.slack.com.evil.example/",
            "",
        ):
            with pytest.raises(PlatformError, match=r"a\.txt is not stored in Slack"):
                await self.fetch(office, Attachment(name="a.txt", size=7, url=url))

    async def test_what_is_too_much_is_a_sentence(self, office: Office) -> None:
        content = b"x" * (20 * 2**20 + 1)
        large = office.slack.add_file("large.bin", office.ann, content).wire(office.slack.api.base_url)
        url = large["url_private_download"]
        for said in (len(content), 0):  # as Slack says, and as it turns out
            with pytest.raises(PlatformError, match=r"large\.bin is larger than 20 MB"):
                await self.fetch(office, Attachment(name="large.bin", size=said, url=url))
        with pytest.raises(PlatformError, match="up to 5 files"):
            await self.fetch(office, *[Attachment(name="a", size=1, url=url)] * 6)

    async def test_a_page_to_sign_in_on_is_no_file(self, office: Office) -> None:
        file = office.slack.add_file("a.txt", office.ann, b"28 days").wire(office.slack.api.base_url)
        office.slack.workspace.scopes.discard("files:read")
        with pytest.raises(PlatformError, match="files:read"):
            await self.fetch(office, Attachment(name="a.txt", size=7, url=file["url_private_download"]))


class TestAdministration:
    async def test_admins_are_told_where_they_asked_to_be(self, office: Office) -> None:
        async with office.running(admin_channel=office.channel.id) as adapter:
            await adapter.tell_admins("A question stopped me twice.")
        assert [m.text for m in office.slack.answers(office.channel)] == ["A question stopped me twice."]
        async with office.running() as adapter:
            await adapter.tell_admins("Nobody hears this.")
        assert len(office.slack.answers(office.channel)) == 1

    async def test_what_nobody_asked_for_is_posted_without_mentions_and_links(self, office: Office) -> None:
        digest = "# The week\n\n" + "\n\n".join(f"Question {n}: " + "word " * 300 for n in range(9))
        async with office.running() as adapter:
            await adapter.post(office.channel.id, f"<!channel> [more](https://evil.example/x)\n\n{digest}")
        answers = office.slack.answers(office.channel)
        assert len(answers) > 1
        shown = "\n".join(answer.text for answer in answers)
        assert [shown.count(f"Question {n}:") for n in range(9)] == [1] * 9
        assert "](https://evil" not in shown

    async def test_what_cannot_be_posted_is_a_sentence_with_the_fix(self, office: Office) -> None:
        await office.slack.leave(office.channel, office.slack.bot)
        async with office.running() as adapter:
            with pytest.raises(PlatformError, match="invite me there with `/invite @Parley`"):
                await adapter.post(office.channel.id, "The week.")
            with pytest.raises(PlatformError, match="/invite @Parley"):
                await adapter.post("C0NOWHERE", "The week.")

    async def test_who_reads_what_is_posted(self, office: Office) -> None:
        async with office.running() as adapter:
            here = {"everyone", f"slack:{office.slack.workspace.id}", f"slack:{office.channel.id}"}
            assert await adapter.who_reads(office.channel.id) == here
            with pytest.raises(PlatformError, match="/invite @Parley"):
                await adapter.who_reads("C0NOWHERE")

    async def test_of_several_workspaces_the_one_with_the_channel_is_found(
        self, office: Office, unused_tcp_port: int
    ) -> None:
        other = office.slack.add_workspace("other")
        there = office.slack.add_channel("there", workspace=other)
        oauth = {"client_id": "1", "client_secret": "c", "secret_key": "k", "signing_secret": "s"}
        settings: dict[str, Any] = oauth | {"mode": "http", "bot_token": "", "http_port": unused_tcp_port}
        async with office.running(**settings) as adapter:
            await office.until(lambda: office.desk.joined)
            with pytest.raises(PlatformError, match="No Slack workspace has installed the app"):
                await adapter.post(there.id, "The week.")
            for workspace in (office.slack.workspace, other):
                installation = Installation(
                    user_id=office.bob.id,
                    team_id=workspace.id,
                    bot_token=workspace.token,
                    bot_id=workspace.bot.bot_id,
                    bot_user_id=workspace.bot.id,
                )
                await adapter._workspaces.installations.async_save(installation)
                assert await adapter._workspaces.find(workspace.id)
            await adapter.post(there.id, "The week.")
            assert f"slack:{other.id}" in await adapter.who_reads(there.id)
        assert [answer.text for answer in office.slack.answers(there)] == ["The week."]

    async def test_the_doctor_finds_everything_well(self, office: Office) -> None:
        findings = await office.make().check()
        assert [(f.check, f.ok) for f in findings] == [
            ("slack tokens", True),
            ("slack scopes", True),
            ("slack events", True),
        ]

    async def test_the_doctor_names_what_is_missing(self, office: Office) -> None:
        office.slack.workspace.scopes.discard("users:read")
        tokens, scopes, events = await office.make(app_token="xapp-wrong").check()
        assert tokens.ok
        assert (scopes.ok, "users:read missing" in scopes.detail) == (False, True)
        assert (events.ok, "PARLEY_SLACK_APP_TOKEN" in events.detail) == (False, True)
        (tokens, _) = await office.make(bot_token="xoxb-wrong").check()
        assert (tokens.ok, "PARLEY_SLACK_BOT_TOKEN" in tokens.detail) == (False, True)


async def test_a_reply_for_a_workspace_that_is_gone_is_refused_with_a_sentence(
    office: Office, unused_tcp_port: int
) -> None:
    async with office.running(
        mode="http",
        bot_token="",
        client_id="1",
        client_secret="c",
        signing_secret="s",
        secret_key="k",
        http_port=unused_tcp_port,
    ) as adapter:
        await office.until(lambda: office.desk.joined)
        reply = adapter.reply(replace(ASKED, workspace_id="T0GONE"))
        with pytest.raises(PlatformError, match="no token for that workspace"):
            await reply.fail("Sorry.")
