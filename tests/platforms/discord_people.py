"""People at work: they post, reply, edit, delete, react, and open threads and forum posts.

Everything a person does is stored first and then sent to the bot the way Discord sends it, and the call returns
at once. What they do with commands, buttons and forms is in `discord_actions`.
"""

from collections.abc import Sequence

from tests.platforms.discord_actions import Actions
from tests.platforms.discord_channels import add_thread
from tests.platforms.discord_gateway import DIRECT_TYPING, GUILD_TYPING, GUILDS
from tests.platforms.discord_messages import enter, react, remove
from tests.platforms.discord_model import HAS_THREAD, Channel, File, Json, Message, User, now
from tests.platforms.discord_permissions import BITS
from tests.platforms.discord_posts import EVERY_KIND, announce, announce_thread, reaches
from tests.platforms.discord_text import notified


class People(Actions):
    """The actions of people; `LocalDiscord` is one of these."""

    async def post(
        self,
        channel: Channel | str,
        user: User,
        text: str,
        *,
        reply_to: Message | None = None,
        ping: bool = True,
        files: Sequence[File] = (),
    ) -> Message:
        """Write in a channel, a thread or a direct conversation, as a person or as another bot.

        `ping` says whether a reply notifies who is replied to; a reply that notifies the bot names it. Raises
        ValueError when the person may not write there.
        """
        where = self._channel(channel)
        needed = BITS["SEND_MESSAGES_IN_THREADS" if where.is_thread else "SEND_MESSAGES"]
        if not self.state.permissions(user.id, where) & needed:
            raise ValueError(f"{user.name} may not write in {where.name}")
        if where.kind == "forum":
            raise ValueError(f"{where.name} is a forum: use forum_post")
        message = Message(self.state.snowflake(), where.id, user.id, text.strip(), reference=reply_to)
        message.type = 19 if reply_to else 0
        message.files = list(files)
        self._read_mentions(message, ping=ping)
        self.state.add(message)
        enter(self.gateway, where, user.id, *message.mentions)
        announce(self.gateway, "MESSAGE_CREATE", message)
        return message

    def _read_mentions(self, message: Message, *, ping: bool) -> None:
        target = message.reference.author if message.reference and ping else None
        found = notified(message.content, {"parse": EVERY_KIND}, default=(), reply_to=None)
        users = [*found.users, *([target] if target else [])]
        message.mentions = [user for user in dict.fromkeys(users) if user in self.state.users]
        message.mention_roles, message.mention_everyone = found.roles, found.everyone

    async def direct(self, user: User, text: str, *, files: Sequence[File] = ()) -> Message:
        """Write to the bot in a direct message."""
        return await self.post(self.state.direct(user.id), user, text, files=files)

    async def reply(self, message: Message, user: User, text: str, *, ping: bool = True) -> Message:
        return await self.post(message.channel, user, text, reply_to=message, ping=ping)

    async def edit(self, message: Message, text: str) -> None:
        message.content, message.edits, message.edited = text.strip(), message.edits + 1, now()
        self._read_mentions(message, ping=self.state.bot.id in message.mentions)
        announce(self.gateway, "MESSAGE_UPDATE", message)

    async def suppress_embeds(self, message: Message) -> None:
        """Take the previews off a message, after which Discord says it was updated although its text is the same."""
        message.flags |= 1 << 2
        announce(self.gateway, "MESSAGE_UPDATE", message)

    async def delete(self, message: Message) -> None:
        remove(self.gateway, message)

    async def react(self, message: Message, user: User, emoji: str) -> None:
        react(self.gateway, message, emoji, user.id)

    async def unreact(self, message: Message, user: User, emoji: str) -> None:
        react(self.gateway, message, emoji, user.id, remove=True)

    async def type(self, channel: Channel | str, user: User) -> None:
        where = self._channel(channel)
        data: Json = {"channel_id": where.id, "user_id": user.id, "timestamp": 0}
        data |= {"guild_id": where.guild_id} if where.guild_id else {}
        if reaches(self.state, where):
            intent = GUILD_TYPING if where.guild_id else DIRECT_TYPING
            self.gateway.dispatch("TYPING_START", lambda intents: data, guild=where.guild_id, intent=intent)

    # Threads

    async def start_thread(
        self,
        channel: Channel | str,
        user: User,
        name: str,
        *,
        message: Message | None = None,
        private: bool = False,
        members: Sequence[User] = (),
    ) -> Channel:
        """Open a thread from a message, or without one; into a private one its `members` are taken along."""
        parent = self._channel(channel)
        thread = add_thread(self.gateway, parent, name, user.id, start=message, private=private)
        enter(self.gateway, thread, *(member.id for member in members))
        return thread

    async def forum_post(
        self, forum: Channel | str, user: User, title: str, text: str, *, files: Sequence[File] = ()
    ) -> Message:
        """Open a post in a forum; gives its first message, whose channel is the post and has the same id."""
        parent = self._channel(forum)
        if parent.kind != "forum":
            raise ValueError(f"{parent.name} is not a forum")
        number = self.state.snowflake()
        thread = Channel(number, title, "thread", parent.guild_id, parent.id, user.id, [user.id])
        self.state.guilds[parent.guild_id].channels[number] = thread
        announce_thread(self.gateway, "THREAD_CREATE", thread, newly_created=True)
        message = Message(number, number, user.id, text.strip(), files=list(files))
        self._read_mentions(message, ping=False)
        self.state.add(message)
        enter(self.gateway, thread, *message.mentions)
        announce(self.gateway, "MESSAGE_CREATE", message)
        return message

    async def archive(self, thread: Channel, *, locked: bool = False) -> None:
        thread.archived, thread.locked, thread.archived_at = True, locked, now()
        announce_thread(self.gateway, "THREAD_UPDATE", thread)

    async def delete_thread(self, thread: Channel) -> None:
        """Delete a thread with everything in it; the message from which it was started stays."""
        del self.state.guilds[thread.guild_id].channels[thread.id]
        if (start := self.state.find(thread.parent_id, thread.id)) is not None:
            start.flags &= ~HAS_THREAD
        gone = {"id": thread.id, "guild_id": thread.guild_id, "parent_id": thread.parent_id, "type": 11}
        self.gateway.dispatch("THREAD_DELETE", lambda intents: gone, guild=thread.guild_id, intent=GUILDS)

    def thread_of(self, message: Message) -> Channel | None:
        """The thread that was started from this message."""
        found = self.state.channel(message.id)
        return found if found and found.is_thread else None
