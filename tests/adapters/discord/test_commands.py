"""`/parley …` as it is made from the shared commands."""

import pytest

from adapters.discord.commands import add_commands, name_below
from adapters.discord.gateway import Gateway
from bot.commands import Command, Commands, Request
from tests.platforms import discord_checks
from tests.platforms.discord_model import Json


async def nothing(*_: object) -> None:
    pass


async def said(_: Request) -> str:
    return "Done."


def command(name: str, **more: object) -> Command:
    return Command(name=name, about=f"what {name} does", run=said, **more)  # type: ignore[arg-type]


async def offered(*commands: Command) -> dict[str, Json]:
    """What stands below `/parley`, by name, when Discord has nothing against it."""
    async with Gateway(message_content=False, shards=None) as client:
        listed = Commands(commands)
        add_commands(client.tree, assistant="Parley", listed=listed, ask=nothing, menu=nothing, order=nothing)
        told = [one.to_dict(client.tree) for one in client.tree.get_commands()]
    assert list(discord_checks.commands(told)) == []
    (parley,) = (one for one in told if one["name"] == "parley")
    return {option["name"]: option for option in parley["options"]}


@pytest.mark.parametrize(
    ("name", "below"),
    [
        ("channel persona", "persona"),
        ("reindex --dry-run", "dry-run"),
        ("feedback summary", "summary"),
        ("jobs run now", "run-now"),
        ("channel Über uns!", "über-uns"),
        ("sources " + "x" * 50, "x" * 32),
        ("reindex", "now"),
    ],
)
def test_names_are_such_as_discord_takes(name: str, below: str) -> None:
    assert name_below(command(name, alone="now")) == below


async def test_a_command_that_is_a_group_too_stands_in_it_by_another_name() -> None:
    below = await offered(
        command("reindex --dry-run", argument=r"\w+", is_optional=True),
        command("reindex cancel"),
        command("reindex", argument=r"\w+", is_optional=True, placeholder="SOURCE", alone="now"),
    )
    inner = {option["name"]: option["options"] for option in below["reindex"]["options"]}
    assert list(inner) == ["dry-run", "cancel", "now"]
    assert inner["cancel"] == []
    (value,) = inner["now"]
    assert (value["description"], value["required"]) == ("SOURCE", False)


async def test_what_people_are_not_told_of_is_not_offered() -> None:
    below = await offered(command("rollback"), command("rollback yes", is_listed=False))
    assert list(below) == ["help", "rollback"]
    assert below["rollback"]["options"] == []


async def test_a_person_is_named_in_a_text() -> None:
    below = await offered(command("forget", argument=r"<@!?\d+>", placeholder="@person"))
    (value,) = below["forget"]["options"]
    assert (value["type"], value["required"]) == (3, True)


async def test_a_choice_stays_one_when_it_can_be_left_out() -> None:
    below = await offered(command("feedback summary", argument="7d|30d", is_optional=True))
    (summary,) = below["feedback"]["options"]
    assert [choice["name"] for choice in summary["options"][0]["choices"]] == ["7d", "30d"]
