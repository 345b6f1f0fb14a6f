"""Commands, buttons, menus and forms on the local Discord, and the rules for answering them."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import discord
import pytest
from discord import app_commands

from tests.platforms import discord_cases as cases
from tests.platforms.discord import Channel, LocalDiscord, Message, User
from tests.platforms.discord_clients import Bot, Raw, running
from tests.platforms.discord_violations import broken


class Reasons(discord.ui.Modal, title="What was wrong?"):
    reason: discord.ui.Label[Any] = discord.ui.Label(
        text="Reason",
        component=discord.ui.RadioGroup(
            custom_id="reason",
            options=[discord.RadioGroupOption(label=name) for name in ("wrong", "outdated")],
        ),
    )
    more: discord.ui.Label[Any] = discord.ui.Label(
        text="More",
        component=discord.ui.CheckboxGroup(
            custom_id="more",
            required=False,
            max_values=2,
            options=[discord.CheckboxGroupOption(label=name) for name in ("sources", "tone")],
        ),
    )
    comment: discord.ui.Label[Any] = discord.ui.Label(
        text="Comment",
        component=discord.ui.TextInput(custom_id="comment", required=False, max_length=20),
    )

    async def on_submit(self, interaction: discord.Interaction[Any]) -> None:
        reason, more, comment = self.reason.component, self.more.component, self.comment.component
        assert isinstance(reason, discord.ui.RadioGroup)
        assert isinstance(more, discord.ui.CheckboxGroup)
        assert isinstance(comment, discord.ui.TextInput)
        said = f"{reason.value} {more.values} {comment.value}"
        await interaction.response.send_message(said, ephemeral=True)


class Vote(discord.ui.DynamicItem[discord.ui.Button[Any]], template=r"vote:(?P<score>-?1)"):
    def __init__(self, score: int) -> None:
        super().__init__(discord.ui.Button(label=f"{score:+}", custom_id=f"vote:{score}"))
        self.score = score

    @classmethod
    async def from_custom_id(cls, interaction: Any, item: Any, match: Any, /) -> "Vote":
        return cls(int(match["score"]))

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        if self.score < 0:
            await interaction.response.send_modal(Reasons())
        else:
            await interaction.response.send_message("Thank you", ephemeral=True)


@pytest.fixture
async def helper(server: LocalDiscord, ann: User, general: Channel) -> AsyncIterator[Bot]:
    """A bot with commands, which it has registered."""
    bot = Bot()
    bot.add_dynamic_items(Vote)

    @bot.tree.command(description="Ask in private")
    @app_commands.allowed_installs(guilds=True, users=True)
    async def ask(interaction: discord.Interaction[Any], question: str) -> None:
        await interaction.response.defer(ephemeral=True)
        await interaction.edit_original_response(content=f"About {question}")

    @bot.tree.command(description="Ask for all")
    async def tell(interaction: discord.Interaction[Any], who: discord.Member) -> None:
        await interaction.response.send_message(f"Hello {who.display_name}")
        more = await interaction.followup.send("and more", wait=True)
        await more.edit(content="and even more")
        await interaction.delete_original_response()

    @bot.tree.command(description="Answers too late")
    async def late(interaction: discord.Interaction[Any]) -> None:
        await asyncio.sleep(1.2)
        bot.happened.append("late")

    @bot.tree.context_menu(name="Ask about this")
    async def about(interaction: discord.Interaction[Any], message: discord.Message) -> None:
        await interaction.response.send_message(f"You mean {message.content!r}", ephemeral=True)

    group = app_commands.Group(
        name="parley",
        description="Administration",
        default_permissions=discord.Permissions(manage_guild=True),
        guild_only=True,
    )

    @group.command(description="Set it")
    @app_commands.choices(value=[app_commands.Choice(name="On", value="on")])
    async def switch(interaction: discord.Interaction[Any], value: str) -> None:
        await interaction.response.send_message(f"It is {value}")

    @group.command(description="Find it")
    async def find(interaction: discord.Interaction[Any], name: str) -> None:
        await interaction.response.send_message(name)

    @find.autocomplete("name")
    async def names(interaction: discord.Interaction[Any], current: str) -> list[app_commands.Choice[str]]:
        return [app_commands.Choice(name=f"{current}!", value=current)]

    bot.tree.add_command(group)
    async with running(server, bot):
        await bot.tree.sync()
        yield bot


async def voted(server: LocalDiscord, bot: Bot, channel: Channel) -> Message:
    """A message of the bot with buttons for votes."""
    view = discord.ui.View(timeout=None)
    view.add_item(Vote(1)).add_item(Vote(-1))
    await bot.channel(channel.id).send("What do you think?", view=view)
    return server.answers(channel)[-1]


class TestInteractions:
    async def test_a_command_is_answered_in_private(
        self, server: LocalDiscord, helper: Bot, ann: User, general: Channel
    ) -> None:
        asked = await server.slash("ask", {"question": "trains"}, ann, general)
        (answer,) = server.ephemeral(ann, general)
        assert (asked.response, answer.ephemeral_to) == (5, ann.id)
        await server.wait_for(lambda: answer.text == "About trains")
        assert not answer.loading
        assert (server.answers(general), server.ephemeral(server.bot)) == ([], [])

    async def test_answers_to_commands_are_followed_up_and_deleted(
        self, server: LocalDiscord, helper: Bot, ann: User, general: Channel
    ) -> None:
        asked = await server.slash("tell", {"who": ann}, ann, general)
        await server.wait_for(lambda: server.called("delete_original"))
        assert [m.text for m in asked.messages] == ["and even more"]
        assert [m.text for m in server.answers(general)] == ["and even more"]

    async def test_people_find_only_what_is_offered(
        self, server: LocalDiscord, helper: Bot, ann: User, general: Channel
    ) -> None:
        boss = server.add_user("boss", admin=True)
        assert [c["name"] for c in server.commands()] == ["ask", "tell", "late", "parley", "Ask about this"]
        wrong: list[tuple[str, dict[str, Any], User, Channel, str]] = [
            ("nothing", {}, ann, general, "no command"),
            ("ask", {}, ann, general, "missing"),
            ("ask", {"question": "x", "more": 1}, ann, general, "has the options"),
            ("parley switch", {"value": "on"}, ann, general, "lacks the permissions"),
            ("parley", {}, boss, general, "subcommands"),
            ("parley stop", {}, boss, general, "no subcommand"),
            ("parley switch", {"value": "off"}, boss, general, "among the choices"),
            ("parley switch", {"value": "on"}, boss, server.direct_channel(boss), "not for such places"),
        ]
        for command, options, user, channel, words in wrong:
            with pytest.raises(ValueError, match=words):
                await server.slash(command, options, user, channel)
        switched = await server.slash("parley switch", {"value": "on"}, boss, general)
        assert [m.text for m in switched.messages] == ["It is on"]
        assert await server.autocomplete("parley find", {"name": "x"}, boss, general, focused="name") == [
            "x!"
        ]

    async def test_commands_work_in_direct_messages_too(
        self, server: LocalDiscord, helper: Bot, ann: User
    ) -> None:
        asked = await server.slash("ask", {"question": "trains"}, ann, server.direct_channel(ann))
        await server.wait_for(lambda: server.ephemeral(ann)[0].text == "About trains")
        assert (asked.payload["context"], "member" in asked.payload) == (1, False)

    async def test_an_interaction_that_comes_twice_was_answered_already(
        self, server: LocalDiscord, helper: Bot, ann: User, general: Channel
    ) -> None:
        await server.press(await voted(server, helper, general), "+1", ann)
        assert server.deliver_again("INTERACTION_CREATE") == 1
        await server.wait_for(lambda: len(server.called("interaction_callback")) == 2)
        assert [call.code for call in server.called("interaction_callback")] == [0, 40060]
        assert len(server.ephemeral(ann)) == 1

    async def test_new_components_come_after_a_pause(
        self, server: LocalDiscord, bot: Bot, ann: User, general: Channel
    ) -> None:
        @bot.tree.command(description="Wait for it")
        async def wait(interaction: discord.Interaction[Any]) -> None:
            await interaction.response.defer()
            box: discord.ui.Container[Any] = discord.ui.Container(discord.ui.TextDisplay("# Hello"))
            box.add_item(discord.ui.ActionRow(Vote(1).item))
            await interaction.edit_original_response(view=discord.ui.LayoutView().add_item(box))

        await bot.tree.sync()
        asked = await server.slash("wait", None, ann, general)
        (answer,) = server.answers(general)
        await server.wait_for(lambda: answer.text == "# Hello")
        assert (asked.response, answer.loading, answer.edits) == (5, False, 0)
        assert [b["custom_id"] for b in answer.buttons] == ["vote:1"]

    async def test_the_menu_of_a_message(
        self, server: LocalDiscord, helper: Bot, ann: User, general: Channel
    ) -> None:
        bob = server.add_user("bob")
        said = await server.post(general, bob, "It closes at five")
        chosen = await server.menu(said, "Ask about this", ann)
        assert [m.text for m in chosen.messages] == ["You mean 'It closes at five'"]

    async def test_an_interaction_must_be_answered_in_time(
        self, server: LocalDiscord, helper: Bot, ann: User, general: Channel
    ) -> None:
        asked = await server.slash("late", None, ann, general)
        assert (asked.acked, asked.error) == (False, "timeout")
        assert "late: not answered in 1.0 s" in broken(server)

    async def test_without_a_connection_nothing_responds(
        self, server: LocalDiscord, helper: Bot, ann: User, general: Channel
    ) -> None:
        await helper.close()
        await server.wait_for(lambda: not server.connections)
        server.interactions.ack_seconds = 0.1
        assert (await server.slash("late", None, ann, general)).error == "no connection"

    async def test_an_answer_comes_once_and_while_the_token_lives(
        self, server: LocalDiscord, helper: Bot, rest: Raw, ann: User, general: Channel
    ) -> None:
        asked = await server.slash("ask", {"question": "trains"}, ann, general)
        await server.wait_for(lambda: server.called("edit_original"))
        path = f"/interactions/{asked.id}/{asked.token}/callback"
        assert await rest.refused("POST", path, {"type": 5}) == 40060
        assert await rest.refused("POST", "/interactions/5/token/callback", {"type": 5}) == 10062
        server.interactions.token_seconds = 0.0
        path = f"/webhooks/{server.bot.id}/{asked.token}"
        assert await rest.refused("PATCH", f"{path}/messages/@original", {"content": "x"}) == 50027
        assert await rest.refused("POST", path, {"content": "x"}) == 50027
        assert "interaction token used after 0.0 s" in broken(server)

    async def test_messages_for_one_person_are_not_in_the_channel(
        self, server: LocalDiscord, helper: Bot, rest: Raw, ann: User, general: Channel
    ) -> None:
        bob = server.add_user("bob")
        await server.press(await voted(server, helper, general), "+1", ann)
        (thanks,) = server.ephemeral(ann)
        path = f"/channels/{general.id}/messages/{thanks.id}"
        assert await rest.refused("PATCH", path, {"content": "x"}) == 10008
        with pytest.raises(ValueError, match="does not see"):
            await server.press(thanks, "x", bob)
        assert thanks in server.messages(general)

    async def test_a_form_comes_and_is_submitted(
        self, server: LocalDiscord, helper: Bot, ann: User, general: Channel
    ) -> None:
        message = await voted(server, helper, general)
        pressed = await server.press(message, "vote:-1", ann)
        form = server.modal(ann)
        assert form
        assert (pressed.response, form.payload["title"]) == (9, "What was wrong?")
        wrong: list[tuple[dict[str, Any], str]] = [
            ({}, "'reason' must be filled in"),
            ({"reason": "boring"}, "are not among"),
            ({"reason": "wrong", "comment": "x" * 21}, "21 characters"),
            ({"reason": "wrong", "name": "x"}, "no field"),
        ]
        for values, words in wrong:
            with pytest.raises(ValueError, match=words):
                await server.submit_modal(form, values)
        done = await server.submit_modal(form, {"reason": "outdated", "more": ["tone"], "comment": "Old"})
        assert [m.text for m in done.messages] == ["outdated ['tone'] Old"]
        assert (done.source, server.modal(ann)) == (message, None)

    async def test_buttons_change_their_message(
        self, server: LocalDiscord, bot: Bot, ann: User, general: Channel
    ) -> None:
        class Choice(discord.ui.View):
            @discord.ui.button(label="Share", emoji="📣")
            async def share(self, interaction: discord.Interaction[Any], button: Any) -> None:
                button.disabled = True
                await interaction.response.edit_message(content="shared", view=self)
                await interaction.followup.send("to all")

            @discord.ui.select(placeholder="Which?", options=[discord.SelectOption(label=n) for n in "ab"])
            async def which(self, interaction: discord.Interaction[Any], select: Any) -> None:
                await interaction.response.defer()
                await interaction.edit_original_response(content=f"chosen {select.values}")

        await bot.channel(general.id).send("hello", view=Choice(timeout=None))
        (message,) = server.answers(general)
        with pytest.raises(ValueError, match="are not among"):
            await server.press(message, "Which?", ann, values=["c"])
        chosen = await server.press(message, "Which?", ann, values=["b"])
        await server.wait_for(lambda: message.text == "chosen ['b']")
        shared = await server.press(message, "📣", ann)
        await server.wait_for(lambda: shared.messages)
        assert (chosen.response, shared.response, message.text) == (6, 7, "shared")
        assert [m.text for m in server.answers(general)] == ["shared", "to all"]
        with pytest.raises(ValueError, match="is disabled"):
            await server.press(message, "Share", ann)
        with pytest.raises(ValueError, match="nothing to press"):
            await server.press(message, "Delete", ann)

    async def test_the_app_of_a_person_works_in_a_foreign_server(
        self, server: LocalDiscord, helper: Bot, ann: User, general: Channel
    ) -> None:
        foreign = server.add_guild("foreign", with_bot=False)
        carl = server.add_user("carl", has_app=True, guild=foreign)
        square = server.add_channel("square", guild=foreign)
        asked = await server.slash("ask", {"question": "ships"}, carl, square)
        (answer,) = server.ephemeral(carl)
        await server.wait_for(lambda: answer.text == "About ships")
        assert asked.payload["authorizing_integration_owners"] == {"1": carl.id}
        assert (asked.payload["context"], int(asked.payload["app_permissions"])) == (0, 0)
        with pytest.raises(ValueError, match="installed neither"):
            await server.slash("tell", {"who": carl}, carl, square)
        with pytest.raises(discord.Forbidden):
            await helper.fetch_channel(int(square.id))

    @pytest.mark.parametrize(("body", "complaint"), cases.MODALS)
    async def test_a_form_over_a_limit_is_refused(
        self, server: LocalDiscord, rest: Raw, ann: User, general: Channel, body: Any, complaint: str
    ) -> None:
        assert complaint in await answered(server, rest, ann, general, {"type": 9, "data": body})

    @pytest.mark.parametrize(
        ("answer", "complaint"),
        [
            ({"type": 6}, "type: 6 cannot answer this interaction"),
            ({"type": 5, "data": {"flags": 1 << 15}}, "flags: 32768 cannot be set here"),
            ({"type": 4, "data": {"content": "x" * 2001}}, "content: 2001 characters"),
        ],
    )
    async def test_a_wrong_first_answer_is_refused(
        self, server: LocalDiscord, rest: Raw, ann: User, general: Channel, answer: Any, complaint: str
    ) -> None:
        assert complaint in await answered(server, rest, ann, general, answer)

    @pytest.mark.parametrize(("body", "complaint"), cases.COMMANDS)
    async def test_commands_over_a_limit_are_refused(
        self, server: LocalDiscord, rest: Raw, body: Any, complaint: str
    ) -> None:
        assert await rest.refused("PUT", f"/applications/{server.bot.id}/commands", body) == 50035
        assert complaint in broken(server)
        assert server.commands() == []


async def answered(server: LocalDiscord, rest: Raw, ann: User, channel: Channel, answer: Any) -> str:
    """What is wrong with this answer to a command."""
    await rest.call("PUT", f"/applications/{server.bot.id}/commands", [cases.command()])
    server.interactions.ack_seconds = 1.0  # after which it counts as unanswered, also on a busy machine
    async with rest.gateway(intents=0) as socket:
        assert (await socket.receive_json())["t"] == "READY"
        asking = asyncio.create_task(server.slash("ask", None, ann, channel))
        event = await socket.receive_json()
        path = f"/interactions/{event['d']['id']}/{event['d']['token']}/callback"
        assert await rest.refused("POST", path, answer) == 50035
        await asking
    return broken(server)
