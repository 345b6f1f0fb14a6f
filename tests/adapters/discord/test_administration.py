"""Administration in chat on the local Discord: reports, buttons and what nobody asked for, by the whole adapter."""

import asyncio

import pytest

from adapters.discord.commands import name_below
from bot.commands import Command, Request
from bot.errors import DatabaseError, PlatformError
from bot.notices import Action, Notice
from tests.adapters.discord.town import Town
from tests.platforms.discord import Interaction, Message

ANYWAY = Action("Show it anyway", "reindex anyway", is_dangerous=True)


class Office(Town):
    """A town whose bot has a few commands of its own: `look` offers what `go` does, which takes its time."""

    def make(self, settings: str = "") -> None:
        super().make(settings)
        self.went: list[str] = []
        self.hold = asyncio.Event()
        self.hold.set()
        self.app.desk.commands._commands += (
            Command(
                name="look", about="look", run=self._look, needs_admin=True, argument=".+", is_optional=True
            ),
            Command(name="go", about="go", run=self._go, needs_admin=True, argument=".+", is_listed=False),
        )

    async def _look(self, request: Request) -> Notice:
        where = request.argument or "handbook"
        return Notice(f"Much has changed in {where}.", (Action("Go on", f"go {where}"), ANYWAY))

    async def _go(self, request: Request) -> Notice:
        self.went.append(f"{request.message.user_id} {request.argument}")
        await request.report("▓░ 50%")
        await self.hold.wait()
        return Notice("3 files added.")

    async def order(self, command: str, **options: str) -> Message:
        """What an admin, alone, is told to `/parley …`."""
        given = await self.discord.slash(f"parley {command}", options, self.boss, self.general)
        return await self.told(given)

    async def told(self, given: Interaction) -> Message:
        await self.until(lambda: [m for m in given.messages if not m.loading])
        return given.messages[0]


@pytest.fixture
def town(town: Town) -> Office:
    return Office(town.discord, town.engine, town.folder)


def _locked(_: object) -> bool:
    raise DatabaseError("The database is locked; try again in a moment.")


def labels(message: Message) -> list[str]:
    return [button["label"] for button in message.buttons]


