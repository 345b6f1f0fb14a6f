"""What people write on Slack reaches the desk, once and whole, and the files that came with it are fetched."""

import asyncio
from dataclasses import replace

import pytest

from bot.errors import DatabaseError, PlatformError
from bot.messages import Attachment
from tests.adapters.slack.office import ASKED, Office


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
