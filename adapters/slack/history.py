"""Slack's channels as a source of documents: what `knowledge.sources.history` asks for, read with slack_sdk.

Kind `slack` of `[[sources]]`. The bot token is the one of the environment, so channels are those of its workspace. Left
out are messages of the bot, those that name it, and what reports joins, topics and the like. Half of what Slack allows
is left to the running bot.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
from slack_sdk.web.async_client import AsyncWebClient

from adapters.pacing import Budget, Pace
from adapters.slack.errors import TRANSPORT_ERRORS, SlackBusyError, SlackRefusedError, translated
from adapters.slack.events import SAID, Json
from adapters.slack.markdown import mentioned, to_markdown
from bot.config import SlackSettings, find_file, parse_settings
from bot.errors import PlatformError, PlatformUnavailableError
from knowledge.errors import SourceError
from knowledge.sources.chat.messages import BusyError, Channel, Message, Thread, UnreadableError
from knowledge.sources.history import ChannelHistory, Wanted

BUDGETS = {
    "conversations.history": Budget(25),
    "conversations.replies": Budget(25),
    "users.info": Budget(50),
    "users.list": Budget(10),
}
"""Half of what Slack allows at least."""
LONGEST_WAIT = 60.0
"""Seconds for which Slack may make us wait."""
REQUEST_SECONDS = 30
PAGE = 200
"""Messages, as Slack advises; it takes up to 999."""
TRIES = 4
BACKOFF = 0.5
"""Seconds before the second try after trouble; twice as long before each further one."""
SINGLY = 20
"""People who are asked for one by one; beyond, the whole directory is read."""
_KINDS = SAID | {"me_message"}
_OF_CHANNEL = {
    **dict.fromkeys(("channel_not_found", "not_in_channel"), ""),
    "is_archived": "it is archived; unarchive it and invite me, or take it out of `channels`.",
    "method_not_supported_for_channel_type": "this is no channel; take it out of `channels`.",
}
"""Slack's words for what is wrong with one channel only; a sentence where that for people who ask is of no help."""


def source(name: str, settings: Mapping[str, Any], folder: Path) -> ChannelHistory:
    """For `parley.sources`: the channels that the settings of a source name."""
    api_url = settings.get("api_url") or SlackSettings().api_url
    return ChannelHistory(name, folder, Wanted.of(settings), partial(connected, name, api_url=api_url))


@asynccontextmanager
async def connected(name: str, *, api_url: str) -> AsyncIterator["SlackHistory"]:
    """The workspace to which the token of the environment belongs; raises SourceError."""
    token = parse_settings("", file=find_file(), environ=os.environ).slack.bot_token
    if token is None:
        raise SourceError(
            f"Source '{name}': PARLEY_SLACK_BOT_TOKEN is not set; set it to the Bot User OAuth Token of the Slack app."
        )
    timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout, trust_env=True) as session:
        client = AsyncWebClient(
            token=token.get_secret_value(),
            base_url=api_url,
            timeout=REQUEST_SECONDS,
            session=session,
            retry_handlers=[],
        )
        requests = Requests(name, client)
        me = await requests.ask("auth.test")
        yield SlackHistory(requests, me)


