"""What `parley doctor` says."""

from adapters.discord.checks import check_discord
from bot.plugins import Finding
from tests.adapters.discord.town import Town
from tests.platforms.discord import LocalDiscord
from tests.platforms.discord_permissions import bits


async def findings(town: Town, settings: str = "") -> dict[str, Finding]:
    town.make(settings)
    return {finding.check: finding for finding in await town.adapter.check()}


async def test_all_is_well(town: Town) -> None:
    forum = town.discord.add_channel("questions", kind="forum")
    found = await findings(town, f'forums = ["{forum.id}"]\n[policy]\nworkspaces = ["discord:1"]')
    assert [finding for finding in found.values() if not finding.ok] == []
    assert "answers in" in found["discord token"].detail
    assert "everything" in found["discord hearing"].detail
    assert "connected in" in found["discord events"].detail


async def test_it_opens_no_session(town: Town) -> None:
    await findings(town)
    assert town.discord.events == []


async def test_what_is_lost_without_the_message_content(town: Town) -> None:
    town.discord.state.privileged = 0
    found = await findings(town)
    assert "channel answer question" in found["discord hearing"].detail


async def test_missing_permissions_are_named(town: Town) -> None:
    role = next(r for r in town.discord.guild.roles.values() if r.managed)
    role.permissions &= ~bits("EMBED_LINKS")
    everyone = town.discord.guild.roles[town.discord.guild.id]
    everyone.permissions &= ~bits("EMBED_LINKS")
    found = await findings(town)
    assert "Embed Links missing" in found["discord acme"].detail


async def test_channels_that_are_wrong_are_named(town: Town) -> None:
    found = await findings(town, f'forums = ["{town.general.id}"]')
    assert "is no forum" in found["discord channels"].detail
    found = await findings(town, 'admin_channel = "112233445566778899"')
    assert "do not see" in found["discord channels"].detail


async def test_a_wrong_token(town: Town) -> None:
    town.make()
    town.discord.state.token = "another"
    (found,) = await town.adapter.check()
    assert not found.ok
    assert "PARLEY_DISCORD_TOKEN" in found.detail


async def test_a_bot_that_anybody_may_add_is_said(town: Town) -> None:
    found = await findings(town)
    assert "policy.workspaces" in found["discord access"].detail


async def test_a_network_that_is_down(discord: LocalDiscord, town: Town) -> None:
    town.make()
    down = town.app.settings.discord.model_copy(update={"api_url": "http://127.0.0.1:1/api/v10"})
    (found,) = await check_discord(down, is_limited=True)
    assert "network" in found.detail
