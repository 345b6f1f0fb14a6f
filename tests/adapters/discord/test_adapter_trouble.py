"""What goes wrong on Discord: a bot that was away, refusals, limits and outages; no question is lost."""

import asyncio
from dataclasses import replace

import pytest

from bot.errors import SettingsError
from bot.inbox import Inbox
from tests.adapters.discord.town import Town, is_complete


class TestAwayAndBack:
    async def test_what_was_said_meanwhile_is_answered_once(self, town: Town) -> None:
        async with town.open():
            await town.answer(await town.ask())
            await town.answer(await town.discord.direct(town.ann, "What is the limit?"))
        missed = await town.ask("Where were you?")
        direct = await town.discord.direct(town.ann, "And here?")
        await town.discord.post(town.general, town.ann, "Nobody there? What a pity.")
        async with town.open():
            await town.answer(missed)
            await town.answer(direct)
            await asyncio.sleep(0.2)
            assert len(town.asked) == 2

    async def test_at_the_first_start_nobody_has_been_waiting(self, town: Town) -> None:
        await town.ask("Before your time?")
        async with town.open():
            await town.answer(await town.ask("Now?"))
            assert [m.text for m in town.asked] == ["Now?"]

    async def test_events_that_come_again_change_nothing(self, town: Town) -> None:
        async with town.open():
            asked = await town.ask()
            await town.answer(asked)
            town.discord.replay()
            await town.until(lambda: town.adapter.health and town.adapter.health.resumed)
            assert "parley_discord_resumed_total 1.0" in town.app.telemetry.text()
            await town.answer(await town.ask("Something else?"))
            await town.answer(asked)
            assert len(town.asked) == 2

    async def test_a_new_session_looks_for_what_it_missed(self, town: Town) -> None:
        async with town.open():
            await town.answer(await town.ask())
            town.discord.gateway.resumable = False
            town.discord.drop_connections()
            missed = await town.ask("Did you hear that?")
            await town.answer(missed)


class TestPostsThatWereMissed:
    async def test_a_forum_post_of_meanwhile_is_answered(self, town: Town) -> None:
        forum = town.discord.add_channel("questions", kind="forum")
        settings = f'forums = ["{forum.id}"]'
        async with town.open(settings):
            await town.answer(await town.ask())
        post = await town.discord.forum_post(forum, town.ann, "What is the limit?", "For hotels.")
        async with town.open(settings):
            await town.answer(post)

    async def test_what_cannot_be_read_does_not_keep_the_rest_back(self, town: Town) -> None:
        async with town.open():
            await town.answer(await town.ask())
        closed = town.discord.add_channel("closed")
        await town.discord.post(closed, town.ann, f"{town.discord.mention} there?")
        missed = await town.ask("Where were you?")
        town.discord.deny(closed, "READ_MESSAGE_HISTORY")
        async with town.open():
            await town.answer(missed)
            assert len(town.asked) == 1


class TestWhatWasMissedInBetween:
    async def test_a_newer_message_does_not_hide_what_came_before_it(self, town: Town) -> None:
        """As when a session hears something new, and ends before it has found the old."""
        async with town.open():
            await town.answer(await town.ask())
        missed = await town.ask("Where were you?")
        newer = replace(town.asked[0], event_id=str(int(missed.id) + 1), message_id="")
        inbox = Inbox(town.engine)
        await asyncio.to_thread(inbox.accept, newer)
        await asyncio.to_thread(inbox.finish, newer.turn_id, "dropped")
        async with town.open():
            await town.answer(missed)


