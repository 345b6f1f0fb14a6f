"""Who people are and who can read a channel: asked of Slack, remembered for minutes, strict in doubt.

A channel without outsiders is the team's. Outsiders are guests and people of other workspaces; one of them in a
channel is enough, whether or not they have ever spoken. When Slack cannot be asked, everybody is an outsider.

What was learned is forgotten early when Slack reports a change (`forget_channel`, `changed`). Between a change and
its event, or for as long as the memory lasts when the event is lost, the earlier answer is used.
"""

import asyncio
import logging
import re
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from slack_sdk.web.async_client import AsyncWebClient

from adapters.memory import Memory
from adapters.slack.errors import TRANSPORT_ERRORS, translated
from adapters.slack.events import PLATFORM, SAID, Json, Place, place_of, plain
from bot.errors import PlatformError
from bot.messages import IncomingMessage, Said
from knowledge.access import EVERYONE

log = logging.getLogger(__name__)

REMEMBERED = 300.0
"""Seconds for which an answer of Slack is used again."""
SINGLY = 20
"""Unknown members of a channel up to which each is asked for by itself; beyond, the whole directory is read."""
CONTEXT = 30
"""Messages of a thread that are shown to the assistant."""
PAGES = 20
"""Pages of a thread that are read at most; what is earlier than those is not missed in the last messages."""

_PERSON = re.compile(r"<@([A-Z0-9]+)>")
_SHARED = ("is_shared", "is_ext_shared", "is_org_shared", "is_global_shared", "is_pending_ext_shared")


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody, as the bot's workspace sees them."""

    id: str
    name: str
    is_member: bool
    """Of this workspace, with all rights: neither a guest nor from elsewhere."""
    is_admin: bool
    """Of this workspace; what somebody is at home elsewhere does not count."""


@dataclass(frozen=True, slots=True)
class Channel:
    """Who can read it."""

    has_outsiders: bool
    is_public: bool
    """Whether everybody of the workspace can join it."""


