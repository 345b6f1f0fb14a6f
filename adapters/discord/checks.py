"""What `parley doctor` says about Discord: the token, what it hears, the way of events, and its permissions."""

import time

import aiohttp
import discord

from adapters.discord.errors import TRANSPORT_ERRORS, translated
from adapters.discord.gateway import LONGEST_WAIT, Application, introduce
from adapters.discord.invite import needed
from bot.config import DiscordSettings
from bot.errors import PlatformError, SettingsError
from bot.plugins import Finding

HELLO_SECONDS = 10.0
HELLO = 10
"""The gateway's word for it."""
MOST_SERVERS = 20
LOST = (
    "Message Content Intent is off: I hear only what names me, replies to me and direct messages. Follow-ups "
    "in threads without my name, `channel answer question`, the text of forum posts below their title, and what was "
    "said in a thread before I was called are lost. Switch it on under Bot at "
    "https://discord.com/developers/applications, and start Parley again."
)


async def check_discord(settings: DiscordSettings, *, is_limited: bool) -> list[Finding]:
    """One finding for each thing that is needed. `is_limited`: the settings name the servers that are answered."""
    token = settings.token.get_secret_value() if settings.token else ""
    began = time.monotonic()
    try:
        application = await introduce(token, api_url=settings.api_url)
    except (SettingsError, PlatformError) as error:
        return [Finding("discord token", ok=False, detail=str(error))]
    took = time.monotonic() - began
    who = f"{application.name}, answers in {took * 1000:.0f} ms"
    findings = [Finding("discord token", ok=True, detail=who), *_hearing(application, is_limited=is_limited)]
    async with discord.Client(
        intents=discord.Intents(guilds=True), max_ratelimit_timeout=LONGEST_WAIT
    ) as client:
        try:
            await client.login(token)
            findings.append(await _events(client))
            findings += await _servers(client, settings)
            findings += await _channels(client, settings)
        except TRANSPORT_ERRORS as error:
            detail = str(translated(error, doing="checking"))
            findings.append(Finding("discord", ok=False, detail=detail))
    return findings


def _hearing(application: Application, *, is_limited: bool) -> list[Finding]:
    heard = "everything in its channels" if application.has_message_content else LOST
    findings = [Finding("discord hearing", ok=True, detail=heard)]
    if application.is_public and not is_limited:
        detail = (
            "anybody may add the bot to their server and read what is visible to everyone; switch off Public Bot "
            "at https://discord.com/developers/applications, or list your servers in policy.workspaces."
        )
        findings.append(Finding("discord access", ok=False, detail=detail))
    return findings


async def _events(client: discord.Client) -> Finding:
    """Open a connection as the running bot does, and wait for Discord to say hello; nothing else is done on it."""
    began = time.monotonic()
    shards, gateway, limits = await client.http.get_bot_gateway()
    try:
        async with (
            aiohttp.ClientSession(trust_env=True) as session,
            session.ws_connect(f"{gateway}/?v=10&encoding=json", timeout=_patience()) as link,
        ):
            hello = await link.receive_json(timeout=HELLO_SECONDS)
    except (aiohttp.ClientError, TimeoutError, OSError, TypeError, ValueError):
        hello = {}
    if hello.get("op") != HELLO:
        detail = "Discord does not say hello; check that the network lets WebSockets to Discord through."
        return Finding("discord events", ok=False, detail=detail)
    took = time.monotonic() - began
    detail = (
        f"connected in {took * 1000:.0f} ms, {shards} shards advised, {limits['remaining']} starts left today"
    )
    return Finding("discord events", ok=limits["remaining"] > 0, detail=detail)


def _patience() -> aiohttp.ClientWSTimeout:
    return aiohttp.ClientWSTimeout(ws_close=HELLO_SECONDS)


async def _servers(client: discord.Client, settings: DiscordSettings) -> list[Finding]:
    """What the bot's roles lack in each server; channels may take away more."""
    findings: list[Finding] = []
    async for found in client.fetch_guilds(limit=MOST_SERVERS, with_counts=False):
        guild = await client.fetch_guild(found.id, with_counts=False)
        me = await guild.fetch_member(client.user.id if client.user else 0)
        given = me.guild_permissions
        missing = [name for name in needed(settings) if not (given.administrator or getattr(given, name))]
        detail = "all permissions"
        if missing:
            names = ", ".join(name.replace("_", " ").title() for name in missing)
            detail = f"{names} missing; open the address of `parley discord invite` once more."
        findings.append(Finding(f"discord {guild.name}"[:40], ok=not missing, detail=detail))
    if not findings:
        detail = "it is in no server yet; open the address of `parley discord invite`."
        findings.append(Finding("discord servers", ok=False, detail=detail))
    return findings


async def _channels(client: discord.Client, settings: DiscordSettings) -> list[Finding]:
    """The channels that the settings name."""
    findings: list[Finding] = []
    wanted = [("discord.forums", one) for one in settings.forums]
    if settings.admin_channel:
        wanted.append(("discord.admin_channel", settings.admin_channel))
    for key, channel_id in wanted:
        try:
            channel = await client.http.get_channel(int(channel_id))
        except discord.HTTPException:
            detail = f"{key} names {channel_id}, which I do not see; check the id, and whether I may view it."
            findings.append(Finding("discord channels", ok=False, detail=detail))
            continue
        is_forum = channel["type"] == discord.ChannelType.forum.value
        if key == "discord.forums" and not is_forum:
            detail = f"discord.forums names {channel_id}, which is no forum; take it out."
            findings.append(Finding("discord channels", ok=False, detail=detail))
    return findings
