"""Slack's channels as documents, read by the real client from a local Slack."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from adapters.pacing import Budget
from adapters.slack import history
from adapters.slack.history import connected, source
from bot.config import load_settings
from bot.library import open_library
from knowledge.errors import SourceError
from knowledge.sources.history import ChannelHistory, Wanted
from knowledge.sources.protocol import SourceFile
from tests.platforms.slack import Channel, LocalSlack


@pytest.fixture
async def slack(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LocalSlack]:
    async with LocalSlack() as slack:
        monkeypatch.setenv("PARLEY_SLACK_BOT_TOKEN", slack.bot_token)
        monkeypatch.setattr(history, "BUDGETS", {})
        monkeypatch.setattr(history, "BACKOFF", 0.01)
        yield slack


class Reading:
    """A source of one channel, read again and again; `later` puts its clock on."""

    def __init__(self, slack: LocalSlack, folder: Path, *channels: Channel, **wanted: object) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.later = timedelta()
        choice = Wanted.of({"channels": [one.id for one in channels], **wanted})
        connect = partial(connected, "chat", api_url=slack.api_url)
        self._source = ChannelHistory(
            "chat", folder, choice, connect, now=lambda: datetime.now(UTC) + self.later
        )

    async def files(self) -> list[SourceFile]:
        return await asyncio.to_thread(self._source.files)

    async def text(self) -> str:
        """Of all documents."""
        return "\n".join(file.local.read_text() for file in await self.files() if not file.problem)


async def test_a_thread_with_names_links_code_and_files(slack: LocalSlack, tmp_path: Path) -> None:
    ada, bob = slack.add_user("ada"), slack.add_user("bob")
    general = slack.add_channel("general", members=[ada, bob])
    root = await slack.post(
        general, ada, f"<@{bob.id}>: how do I roll back? See <https://x.example/a|the guide>"
    )
    code = "```\nif a &lt; b &amp;&amp; c:\n    <https://x.example>\n```"
    plan = slack.add_file("plan.pdf", bob, b"%PDF")
    answer = await slack.post(general, bob, f"Run this: {code} # not a heading", thread_ts=root, files=[plan])
    (file,) = await Reading(slack, tmp_path, general).files()
    assert file.uri == f"https://acme.slack.com/archives/{general.id}/p{root.replace('.', '')}"
    assert file.metadata["author"] == "ada"
    at = datetime.fromtimestamp(float(root), UTC)
    said, replied = f"{at:%H:%M}", f"{datetime.fromtimestamp(float(answer), UTC):%H:%M}"
    assert file.local.read_text() == (
        "# @bob: how do I roll back? See the guide\n\n"
        f"#general, {at.day} {at:%B %Y}\n\n"
        f"**ada** ({said}): @bob: how do I roll back? See [the guide](https://x.example/a)\n\n"
        f"**bob** ({replied}): Run this:\n\n```\nif a < b && c:\n    https://x.example\n```\n\n"
        "\\# not a heading\n\nAttached: plan.pdf\n"
    )


async def test_what_is_no_document(slack: LocalSlack, tmp_path: Path) -> None:
    ada, ci = slack.add_user("ada"), slack.add_user("ci", bot=True)
    general = slack.add_channel("general", members=[ada, ci])
    await slack.post(general, ada, f"<@{ada.id}> has joined the channel", subtype="channel_join")
    await slack.post(general, slack.bot, "I am the bot")
    await slack.post(general, ada, f"{slack.mention} how many days?")
    await slack.post(general, ci, "build failed")
    assert await Reading(slack, tmp_path / "a", general).files() == []
    assert "**ci**" in await Reading(slack, tmp_path / "b", general, bots=True).text()


async def test_a_second_reading_asks_for_what_is_new(slack: LocalSlack, tmp_path: Path) -> None:
    ada = slack.add_user("ada")
    general = slack.add_channel("general", members=[ada])
    root = await slack.post(general, ada, "question")
    await slack.post(general, ada, "answer", thread_ts=root)
    reading = Reading(slack, tmp_path, general)
    reading.later = timedelta(hours=1)
    before = await reading.files()
    slack.calls.clear()
    reading.later += timedelta(minutes=15)
    assert await reading.files() == before
    assert [call.method for call in slack.calls] == [
        "auth.test",
        "conversations.info",
        "conversations.history",
    ]
    await slack.post(general, ada, "better answer", thread_ts=root)
    slack.calls.clear()
    reading.later += timedelta(minutes=15)
    assert "better answer" in await reading.text()
    assert len(slack.called("conversations.replies")) == 1


async def test_pages_are_read_to_their_end(
    slack: LocalSlack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "PAGE", 3)
    ada = slack.add_user("ada")
    general = slack.add_channel("general", members=[ada])
    for number in range(8):
        await slack.post(general, ada, f"talk {number}.")
    root = await slack.post(general, ada, "question")
    for number in range(8):
        await slack.post(general, ada, f"answer {number}.", thread_ts=root)
    text = await Reading(slack, tmp_path, general).text()
    for number in range(8):
        assert text.count(f"talk {number}.\n") == 1 + (number == 0)  # the first is also the title
        assert text.count(f"answer {number}.") == 1


async def test_edits_and_deletions(slack: LocalSlack, tmp_path: Path) -> None:
    ada = slack.add_user("ada")
    general = slack.add_channel("general", members=[ada])
    alone = await slack.post(general, ada, "a secret")
    root = await slack.post(general, ada, "question")
    rash = await slack.post(general, ada, "rash answer", thread_ts=root)
    good = await slack.post(general, ada, "good answer", thread_ts=root)
    reading = Reading(slack, tmp_path, general)
    assert "secret" in await reading.text()
    await slack.delete(general, alone)
    await slack.edit(general, root, "another question")
    await slack.delete(general, rash)
    text = await reading.text()
    assert "another question" in text
    assert "secret" not in text
    assert "rash" not in text
    await slack.delete(general, root)  # its place stays, with the answers
    text = await reading.text()
    assert "good answer" in text
    assert "question" not in text
    assert "deleted" not in text
    await slack.delete(general, good)
    assert await reading.files() == []


async def test_what_is_deleted_in_a_thread_of_the_last_weeks_is_gone_with_the_next_reading(
    slack: LocalSlack, tmp_path: Path
) -> None:
    ada = slack.add_user("ada")
    general = slack.add_channel("general", members=[ada])
    root = await slack.post(general, ada, "question")
    rash = await slack.post(general, ada, "rash answer", thread_ts=root)
    await slack.post(general, ada, "good answer", thread_ts=root)
    reading = Reading(slack, tmp_path, general)
    reading.later = timedelta(days=15)
    assert "rash" in await reading.text()
    await slack.delete(general, rash)
    reading.later += timedelta(minutes=15)
    text = await reading.text()
    assert "good answer" in text
    assert "rash" not in text


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        ("is_archived", "it is archived; unarchive it and invite me, or take it out of `channels`"),
        ("method_not_supported_for_channel_type", "this is no channel; take it out of `channels`"),
        ("not_in_channel", "I am not a member of that channel; invite me there with `/invite @Parley`"),
    ],
)
async def test_a_channel_that_slack_does_not_show_is_told_to_who_looks_after_the_source(
    slack: LocalSlack, tmp_path: Path, error: str, sentence: str
) -> None:
    general = slack.add_channel("general")
    slack.fail("conversations.history", error)
    (file,) = await Reading(slack, tmp_path, general).files()
    assert (file.path, file.problem) == (f"{general.id}.md", sentence)


async def test_what_slack_refuses_of_one_channel_costs_the_others_nothing(
    slack: LocalSlack, tmp_path: Path
) -> None:
    ada = slack.add_user("ada")
    general, other = (slack.add_channel(name, members=[ada]) for name in ("general", "other"))
    await slack.post(general, ada, "what was decided")
    secret = await slack.post(other, ada, "a secret")
    reading = Reading(slack, tmp_path, general, other)
    await reading.files()
    await slack.delete(other, secret)
    slack.fail("conversations.history", "access_denied")
    problem, file = await reading.files()
    assert problem.path == general.id
    assert problem.problem.startswith("Slack refuses conversations.history")
    assert "what was decided" in file.local.read_text()


async def test_a_rate_limit_is_waited_for(slack: LocalSlack, tmp_path: Path) -> None:
    ada = slack.add_user("ada")
    general = slack.add_channel("general", members=[ada])
    for number in range(3):
        root = await slack.post(general, ada, f"question {number}")
        await slack.post(general, ada, f"answer {number}", thread_ts=root)
    slack.limit("conversations.replies", 2, 1.0)
    text = await Reading(slack, tmp_path, general).text()
    assert all(f"answer {number}" in text for number in range(3))
    refused, again = [call.at for call in slack.called("conversations.replies")][2:4]
    assert again - refused >= 1.0


async def test_a_long_wait_ends_the_reading_and_the_next_one_goes_on(
    slack: LocalSlack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "LONGEST_WAIT", 0.5)
    ada = slack.add_user("ada")
    general = slack.add_channel("general", members=[ada])
    for number in range(3):
        root = await slack.post(general, ada, f"question {number}")
        await slack.post(general, ada, f"answer {number}", thread_ts=root)
    slack.limit("conversations.replies", 2, 3600.0)
    reading = Reading(slack, tmp_path, general)
    assert len(await reading.files()) == 2
    slack.api.limits.clear()
    assert len(await reading.files()) == 3


async def test_the_budget_leaves_room_for_the_running_bot() -> None:
    assert history.BUDGETS["conversations.replies"] == Budget(25)


async def test_slack_fails_for_a_moment(slack: LocalSlack, tmp_path: Path) -> None:
    ada = slack.add_user("ada")
    general = slack.add_channel("general", members=[ada])
    await slack.post(general, ada, "hello there")
    slack.lose_call("conversations.history")
    slack.http_error("conversations.info", 503)
    assert "hello there" in await Reading(slack, tmp_path, general).text()


async def test_what_hinders_is_a_sentence_that_names_the_fix(
    slack: LocalSlack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    general = slack.add_channel("general")
    elsewhere = slack.add_channel("elsewhere", with_bot=False)
    secret = slack.add_channel("secret", with_bot=False, private=True)
    old = slack.add_channel("old", with_bot=False)
    old.is_archived = True
    files = await Reading(slack, tmp_path / "a", general, elsewhere, secret, old).files()
    assert [file.problem for file in files] == [
        "I am not a member of #elsewhere; invite me there with `/invite`",
        "Slack does not show me that channel; invite me there with `/invite @Parley`",
        "#old is archived and I am no member of it; unarchive it and invite me, or take it out of `channels`",
    ]
    slack.workspace.scopes.discard("channels:history")
    with pytest.raises(SourceError, match=r"lacks channels:history; add it under OAuth & Permissions"):
        await Reading(slack, tmp_path / "b", general).files()
    slack.revoke()
    with pytest.raises(SourceError, match="install the app again, or set PARLEY_SLACK_BOT_TOKEN"):
        await Reading(slack, tmp_path / "c", general).files()
    monkeypatch.delenv("PARLEY_SLACK_BOT_TOKEN")
    with pytest.raises(SourceError, match="PARLEY_SLACK_BOT_TOKEN is not set"):
        await Reading(slack, tmp_path / "d", general).files()


async def test_an_archived_channel_is_read_where_the_bot_is_a_member(
    slack: LocalSlack, tmp_path: Path
) -> None:
    ada = slack.add_user("ada")
    general = slack.add_channel("general", members=[ada])
    await slack.post(general, ada, "what was")
    general.is_archived = True
    assert "what was" in await Reading(slack, tmp_path, general).text()


async def test_many_people_are_read_from_the_directory(
    slack: LocalSlack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "SINGLY", 3)
    people = [slack.add_user(f"person{number}") for number in range(9)]
    general = slack.add_channel("general", members=people)
    for person in people:
        await slack.post(general, person, "hello")
    text = await Reading(slack, tmp_path, general).text()
    assert all(f"**person{number}**" in text for number in range(9))
    assert len(slack.called("users.info")) == 2
    assert len(slack.called("users.list")) == 1


async def test_the_factory_reads_what_the_settings_say(slack: LocalSlack, tmp_path: Path) -> None:
    ada = slack.add_user("ada")
    general = slack.add_channel("general", members=[ada])
    await slack.post(general, ada, "hello there")
    settings = {"channels": (general.id,), "days": 30, "api_url": slack.api_url}
    (file,) = await asyncio.to_thread(source("chat", settings, tmp_path).files)
    assert file.path.startswith(f"{general.id}/")


async def test_from_the_settings_to_a_search(
    slack: LocalSlack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, bob = slack.add_user("ada"), slack.add_user("bob")
    general = slack.add_channel("general", members=[ada, bob])
    closed = slack.add_channel("closed", with_bot=False)
    root = await slack.post(general, ada, "Where are the spare keys of the bicycle cellar?")
    await slack.post(general, bob, "They hang behind the reception desk, second hook.", thread_ts=root)
    file = tmp_path / "parley.toml"
    file.write_text(
        f'[llm]\nenabled = false\n[slack]\napi_url = "{slack.api_url}"\n'
        f'[[sources]]\nname = "chat"\nkind = "slack"\nchannels = ["{general.id}"]\n'
        f'[[sources]]\nname = "other"\nkind = "slack"\nchannels = ["{closed.id}"]\n'
    )
    config = load_settings(file)
    assert config.sources[0].visible_to == (f"slack:{general.id}",)

    def search() -> list[str]:
        with open_library(config) as library:
            report = library.sync()
            told = [(part.name, part.error, [why for _, why in part.failed]) for part in report.sources]
            asks = f"{closed.id}.md: I am not a member of #closed; invite me there with `/invite`"
            assert told == [("chat", "", []), ("other", "", [asks])]
            assert library.visible_to_everyone == frozenset()
            hits = library.search("spare keys for the bicycle cellar", sources=frozenset({"chat"}), top_k=3)
            return [hit.chunk.uri for hit in hits if "behind the reception" in hit.chunk.text]

    assert await asyncio.to_thread(search) == [
        f"https://acme.slack.com/archives/{general.id}/p{root.replace('.', '')}"
    ]
    await slack.delete(general, root)
    for message in slack.messages(general):
        await slack.delete(general, message.ts)

    assert await asyncio.to_thread(search) == []