class People:
    """The people and channels of one workspace."""

    def __init__(
        self,
        client: AsyncWebClient,
        *,
        team_id: str,
        bot_user_id: str,
        bot_name: str,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._team_id = team_id
        self._bot_user_id = bot_user_id
        self._bot_name = bot_name
        self._people: Memory[str, Person] = Memory(REMEMBERED, now)
        self._channels: Memory[str, Channel] = Memory(REMEMBERED, now)
        self._changes = 0

    async def complete(self, message: IncomingMessage) -> IncomingMessage:
        """The message with its principals, `by_admin` and the thread before it, as far as Slack tells."""
        person = await self._known(message.user_id)
        principals, context = await asyncio.gather(self.principals(message), self._context(message))
        channel = self._channels.get(message.conversation_id)  # `principals` has asked
        is_open = channel is not None and channel.is_public and not channel.has_outsiders
        return replace(
            message,
            principals=principals,
            open_to=frozenset({f"{PLATFORM}:{self._team_id}"} if is_open else ()),
            by_admin=person.is_admin,
            context=context,
        )

    async def principals(self, message: IncomingMessage) -> frozenset[str]:
        """Of those who will see the reply; see `knowledge.access`."""
        if message.is_private or message.addressed == "direct":
            alone = frozenset({message.person})
            is_member = (await self._known(message.user_id)).is_member
            return alone | self._team if is_member else alone
        return await self.channel_principals(message.conversation_id)

    async def channel_principals(self, channel: str) -> frozenset[str]:
        """Of everybody who can read the channel; as if outsiders could, when Slack does not tell."""
        try:
            return await self.readers(channel)
        except PlatformError as error:
            log.warning(
                "who is in %s is not known, so it is treated as open to outsiders: %s", channel, error
            )
            return _channel(channel)

    async def readers(self, channel: str) -> frozenset[str]:
        """The same; raises `PlatformError` when Slack does not tell."""
        here = _channel(channel)
        return here if (await self._channel(channel)).has_outsiders else here | self._team

    async def person(self, user_id: str) -> Person:
        """Raises `PlatformError`."""
        if known := self._people.get(user_id):
            return known
        with self._asking("users.info"):
            found = await self._client.users_info(user=user_id)
        return self._keep(found["user"])

    def forget_channel(self, channel: str) -> None:
        """Somebody joined it, or it was shared with others."""
        self._changes += 1
        self._channels.forget(channel)

    def changed(self, user: Json) -> None:
        """Slack reports that somebody is not as before. Those who are guests now may be in any channel."""
        if not self._keep(user).is_member:
            self._changes += 1
            self._channels.clear()

    @property
    def _team(self) -> frozenset[str]:
        return frozenset({EVERYONE, f"{PLATFORM}:{self._team_id}"})

    async def _known(self, user_id: str) -> Person:
        """As `person`, but somebody with no rights when Slack does not say."""
        try:
            return await self.person(user_id)
        except PlatformError as error:
            log.warning("who %s is is not known, so they are treated as an outsider: %s", user_id, error)
            return Person(user_id, user_id, is_member=False, is_admin=False)

    async def _channel(self, channel: str) -> Channel:
        if (known := self._channels.get(channel)) is not None:
            return known
        changes = self._changes
        with self._asking("conversations.info"):
            info: Json = (await self._client.conversations_info(channel=channel))["channel"]
        has_outsiders = any(info.get(flag) for flag in _SHARED)
        if not has_outsiders:
            members = [member async for member in self._members(channel) if member != self._bot_user_id]
            await self._meet(members)
            has_outsiders = not all([(await self.person(member)).is_member for member in members])
        is_public = bool(info.get("is_channel")) and info.get("is_private") is False
        found = Channel(has_outsiders=has_outsiders, is_public=is_public)
        if changes == self._changes:  # else the answer may be the one of before
            self._channels.put(channel, found)
        return found

    async def _members(self, channel: str) -> AsyncIterator[str]:
        cursor: str | None = None
        while cursor != "":
            with self._asking("conversations.members"):
                page = await self._client.conversations_members(channel=channel, limit=1000, cursor=cursor)
            for member in page["members"]:
                yield member
            cursor = _next(page.get("response_metadata"))

    async def _meet(self, members: Iterable[str]) -> None:
        """Read the whole directory when many are unknown: Slack permits that far sooner than to ask for each."""
        if sum(self._people.get(member) is None for member in members) <= SINGLY:
            return
        cursor: str | None = None
        while cursor != "":
            with self._asking("users.list"):
                page = await self._client.users_list(limit=1000, cursor=cursor)
            for user in page["members"]:
                self._keep(user)
            cursor = _next(page.get("response_metadata"))

    def _keep(self, user: Json) -> Person:
        teams = {user.get("team_id"), *((user.get("enterprise_user") or {}).get("teams") or ())}
        is_ours = self._team_id in teams and not user.get("is_stranger")
        is_guest = user.get("is_restricted") or user.get("is_ultra_restricted")
        profile = user.get("profile") or {}
        name = profile.get("display_name") or profile.get("real_name") or user.get("name") or user["id"]
        return self._people.put(
            user["id"],
            Person(
                id=user["id"],
                name=name,
                is_member=bool(is_ours and not is_guest),
                is_admin=bool(is_ours and (user.get("is_admin") or user.get("is_owner"))),
            ),
        )

    async def _context(self, message: IncomingMessage) -> tuple[Said, ...]:
        """What people said in the thread since the bot last spoke there, when it was asked in the midst of it."""
        place = place_of(message)
        if message.addressed not in {"mention", "shortcut"} or place.message_ts == place.thread_ts:
            return ()
        try:
            said = await self._said_before(message.conversation_id, place)
        except PlatformError as error:
            log.warning("the thread of turn %s cannot be read: %s", message.turn_id, error)
            return ()
        people = {user for user, text in said for user in (user, *_PERSON.findall(text))}
        names = {user: (await self._known(user)).name for user in sorted(people)}
        return tuple(
            Said(names[user], _PERSON.sub(lambda found: f"@{names[found[1]]}", text)) for user, text in said
        )

    async def _said_before(self, channel: str, place: Place) -> list[tuple[str, str]]:
        said: deque[tuple[str, str]] = deque(maxlen=CONTEXT)
        asked = float(place.message_ts)
        cursor: str | None = None
        for _ in range(PAGES):
            with self._asking("conversations.replies"):
                page = await self._client.conversations_replies(
                    channel=channel,
                    ts=place.thread_ts,
                    latest=place.message_ts,
                    inclusive=False,
                    limit=200,
                    cursor=cursor,
                )
            for one in page["messages"]:
                user, text = one.get("user") or one.get("bot_id") or "", plain(one.get("text") or "")
                if user == self._bot_user_id:
                    said.clear()
                elif text and user and one.get("subtype") in SAID and float(one["ts"]) < asked:
                    said.append((user, text))
            cursor = _next(page.get("response_metadata"))
            if cursor == "":
                break
        return list(said)

    @contextmanager
    def _asking(self, method: str) -> Iterator[None]:
        """Slack's refusals and the network's failures as `PlatformError`."""
        try:
            yield
        except TRANSPORT_ERRORS as error:
            raise translated(error, method=method, bot_name=self._bot_name) from error


def _channel(channel: str) -> frozenset[str]:
    return frozenset({f"{PLATFORM}:{channel}"})


def _next(metadata: Json | None) -> str:
    """The cursor of the next page; empty after the last one."""
    return (metadata or {}).get("next_cursor") or ""