class TestTrouble:
    async def test_a_wrong_token_is_said(self, town: Town) -> None:
        town.make()
        town.discord.state.token = "another"
        with pytest.raises(SettingsError, match="PARLEY_DISCORD_TOKEN"):
            await town.adapter.run()

    async def test_a_database_that_is_locked_for_a_moment_loses_nothing(
        self, town: Town, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from bot.errors import DatabaseError

        monkeypatch.setattr("adapters.discord.listeners.RETRY_AFTER", (0.01, 0.01))
        async with town.open():
            accept, troubles = town.app.desk.inbox.accept, [DatabaseError("locked"), DatabaseError("locked")]

            def stubborn(message: object) -> bool:
                if troubles:
                    raise troubles.pop()
                return accept(message)  # type: ignore[arg-type]

            monkeypatch.setattr(town.app.desk.inbox, "accept", stubborn)
            await town.answer(await town.ask())

    async def test_discords_limits_are_kept(self, town: Town) -> None:
        town.discord.limit_as_discord()
        async with town.open():
            town.assistant.script = {"Long?": [f"Sentence {n} is here. " for n in range(300)]}
            asked = await town.ask("Long?")
            await town.answer(await town.ask("Short?"))
            await town.until(lambda: any(map(is_complete, town.discord.answers(town.general))))
            await town.until(
                lambda: "Sentence 299" in str([m.text for m in town.discord.answers(town.general)])
            )
            assert town.answers_to(asked)
            assert town.adapter.health
            assert town.adapter.health.rate_limited == 0

    async def test_where_it_may_not_embed_the_sources_are_text(self, town: Town) -> None:
        town.discord.deny(town.general, "EMBED_LINKS")
        async with town.open():
            answer = await town.answer(await town.ask())
            assert answer.embeds == []
            assert "Travel" in answer.content

    async def test_where_it_may_not_write_it_says_nothing(self, town: Town) -> None:
        async with town.open():
            town.discord.deny(town.general, "SEND_MESSAGES")
            await asyncio.sleep(0.1)
            asked = await town.ask()
            turn = await self._ended(town, asked.id)
            assert town.app.desk.inbox.outcome(turn) == "undeliverable"

    @staticmethod
    async def _ended(town: Town, message_id: str) -> str:
        def look() -> str | None:
            turn = town.app.desk.inbox.find("discord", town.general.id, message_id)
            return turn if turn and town.app.desk.inbox.outcome(turn) else None

        await town.until(look)
        return look() or ""

    async def test_the_admins_are_told(self, town: Town) -> None:
        async with town.open(f'admin_channel = "{town.general.id}"'):
            await town.adapter.tell_admins("Something *odd* happened.")
            (told,) = town.discord.answers(town.general)
            assert "odd" in told.text

    async def test_two_shards_serve_all_servers(self, town: Town) -> None:
        other = town.discord.add_guild("beta")
        eve = town.discord.add_user("eve", guild=other)
        there = town.discord.add_channel("there", guild=other)
        town.discord.gateway.shards = 2
        monkey = pytest.MonkeyPatch()
        monkey.setattr("adapters.discord.gateway.Gateway.before_identify_hook", _no_pause, raising=False)
        try:
            async with town.open("shards = 2"):
                await town.answer(await town.ask())
                said = await town.discord.post(there, eve, f"{town.discord.mention} limit?")
                await town.answer(said)
                assert town.adapter.health
                assert town.adapter.health.shards == 2
        finally:
            monkey.undo()

    async def test_a_discord_that_is_away_at_the_start_is_tried_again(
        self, town: Town, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("adapters.discord.gateway.FIRST_BACKOFF", 0.05)
        town.discord.http_error("get_me", 503, times=2)
        async with town.open():
            await town.answer(await town.ask())

    async def test_a_file_is_read_for_its_talk_and_a_picture_passed_over(self, town: Town) -> None:
        async with town.open():
            files = [
                town.discord.add_file("notes.md", b"# Notes\n\nForty-two."),
                town.discord.add_file("cat.png", b"...", content_type="image/png"),
            ]
            said = await town.discord.post(
                town.general, town.ann, f"{town.discord.mention} What does it say?", files=files
            )
            await town.answer(said)
            ((name, text),) = town.assistant.files[0]
            assert name == "notes.md"
            assert "Forty-two." in text


async def _no_pause(*_: object, **__: object) -> None:
    return