class Requests:
    """Asks Slack within the budgets, again after trouble, and not longer than is worth waiting."""

    def __init__(self, source_name: str, client: AsyncWebClient) -> None:
        self._source = source_name
        self._client = client
        self._pace = Pace(BUDGETS)

    async def ask(self, method: str, **arguments: str | int | bool) -> Json:
        """The answer; raises BusyError, UnreadableError for what is wrong with the channel, else SourceError."""
        sent = {key: int(value) if isinstance(value, bool) else value for key, value in arguments.items()}
        for attempt in range(1, TRIES + 1):
            await self._pace.wait(method)
            try:
                answer = await self._client.api_call(method, http_verb="GET", params=sent)
            except TRANSPORT_ERRORS as error:
                trouble = translated(error, method=method)
            else:
                return answer.data if isinstance(answer.data, dict) else {}
            if isinstance(trouble, SlackBusyError):
                if trouble.seconds > LONGEST_WAIT or attempt == TRIES:
                    raise BusyError(str(trouble)) from trouble
                self._pace.pause(method, trouble.seconds)
            elif isinstance(trouble, PlatformUnavailableError) and attempt < TRIES:
                await asyncio.sleep(BACKOFF * 2 ** (attempt - 1))
            else:
                raise self._explained(trouble) from trouble
        raise AssertionError("TRIES is at least 1")

    async def pages(self, method: str, **arguments: str | int | bool) -> AsyncIterator[Json]:
        """The answers of a method that gives its list in pages."""
        cursor = ""
        while True:
            page = await self.ask(method, **arguments, **({"cursor": cursor} if cursor else {}))
            yield page
            cursor = (page.get("response_metadata") or {}).get("next_cursor") or ""
            if not cursor:
                return

    def _explained(self, trouble: PlatformError) -> Exception:
        if isinstance(trouble, SlackRefusedError) and trouble.code in _OF_CHANNEL:
            return UnreadableError(_OF_CHANNEL[trouble.code] or str(trouble))
        return SourceError(f"Source '{self._source}': {trouble}")


@dataclass
class Names:
    """What people and bots are called; each is asked for once."""

    requests: Requests
    known: dict[str, str] = field(default_factory=dict)
    asked: int = 0

    async def of(self, user_id: str) -> str:
        """The name that people see; the id for somebody whom Slack does not show."""
        if user_id not in self.known:
            self.asked += 1
            if self.asked == SINGLY:
                async for page in self.requests.pages("users.list", limit=1000):
                    self.known |= {user["id"]: _name(user) for user in page["members"]}
            if user_id not in self.known:
                self.known[user_id] = await self._singly(user_id)
        return self.known[user_id]

    async def _singly(self, user_id: str) -> str:
        try:
            return _name((await self.requests.ask("users.info", user=user_id))["user"])
        except SourceError as error:
            cause = error.__cause__
            if isinstance(cause, SlackRefusedError) and cause.code in {"user_not_found", "user_not_visible"}:
                return user_id
            raise