class TestButtons:
    async def test_an_admin_goes_on_by_a_button_and_everybody_follows_it(self, town: Office) -> None:
        async with town.open():
            notice = await town.order("look")
            assert labels(notice) == ["Go on", "Show it anyway"]
            town.hold.clear()
            pressed = await town.discord.press(notice, "Go on", town.boss)
            await town.until(lambda: [m for m in town.discord.answers(town.general) if "50%" in m.text])
            await town.until(lambda: not labels(notice))
            assert "Much has changed" in notice.text
            town.hold.set()
            await town.until(lambda: "3 files" in town.discord.answers(town.general)[0].text)
            assert len(town.discord.answers(town.general)) == 1
            assert pressed.messages == []
            assert town.went == [f"{town.boss.id} handbook"]

    async def test_somebody_else_is_refused_privately_and_the_buttons_stay(self, town: Office) -> None:
        async with town.open():
            said = await town.discord.post(town.general, town.boss, f"{town.discord.mention} look")
            await town.until(lambda: town.answers_to(said))
            (notice,) = town.answers_to(said)
            refused = await town.told(await town.discord.press(notice, "Go on", town.bob))
            assert "is for admins" in refused.text
            assert refused.ephemeral_to == town.bob.id
            assert labels(notice) == ["Go on", "Show it anyway"]
            assert town.went == []
            (audited,) = [
                e for e in await asyncio.to_thread(town.app.audit.entries) if e.outcome == "refused"
            ]
            assert audited.command == "go handbook"

    async def test_who_is_named_in_the_settings_is_an_admin_too(self, town: Office) -> None:
        async with town.open(f'\n[policy]\nadmins = ["discord:{town.ann.id}"]'):
            said = await town.discord.post(town.general, town.ann, f"{town.discord.mention} look")
            await town.until(lambda: town.answers_to(said))
            (notice,) = town.answers_to(said)
            await town.discord.press(notice, "Go on", town.ann)
            await town.until(lambda: town.went and not labels(notice))

    async def test_it_works_after_a_restart_and_in_a_direct_conversation(self, town: Office) -> None:
        async with town.open():
            said = await town.discord.direct(town.boss, "look")
            inbox = town.app.desk.inbox  # what has no outcome yet is shown once more after the restart
            await town.until(lambda: inbox.outcome(inbox.find("discord", said.channel, said.id) or ""))
            (notice,) = town.discord.answers(said.channel)
        async with town.open():
            await town.discord.press(notice, "Go on", town.boss)
            await town.until(lambda: "3 files" in town.discord.answers(said.channel)[-1].text)
            assert town.went == [f"{town.boss.id} handbook"]
            await town.until(lambda: not labels(notice))

    async def test_a_press_that_is_delivered_again_or_done_twice_is_taken_once(self, town: Office) -> None:
        async with town.open():
            notice = await town.order("look")
            town.hold.clear()
            await asyncio.gather(*(town.discord.press(notice, "Go on", town.boss) for _ in range(2)))
            assert town.discord.deliver_again("INTERACTION_CREATE")
            await town.until(lambda: town.went)
            await asyncio.sleep(0.2)
            assert len(town.went) == 1
            town.hold.set()

    async def test_a_press_that_cannot_be_written_down_can_be_done_again(
        self, town: Office, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with town.open():
            notice = await town.order("look")
            with monkeypatch.context() as broken:
                broken.setattr(town.app.desk.inbox, "accept", _locked)
                told = await town.told(await town.discord.press(notice, "Go on", town.boss))
                assert "locked" in told.text
            await town.discord.press(notice, "Go on", town.boss)
            await town.until(lambda: town.went)

    async def test_a_command_too_long_for_a_button_is_told(self, town: Office) -> None:
        async with town.open():
            notice = await town.order("look", value="x" * 100)
            assert labels(notice) == ["Show it anyway"]
            assert f"Go on: say to me `go {'x' * 100}`" in notice.text


class TestReports:
    async def test_where_the_bot_may_not_write_the_asker_alone_sees_them(self, town: Office) -> None:
        town.discord.deny(town.general, "SEND_MESSAGES")
        async with town.open():
            notice = await town.order("look")
            pressed = await town.discord.press(notice, "Go on", town.boss)
            shown = await town.told(pressed)
            await town.until(lambda: "3 files" in shown.text)
            assert shown.ephemeral_to == town.boss.id
            assert town.discord.answers(town.general) == []

    async def test_in_a_thread_they_are_in_the_thread(self, town: Office) -> None:
        async with town.open():
            thread = await town.discord.start_thread(town.general, town.boss, "Work")
            given = await town.discord.slash("parley look", {}, town.boss, thread)
            await town.discord.press(await town.told(given), "Go on", town.boss)
            await town.until(lambda: [m for m in town.discord.answers(thread) if "3 files" in m.text])


class TestCommands:
    async def test_all_that_people_are_told_of_can_be_ordered(self, town: Office) -> None:
        async with town.open():
            (parley,) = (one for one in town.discord.commands() if one["name"] == "parley")
            below = {option["name"]: option for option in parley["options"]}
            for command in town.app.desk.commands:
                found = below[command.name.split()[0]]
                if found["type"] == 2:  # a group
                    (found,) = (one for one in found["options"] if one["name"] == name_below(command))
                assert bool(found["options"]) == bool(command.argument), command.name
            assert (await town.order("help")).text.count("`reindex") >= 2

    async def test_a_person_is_named_as_discord_writes_it(self, town: Office) -> None:
        async with town.open():
            told = await town.order("look", value=f"<@{town.ann.id}>")
            assert labels(told)[0] == "Go on"
            await town.discord.press(told, "Go on", town.boss)
            await town.until(lambda: town.went == [f"{town.boss.id} <@{town.ann.id}>"])


class TestWhatNobodyAskedFor:
    async def test_it_is_posted_whole_and_notifies_nobody(self, town: Office) -> None:
        async with town.open():
            digest = "\n\n".join(
                f"Question {n} of @everyone: [see](https://evil.example)?" for n in range(60)
            )
            await town.app.desk.post(f"discord:{town.general.id}", digest)
            text = "\n".join(m.text for m in town.discord.answers(town.general))
            assert [n for n in range(60) if f"Question {n} of" not in text] == []
            assert "](" not in text

    @pytest.mark.parametrize("channel", ["123456", "general"])
    async def test_a_channel_that_is_not_there_is_a_sentence(self, town: Office, channel: str) -> None:
        async with town.open():
            with pytest.raises(PlatformError, match=f"{channel}.*(check|number)"):
                await town.adapter.post(channel, "Hello.")
            with pytest.raises(PlatformError, match=f"{channel}.*check"):
                await town.adapter.who_reads(channel)

    async def test_who_reads_a_channel(self, town: Office) -> None:
        board = town.discord.add_channel("board", private=True)
        town.discord.allow(board, "VIEW_CHANNEL", to=town.discord.bot)
        async with town.open():
            guild = f"discord:{town.discord.guild.id}"
            expected = {"everyone", guild, f"discord:{town.general.id}"}
            assert await town.adapter.who_reads(town.general.id) == expected
            assert f"discord:{board.id}" in await town.adapter.who_reads(board.id)
