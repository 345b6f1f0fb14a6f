"""Replies over the real client: each message there once, whatever happens on the way."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from adapters.discord import reply as reply_module
from adapters.discord.api import DiscordPace
from adapters.discord.homes import WhisperHome
from bot.errors import PlatformError, PlatformUnavailableError
from bot.messages import IncomingMessage, Progress
from bot.notices import Action
from tests.adapters.discord.bench import Bench, DiedError, DyingOutbox, bench, crash, final

LONG = "\n\n".join(f"Rule {n}: " + "word " * 60 for n in range(15))


@pytest.fixture
async def at(tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench(tmp_path) as at:
        yield at


class TestShowing:
    async def test_typing_then_text_then_sources_and_buttons(self, at: Bench) -> None:
        message = await at.ask()
        reply = at.reply(message)
        await reply.progress(Progress("searching", "Searching the documents"))
        await at.discord.wait_for(lambda: at.discord.is_typing(at.channel))
        assert at.answers() == []
        await reply.text("Munich: 160 EUR. [1]")
        live = await at.sees("160 EUR")
        assert [b.get("label") for b in live.buttons] == ["Stop"]
        assert live.reference
        assert live.reference.id == message.message_id
        await reply.finish(final(message, "Munich: 160 EUR. [1]"))
        (shown,) = at.answers()
        assert "[1] [Travel policy › Hotels](<https://docs.example.com/travel#hotels>)" in shown.text
        assert [(b.get("emoji") or {}).get("name") for b in shown.buttons] == ["👍", "👎", "🔁"]
        assert not at.discord.is_typing(at.channel)

    async def test_a_place_in_the_queue_makes_room_for_the_answer(self, at: Bench) -> None:
        message = await at.ask()
        reply = at.reply(message)
        await reply.progress(Progress("waiting", "2nd in line"))
        await at.sees("2nd in line")
        await reply.progress(Progress("searching", "Searching the documents"))
        await at.sees("Searching")
        await reply.text("160 EUR.")
        await reply.finish(final(message, "160 EUR."))
        (shown,) = at.answers()
        assert "line" not in shown.text

    async def test_edits_of_a_channel_keep_to_one_a_second(self, at: Bench) -> None:
        message = await at.ask()
        reply = at.reply(message)
        for n in range(30):
            await reply.text(f"Word {n}. ")
            await asyncio.sleep(0.05)
        await reply.finish(final(message, ""))
        assert "Word 29" in at.answers()[0].text
        assert at.called("edit_message") <= 4

    async def test_stopped_keeps_what_was_shown(self, at: Bench) -> None:
        reply = at.reply(await at.ask())
        await reply.text("Half of it.")
        await at.sees("Half")
        await reply.stopped()
        (shown,) = at.answers()
        assert "Half of it." in shown.text
        assert "Stopped." in shown.text
        assert shown.buttons == []

    async def test_withdrawn_leaves_nothing(self, at: Bench) -> None:
        reply = at.reply(await at.ask())
        await reply.text("Half of it.")
        await at.sees("Half")
        await reply.withdraw()
        assert at.answers() == []

    async def test_a_failure_is_a_sentence(self, at: Bench) -> None:
        reply = at.reply(await at.ask())
        await reply.fail("Please ask *again*.")
        assert at.answers()[0].content == "Please ask \\*again\\*."

    async def test_it_is_settled_once(self, at: Bench) -> None:
        message = await at.ask()
        reply = at.reply(message)
        await reply.finish(final(message, "160 EUR."))
        await reply.fail("No.")
        assert "160 EUR." in at.answers()[0].text


class TestOnce:
    @pytest.mark.parametrize("remembers_nonces", [True, False])
    @pytest.mark.parametrize("writes", range(8))
    async def test_a_crash_anywhere_leaves_each_part_once(
        self, at: Bench, writes: int, *, remembers_nonces: bool
    ) -> None:
        at.discord.api.nonce_seconds = 300.0 if remembers_nonces else 0.0
        message = await at.ask()
        fast = DiscordPace({})
        first = at.reply(message, outbox=DyingOutbox(at.engine, writes=writes), pace=fast)
        try:
            await first.text(LONG)
            await first.finish(final(message, LONG))
        except DiedError:
            pass
        else:
            pytest.fail("it should have died") if writes < 6 else None
        second = at.reply(message, pace=fast)
        await second.text(LONG)
        await second.finish(final(message, LONG))
        shown = "\n".join(m.text for m in at.answers())
        assert [shown.count(f"Rule {n}:") for n in range(15)] == [1] * 15

    async def test_a_crash_while_it_was_written_is_gone_over(self, at: Bench) -> None:
        message = await at.ask()
        first = at.reply(message)
        await first.text("Another wording, of before.")
        await at.sees("Another wording")
        await crash(first)
        second = at.reply(message)
        await second.text("160 EUR.")
        await second.finish(final(message, "160 EUR."))
        (shown,) = at.answers()
        assert "wording" not in shown.text

    @pytest.mark.parametrize("route", ["create_message", "edit_message"])
    async def test_a_lost_answer_is_no_second_message(self, at: Bench, route: str) -> None:
        at.discord.lose_answer(route, times=2)
        message = await at.ask()
        reply = at.reply(message)
        await reply.text("160 EUR.")
        await at.sees("160 EUR")
        await reply.finish(final(message, "160 EUR."))
        assert len(at.answers()) == 1

    async def test_a_message_that_somebody_deleted_is_posted_anew(self, at: Bench) -> None:
        message = await at.ask()
        reply = at.reply(message)
        await reply.text("160 EUR.")
        await at.discord.delete(await at.sees("160 EUR"))
        await reply.finish(final(message, "160 EUR."))
        assert len(at.answers()) == 1

    async def test_what_discord_cannot_take_now_is_taken_later(self, at: Bench) -> None:
        at.discord.http_error("create_message", 503, times=100)
        message = await at.ask()
        with pytest.raises(PlatformUnavailableError, match="problem of its own"):
            await at.reply(message).finish(final(message, "160 EUR."))
        at.discord.api.faults.clear()
        await at.reply(message).finish(final(message, "160 EUR."))
        assert len(at.answers()) == 1

    async def test_what_discord_refuses_is_a_sentence(self, at: Bench) -> None:
        at.discord.fail("create_message", 50013, times=100)
        message = await at.ask()
        with pytest.raises(PlatformError, match="parley discord invite"):
            await at.reply(message).finish(final(message, "160 EUR."))

    async def test_without_the_history_it_is_said_all_the_same(self, at: Bench) -> None:
        message = await at.ask()
        at.outbox.intend(message, 0)
        at.discord.fail("get_messages", 50001, times=100)
        await at.reply(message).finish(final(message, "160 EUR."))
        assert len(at.answers()) == 1


class TestForTheAskerAlone:
    async def test_it_takes_the_place_of_thinking(self, at: Bench) -> None:
        message = await at.command()
        reply = at.reply(message)
        await reply.progress(Progress("waiting", "2nd in line"))
        await at.discord.wait_for(at.whispers)
        await reply.text("160 EUR.")
        await reply.finish(final(message, "160 EUR."))
        (shown,) = at.whispers()
        assert "160 EUR." in shown.text
        assert at.answers() == []

    async def test_a_long_one_goes_on_below(self, at: Bench) -> None:
        message = await at.command()
        reply = at.reply(message)
        await reply.finish(final(message, LONG))
        assert "Rule 14" in "".join(m.text for m in at.whispers())
        assert len(at.whispers()) > 1

    async def test_after_a_restart_it_is_there_once(self, at: Bench) -> None:
        message = await at.command()
        with pytest.raises(DiedError):
            await at.reply(message, outbox=DyingOutbox(at.engine, writes=1)).finish(
                final(message, "160 EUR.")
            )
        await at.reply(message).finish(final(message, "160 EUR."))
        assert len(at.whispers()) == 1

    async def test_when_the_token_is_spent_it_comes_directly(
        self, at: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        message = await at.command()
        reply = at.reply(message)
        await reply.text("160 ")
        await at.discord.wait_for(at.whispers)
        monkeypatch.setattr(WhisperHome, "seconds_left", 0.0)
        await reply.text("EUR.")
        await reply.finish(final(message, "160 EUR."))
        (shown,) = at.direct()
        assert "160 EUR." in shown.text

    async def test_before_that_the_asker_is_told_where_to_look(
        self, at: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        message = await at.command()
        reply = at.reply(message)
        monkeypatch.setattr(reply_module, "MOVE_AHEAD", 1e9)
        await reply.progress(Progress("searching", "Searching the documents"))
        await at.discord.wait_for(lambda: [m for m in at.whispers() if "direct message" in m.text])
        monkeypatch.setattr(WhisperHome, "seconds_left", 0.0)
        await reply.finish(final(message, "160 EUR."))
        assert "160 EUR." in at.direct()[0].text

    async def test_a_token_that_discord_takes_no_more_is_the_same(self, at: Bench) -> None:
        message: IncomingMessage = await at.command()
        at.discord.fail("edit_followup", 50027, times=100)
        at.discord.fail("create_followup", 50027, times=100)
        await at.reply(message).finish(final(message, "160 EUR."))
        assert "160 EUR." in at.direct()[0].text


class TestReports:
    async def test_in_a_channel_they_are_one_message_that_ends_as_the_notice(self, at: Bench) -> None:
        message = await at.ask("reindex")
        reply = at.reply(message)
        await reply.report("▓░ 50%")
        first = await at.sees("50%")
        assert first.reference
        await reply.report("▓▓ 100%")
        await at.sees("100%")
        await reply.say("3 files added.", actions=[Action("Show it anyway", "reindex anyway", True)])
        (shown,) = at.answers()
        assert (shown.id, shown.text) == (first.id, "3 files added.")
        assert [(b["label"], b["style"], b["custom_id"]) for b in shown.buttons] == [
            ("Show it anyway", 4, "parley:do:0:reindex anyway")
        ]

    async def test_what_comes_too_fast_is_left_out(self, at: Bench) -> None:
        reply = at.reply(await at.ask("reindex"))
        for n in range(100):
            await reply.report(f"{n}%")
            await asyncio.sleep(0.02)
        await reply.say("Done.")
        assert at.called("edit_message") <= 4

    async def test_of_a_private_command_they_are_for_everybody_and_the_asker_is_told_where(
        self, at: Bench
    ) -> None:
        reply = at.reply(await at.command("reindex"))
        await reply.report("▓░ 50%")
        first = await at.sees("50%")
        (told,) = await at.discord.wait_for(at.whispers)
        assert told.text.endswith(f"/{at.channel.id}/{first.id}")
        await reply.say("3 files added.")
        (shown,) = at.answers()
        assert (shown.id, shown.text) == (first.id, "3 files added.")
        assert len(at.whispers()) == 1

    async def test_of_a_private_command_without_any_the_notice_is_private(self, at: Bench) -> None:
        await at.reply(await at.command("status")).say("All is well.", actions=[Action("Go on", "go")])
        (shown,) = at.whispers()
        assert [b["label"] for b in shown.buttons] == ["Go on"]
        assert at.answers() == []

    async def test_a_notice_that_overtakes_its_report_is_for_everybody(self, at: Bench) -> None:
        reply = at.reply(await at.command("reindex"))
        await reply.report("▓░ 50%")
        await reply.say("3 files added.")
        assert [m.text for m in at.answers()] == ["3 files added."]
        assert len(at.whispers()) == 1

    @pytest.mark.parametrize("told_by", ["command", "mention"])
    async def test_after_a_restart_the_same_message_goes_on(self, at: Bench, told_by: str) -> None:
        message = await (at.command("reindex") if told_by == "command" else at.ask("reindex"))
        first = at.reply(message)
        await first.report("▓░░ 33%")
        before = await at.sees("33%")
        await crash(first)
        second = at.reply(message)
        await second.report("▓▓░ 66%")
        await at.sees("66%")
        await crash(second)
        await at.reply(message).say("3 files added.")
        (shown,) = at.answers()
        assert (shown.id, shown.text) == (before.id, "3 files added.")

    @pytest.mark.parametrize("writes", range(4))
    async def test_a_crash_anywhere_leaves_one_message_with_the_end(self, at: Bench, writes: int) -> None:
        message = await at.command("reindex")
        first = at.reply(message, outbox=DyingOutbox(at.engine, writes=writes), pace=DiscordPace({}))
        await first.report("▓░ 50%")
        with suppress(DiedError):
            await asyncio.sleep(0.2)
            await crash(first)
        second = at.reply(message, pace=DiscordPace({}))
        await second.report("▓▓ 90%")
        await second.say("3 files added.")
        assert [m.text for m in at.answers()] == ["3 files added."]

    async def test_where_it_may_not_write_the_asker_alone_sees_them(self, at: Bench) -> None:
        at.discord.fail("create_message", 50013, times=100)
        reply = at.reply(await at.command("reindex"))
        await reply.report("▓░ 50%")
        await at.discord.wait_for(lambda: [m for m in at.whispers() if "50%" in m.text])
        await reply.report("▓▓ 100%")
        await at.discord.wait_for(lambda: [m for m in at.whispers() if "100%" in m.text])
        await reply.say("3 files added.")
        assert [m.text for m in at.whispers()] == ["3 files added."]

    async def test_there_it_ends_directly_when_the_token_is_spent(
        self, at: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        message = await at.command("reindex")
        at.discord.deny(at.channel, "SEND_MESSAGES")
        reply = at.reply(message)
        await reply.report("▓░ 50%")
        await at.discord.wait_for(at.whispers)
        monkeypatch.setattr(WhisperHome, "seconds_left", 0.0)
        await reply.say("3 files added.")
        assert [m.text for m in at.direct()] == ["3 files added."]

    async def test_aloud_the_token_is_not_needed(self, at: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        reply = at.reply(await at.command("reindex"))
        monkeypatch.setattr(WhisperHome, "seconds_left", 0.0)
        await reply.report("▓░ 50%")
        await at.sees("50%")
        await reply.say("3 files added.")
        assert [m.text for m in at.answers()] == ["3 files added."]
        assert at.direct() == []

    async def test_trouble_that_passes_ends_the_showing_only_for_a_while(self, at: Bench) -> None:
        reply = at.reply(await at.ask("reindex"))
        await reply.report("▓░░ 33%")
        await at.sees("33%")
        at.discord.http_error("edit_message", 503, times=100)
        await reply.report("▓▓░ 66%")
        await at.discord.wait_for(
            lambda: [c for c in at.discord.called("edit_message") if c.status == 503][3:], timeout=30
        )
        at.discord.api.faults.clear()
        await asyncio.sleep(0.1)
        await reply.report("▓▓▓ 99%")
        await at.sees("99%")
        await reply.say("Done.")
