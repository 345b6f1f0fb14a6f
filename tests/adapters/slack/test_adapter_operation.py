"""Running on Slack: connections that break, settings that do not fit together, and what admins are told."""

import logging
from dataclasses import replace
from typing import Any, cast

import pytest
from slack_sdk.oauth.installation_store.models.installation import Installation

from adapters.slack.connection import SocketConnection
from bot.errors import DatabaseError, PlatformError, SettingsError
from tests.adapters.slack.office import ASKED, Office


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
