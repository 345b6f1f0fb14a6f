"""Interactions: what people do with commands, buttons and forms, on its way to the bot and back.

The bot has three seconds for its first response and fifteen minutes for everything after it. An interaction that
is not answered in time is noted as a violation, unless the bot is not connected at all: then the person just
sees that the application did not respond.
"""

import asyncio
import time
from dataclasses import dataclass, field

from tests.platforms.discord_gateway import ANYTHING
from tests.platforms.discord_model import Channel, Json, Message, User
from tests.platforms.discord_posts import wire
from tests.platforms.discord_rest import Rest

COMMAND, COMPONENT, AUTOCOMPLETE, MODAL_SUBMIT = 2, 3, 4, 5


@dataclass(eq=False)
class Modal:
    """A form on a person's screen."""

    user: User
    payload: Json
    source: "Interaction"
    open: bool = True

    @property
    def custom_id(self) -> str:
        return str(self.payload["custom_id"])


@dataclass(eq=False)
class Interaction:
    """One thing that a person did, and how the bot answered it."""

    id: str
    token: str
    type: int
    user: User
    channel: Channel
    payload: Json
    source: Message | None = None
    """The message whose button was pressed, or from whose button the form came."""
    response: int = 0
    """The type of the bot's first response: 4 a message, 5 and 6 deferred, 7 an update, 9 a form; 0 none yet."""
    original: Message | None = None
    followups: list[Message] = field(default_factory=list)
    modal: Modal | None = None
    choices: list[Json] = field(default_factory=list)
    """What autocomplete offers."""
    error: str = ""
    """Why nothing came: "no connection" or "timeout"; empty when it was answered."""
    created: float = field(default_factory=time.monotonic)
    answered: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def acked(self) -> bool:
        return bool(self.response)

    @property
    def messages(self) -> list[Message]:
        """The messages it was answered with and that still exist, the first response first."""
        new = [self.original] if self.original and self.original is not self.source else []
        return [m for m in [*new, *self.followups] if not m.deleted]


class Interactions:
    """Sends interactions and keeps them; tests may change the times while it runs."""

    def __init__(self, rest: Rest) -> None:
        self.rest = rest
        rest.interactions = self
        self.ack_seconds = 3.0
        self.token_seconds = 900.0
        self.all: list[Interaction] = []

    def by_token(self, token: str) -> Interaction | None:
        return next((one for one in self.all if one.token == token), None)

    async def send(
        self,
        kind: int,
        user: User,
        channel: Channel,
        data: Json,
        *,
        owners: Json,
        source: Message | None = None,
    ) -> Interaction:
        """Send an interaction to the bot and wait for its first response, or until the time for it is over."""
        state, gateway = self.rest.state, self.rest.gateway
        number = state.snowflake()
        guild = state.guilds.get(channel.guild_id)
        payload: Json = {
            "id": number,
            "application_id": state.bot.id,
            "type": kind,
            "version": 1,
            "data": data,
        }
        payload |= {
            "token": f"token{number}",
            "locale": "en-US",
            "entitlements": [],
            "attachment_size_limit": 10 << 20,
        }
        payload |= {"channel_id": channel.id, "authorizing_integration_owners": owners}
        allowed = str(state.permissions(user.id, channel))
        payload["channel"] = channel.wire(state) | ({"permissions": allowed} if guild else {})
        payload["context"] = 0 if guild else 1
        payload["app_permissions"] = str(state.permissions(state.bot.id, channel))
        if guild:
            partial = {"id": guild.id, "locale": "en-US", "features": []}
            payload |= {"guild_id": guild.id, "guild": partial, "guild_locale": "en-US"}
            payload["member"] = guild.members[user.id].wire() | {"permissions": allowed}
        else:
            payload["user"] = user.wire()
        if source is not None:
            payload["message"] = wire(state, source, full=True)
        interaction = Interaction(number, payload["token"], kind, user, channel, payload, source)
        self.all.append(interaction)
        reached = gateway.dispatch(
            "INTERACTION_CREATE", lambda intents: payload, guild=channel.guild_id, intent=ANYTHING
        )
        await self._wait(interaction, reached=any(session.hears for session in reached))
        return interaction

    async def _wait(self, interaction: Interaction, *, reached: bool) -> None:
        try:
            async with asyncio.timeout(self.ack_seconds):
                await interaction.answered.wait()
        except TimeoutError:
            interaction.error = "timeout" if reached else "no connection"
            if reached:
                name = interaction.payload["data"].get("name") or interaction.payload["data"].get("custom_id")
                self.rest.state.violations.append(f"{name}: not answered in {self.ack_seconds} s")

    def metadata(self, interaction: Interaction) -> Json:
        """What messages say about the interaction that they answer."""
        shown: Json = {"id": interaction.id, "type": interaction.type, "user": interaction.user.wire()}
        shown["authorizing_integration_owners"] = interaction.payload["authorizing_integration_owners"]
        if interaction.type == COMMAND:
            shown["name"] = interaction.payload["data"]["name"]
        elif interaction.source:
            shown["interacted_message_id"] = interaction.source.id
        return shown
