"""Discord's channels as documents, read by the real client from a local Discord."""

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from discord.gateway import DiscordWebSocket
from discord.http import Route

from adapters.discord.history import connected, source
from knowledge.errors import SourceError
from knowledge.sources.chat.store import LONGEST
from knowledge.sources.history import ChannelHistory, Wanted
from knowledge.sources.protocol import SourceFile
from tests.platforms.discord import Channel, LocalDiscord, Message


@pytest.fixture(autouse=True)
def _token(discord: LocalDiscord, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARLEY_DISCORD_TOKEN", discord.token)
    monkeypatch.setattr(Route, "BASE", Route.BASE)
    monkeypatch.setattr(DiscordWebSocket, "DEFAULT_GATEWAY", DiscordWebSocket.DEFAULT_GATEWAY)


class Reading:
    """A source of channels, read again and again; `later` puts its clock on."""

    def __init__(self, discord: LocalDiscord, folder: Path, *channels: Channel, **wanted: object) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.later = timedelta()
        choice = Wanted.of({"channels": [one.id for one in channels], **wanted})
        connect = partial(connected, "chat", api_url=discord.api_url)
        self._source = ChannelHistory(
            "chat", folder, choice, connect, now=lambda: datetime.now(UTC) + self.later
        )

    async def files(self) -> list[SourceFile]:
        return await asyncio.to_thread(self._source.files)

    async def text(self) -> str:
        """Of all documents."""
        return "\n".join(file.local.read_text() for file in await self.files() if not file.problem)


async def test_a_thread_with_names_code_and_files(discord: LocalDiscord, tmp_path: Path) -> None:
    ann, bob = discord.add_user("ann"), discord.add_user("bob")
    crew = discord.add_role("crew")
    general, other = discord.add_channel("general"), discord.add_channel("other")
    start = await discord.post(
        general, ann, f"{bob.mention}: how do I roll back? Ask <@&{crew.id}> in <#{other.id}>"
    )
    thread = await discord.start_thread(general, ann, "Rolling back", message=start)
    plan = discord.add_file("plan.pdf", b"%PDF")
    code = "```sh\nloftctl rollback\n```"
    first = await discord.post(thread, bob, f"# Run\n{code} <:ok:123456789012345678>", files=[plan])
    await discord.post(thread, ann, "thanks", reply_to=first)
    (file,) = await Reading(discord, tmp_path, general).files()
    assert file.uri == f"https://discord.com/channels/{discord.guild.id}/{general.id}/{start.id}"
    assert file.path == f"{general.id}/{thread.id}.md"
    text = file.local.read_text()
    assert text.startswith("# Rolling back\n\n#general, ")
    assert "): @Bob: how do I roll back? Ask @crew in #other\n\n**Bob** (" in text
    assert "):\n\n" not in text
    assert "): \\# Run\n\n```sh\nloftctl rollback\n```\n\n:ok:\n\nAttached: plan.pdf\n\n**Ann** (" in text
    assert text.endswith(", to Bob): thanks\n")


async def test_forums_and_archived_threads(discord: LocalDiscord, tmp_path: Path) -> None:
    ann = discord.add_user("ann")
    general, forum = discord.add_channel("general"), discord.add_channel("questions", kind="forum")
    await discord.forum_post(forum, ann, "Parking", "Where may I park?")
    old = await discord.start_thread(general, ann, "Old talk")
    await discord.post(old, ann, "what was decided")
    await discord.archive(old)
    private = await discord.start_thread(general, ann, "Secret", private=True, members=[discord.bot])
    await discord.post(private, ann, "between us")
    reading = Reading(discord, tmp_path, general, forum)
    text = await reading.text()
    assert "# Parking\n" in text
    assert "# Old talk\n" in text
    assert "between us" not in text
    assert "# Secret\n\n#Secret, " in await Reading(discord, tmp_path / "own", private).text()


async def test_many_archived_threads_are_listed_to_the_end(discord: LocalDiscord, tmp_path: Path) -> None:
    ann = discord.add_user("ann")
    general = discord.add_channel("general")
    for number in range(105):
        thread = await discord.start_thread(general, ann, f"Talk {number}")
        await discord.post(thread, ann, f"word {number}")
        await discord.archive(thread)
    reading = Reading(discord, tmp_path, general)
    assert len(await reading.files()) == 105
    assert len(discord.called("list_archived_threads")) == 2
    reading.later = timedelta(minutes=15)
    assert len(await reading.files()) == 105


async def test_many_messages_are_read_to_the_end(discord: LocalDiscord, tmp_path: Path) -> None:
    ann = discord.add_user("ann")
    general = discord.add_channel("general")
    for number in range(250):
        await discord.post(general, ann, f"word {number}.")
    thread = await discord.start_thread(general, ann, "Long")
    for number in range(150):
        await discord.post(thread, ann, f"answer {number}.")
    text = await Reading(discord, tmp_path, general).text()
    assert all(f": word {number}.\n" in text for number in range(250))
    assert all(f": answer {number}.\n" in text for number in range(150))


async def test_what_is_no_document(discord: LocalDiscord, tmp_path: Path) -> None:
    ann, ci = discord.add_user("ann"), discord.add_user("ci", bot=True)
    general = discord.add_channel("general")
    discord.state.add(Message(discord.state.snowflake(), general.id, ann.id, type=7))
    discord.state.add(Message(discord.state.snowflake(), general.id, discord.bot.id, "I am the bot"))
    await discord.post(general, ann, f"{discord.mention} how many days?")
    await discord.post(general, ci, "build failed")
    assert await Reading(discord, tmp_path / "a", general).files() == []
    assert "**ci**" in await Reading(discord, tmp_path / "b", general, bots=True).text()


async def test_what_is_deleted_of_the_last_weeks_is_gone_with_the_next_reading(
    discord: LocalDiscord, tmp_path: Path
) -> None:
    ann = discord.add_user("ann")
    general = discord.add_channel("general")
    secret = await discord.post(general, ann, "a secret")
    reading = Reading(discord, tmp_path, general)
    reading.later = timedelta(days=15)
    assert "secret" in await reading.text()
    await discord.delete(secret)
    reading.later += timedelta(minutes=15)
    assert await reading.files() == []


async def test_edits_and_deletions(discord: LocalDiscord, tmp_path: Path) -> None:
    ann = discord.add_user("ann")
    general = discord.add_channel("general")
    alone = await discord.post(general, ann, "a secret")
    thread = await discord.start_thread(general, ann, "Talk")
    first = await discord.post(thread, ann, "rash answer")
    await discord.post(thread, ann, "good answer")
    reading = Reading(discord, tmp_path, general)
    assert "secret" in await reading.text()
    await discord.edit(alone, "no secret any more")
    await discord.delete(first)
    reading.later = timedelta(minutes=15)
    text = await reading.text()
    assert "no secret any more" in text
    assert "a secret" not in text
    assert "rash" not in text
    await discord.delete_thread(thread)
    reading.later += LONGEST
    text = await reading.text()
    assert "good answer" not in text
    assert "no secret any more" in text


async def test_a_second_reading_asks_for_what_is_new(discord: LocalDiscord, tmp_path: Path) -> None:
    ann = discord.add_user("ann")
    general = discord.add_channel("general")
    thread = await discord.start_thread(general, ann, "Talk")
    await discord.post(thread, ann, "answer")
    reading = Reading(discord, tmp_path, general)
    before = await reading.files()
    reading.later = timedelta(hours=1)
    await reading.files()
    discord.calls.clear()
    reading.later += timedelta(minutes=15)
    assert await reading.files() == before
    assert [call.path for call in discord.called("read_messages")] == [f"/channels/{general.id}/messages"]
    await discord.post(thread, ann, "better answer")
    discord.calls.clear()
    reading.later += timedelta(minutes=15)
    assert "better answer" in await reading.text()
    assert len(discord.called("read_messages")) == 2


async def test_a_rate_limit_is_waited_for(discord: LocalDiscord, tmp_path: Path) -> None:
    ann = discord.add_user("ann")
    general = discord.add_channel("general")
    for number in range(3):
        await discord.post(general, ann, f"word {number}")
    discord.api.limits.routes["get_channel"] = (1, 0.5)
    reading = Reading(discord, tmp_path, general)
    assert "word 2" in await reading.text()
    assert "word 2" in await reading.text()


async def test_what_hinders_is_a_sentence_that_names_the_fix(
    discord: LocalDiscord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = discord.add_user("ann")
    general, board = (
        discord.add_channel("general"),
        discord.add_channel("board", private=True, with_bot=False),
    )
    silent = discord.add_channel("silent")
    discord.deny(silent, "READ_MESSAGE_HISTORY")
    gone = Channel("112233445566778899", "gone")
    await discord.post(general, ann, "hello there")
    files = await Reading(discord, tmp_path / "a", general, board, silent, gone).files()
    fix = "give my role View Channel and Read Message History there, or take it out of `channels`"
    assert [file.problem for file in files] == [
        "",
        f"I may not read it; {fix}",
        f"I may not read #silent; {fix}",
        "Discord has no such channel; take it out of `channels`",
    ]
    direct = discord.direct_channel(ann)
    (file,) = await Reading(discord, tmp_path / "b", direct).files()
    assert file.problem == "this is a direct conversation and no channel; take it out of `channels`"
    monkeypatch.setenv("PARLEY_DISCORD_TOKEN", "wrong")
    with pytest.raises(SourceError, match="Discord does not take the bot's token"):
        await Reading(discord, tmp_path / "c", general).files()
    monkeypatch.delenv("PARLEY_DISCORD_TOKEN")
    with pytest.raises(SourceError, match="PARLEY_DISCORD_TOKEN is not set"):
        await Reading(discord, tmp_path / "d", general).files()


async def test_without_the_intent_there_are_no_messages_and_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with LocalDiscord(message_content=False) as discord:
        monkeypatch.setenv("PARLEY_DISCORD_TOKEN", discord.token)
        general = discord.add_channel("general")
        with pytest.raises(SourceError, match="Message Content Intent is off"):
            await Reading(discord, tmp_path, general).files()


async def test_the_factory_reads_what_the_settings_say(discord: LocalDiscord, tmp_path: Path) -> None:
    general = discord.add_channel("general")
    await discord.post(general, discord.add_user("ann"), "hello there")
    settings = {"channels": (general.id,), "days": 30, "api_url": discord.api_url}
    (file,) = await asyncio.to_thread(source("chat", settings, tmp_path).files)
    assert "hello there" in file.local.read_text()