class SlackHistory:
    """One workspace; satisfies `History`."""

    def __init__(self, requests: Requests, me: Json) -> None:
        """`me` is the answer to auth.test."""
        self._requests = requests
        self._address = str(me.get("url") or "https://slack.com/")
        self._user_id = str(me.get("user_id") or "")
        self._bot_id = str(me.get("bot_id") or "")
        self._names = Names(requests)
        self._channel_names: dict[str, str] = {}

    async def channel(self, channel: str) -> Channel:
        """See `History.channel`."""
        info: Json = (await self._requests.ask("conversations.info", channel=channel))["channel"]
        name = f"#{info.get('name') or channel}"
        if info.get("is_im") or info.get("is_mpim"):
            raise UnreadableError(
                "this is a conversation of a few people and no channel; take it out of `channels`."
            )
        if not info.get("is_member"):
            if info.get("is_archived"):
                raise UnreadableError(
                    f"{name} is archived and I am no member of it; unarchive it and invite me, or take it out of "
                    "`channels`."
                )
            raise UnreadableError(f"I am not a member of {name}; invite me there with `/invite`.")
        self._channel_names[channel] = name
        return Channel(channel, name)

    async def listed(
        self, channel: str, *, after: datetime, before: datetime
    ) -> AsyncIterator[Message | Thread]:
        """See `History.listed`."""
        bounds: dict[str, str | int | bool] = {
            "oldest": _ts(after),
            "latest": _ts(before),
            "inclusive": True,
            "limit": PAGE,
        }
        async for page in self._requests.pages("conversations.history", channel=channel, **bounds):
            for found in page["messages"]:
                if found.get("reply_count"):
                    yield _thread(found)
                    continue
                is_reply = found.get("thread_ts", found["ts"]) != found["ts"]  # shown in the channel as well
                if is_reply or found["ts"] == bounds["latest"]:
                    continue
                if message := await self._message(channel, found):
                    yield message

    async def threads(self, channel: str, *, since: datetime) -> AsyncIterator[Thread]:  # noqa: ARG002 - as protocol
        """See `History.threads`; `listed` gives them all."""
        none: tuple[Thread, ...] = ()
        for thread in none:
            yield thread

    async def thread(self, channel: str, thread: str) -> AsyncGenerator[Message, None]:
        """See `History.thread`."""
        given: set[str] = set()
        try:
            async for page in self._requests.pages(
                "conversations.replies", channel=channel, ts=thread, limit=PAGE
            ):
                for found in page["messages"]:
                    if found["ts"] == thread and not found.get("reply_count"):
                        return  # it has no answers any more, and stands in the channel again
                    if found["ts"] not in given and (message := await self._message(channel, found)):
                        yield message
                    given.add(found["ts"])
        except SourceError as error:
            if not (
                isinstance(error.__cause__, SlackRefusedError) and error.__cause__.code == "thread_not_found"
            ):
                raise

    async def _message(self, channel: str, found: Json) -> Message | None:
        """None for what is no document: reports, what the bot wrote, and what was said to it."""
        user_id, bot_id = found.get("user") or "", found.get("bot_id") or ""
        text = found.get("text") or _of_parts(found)
        ids = mentioned(text)
        is_mine = user_id == self._user_id or (bot_id and bot_id == self._bot_id)
        if found.get("subtype") not in _KINDS or is_mine or self._user_id in ids or not (user_id or bot_id):
            return None
        names = {one: await self._names.of(one) for one in sorted(ids)}
        files = tuple(
            str(file.get("name") or file.get("title") or file["id"])
            for file in found.get("files") or ()
            if file.get("mode") != "tombstone"
        )
        body = to_markdown(text, people=names, channels=self._channel_names)
        if not (body or files):
            return None
        return Message(
            id=found["ts"],
            at=_at(found["ts"]),
            author=await self._author(found),
            author_id=user_id or bot_id,
            text=body,
            link=self._link(channel, found),
            by_bot=bool(bot_id),
            attachments=files,
        )

    async def _author(self, found: Json) -> str:
        profile = found.get("bot_profile") or {}
        name = found.get("username") or profile.get("name")
        if name or not found.get("user"):
            return str(name or found.get("bot_id"))
        return await self._names.of(found["user"])

    def _link(self, channel: str, found: Json) -> str:
        ts, thread = found["ts"], found.get("thread_ts") or found["ts"]
        below = f"?thread_ts={thread}&cid={channel}" if thread != ts else ""
        return f"{self._address.rstrip('/')}/archives/{channel}/p{ts.replace('.', '')}{below}"


def _thread(found: Json) -> Thread:
    """Slack shows answers in their number and the last one's time, and the first message as it is."""
    latest = str(found.get("latest_reply") or found["ts"])
    edited = (found.get("edited") or {}).get("ts", "")
    mark = f"{found['reply_count']} {latest} {edited} {found.get('subtype') or ''}"
    return Thread(found["ts"], begins=_at(found["ts"]), newest=_at(latest), mark=mark)


def _of_parts(found: Json) -> str:
    """What apps write without a text."""
    parts = (part.get("text") or part.get("fallback") or "" for part in found.get("attachments") or ())
    return "\n\n".join(part for part in parts if part)


def _name(user: Json) -> str:
    profile = user.get("profile") or {}
    return str(profile.get("display_name") or profile.get("real_name") or user.get("name") or user["id"])


def _at(ts: str) -> datetime:
    return datetime.fromtimestamp(float(ts), UTC)


def _ts(moment: datetime) -> str:
    return f"{moment.timestamp():.6f}"
