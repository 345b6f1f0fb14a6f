"""Buttons that give a command: what they hold, and what is left of a message when one was pressed."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from adapters.slack.choices import CHOICE, choice_blocks
from adapters.slack.contents import FITS, noticed
from bot.notices import Action
from tests.platforms import slack_blocks

ACTIONS = st.lists(
    st.builds(
        Action,
        label=st.text(min_size=1, max_size=120).filter(str.strip),
        command=st.text(min_size=1, max_size=60) | st.just("x" * 2_001),
        is_dangerous=st.booleans(),
    ),
    max_size=60,
)


def buttons(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [element for block in blocks if block["type"] == "actions" for element in block["elements"]]


@given(ACTIONS)
def test_slack_takes_them_and_each_holds_its_whole_command(actions: list[Action]) -> None:
    blocks = choice_blocks(actions)
    assert list(slack_blocks.message_blocks(blocks)) == []
    made = buttons(blocks)
    assert [button["value"] for button in made] == [a.command for a in actions if len(a.command) <= 2_000]
    assert len({button["action_id"] for button in made}) == len(made)
    assert all(CHOICE.fullmatch(button["action_id"]) for button in made)


def test_danger_shows() -> None:
    blocks = choice_blocks(
        (Action("Go on", "reindex go"), Action("Remove", "sources drop", is_dangerous=True))
    )
    assert [button["style"] for button in buttons(blocks)] == ["primary", "danger"]


def test_a_command_that_no_button_can_hold_is_told() -> None:
    (told,) = choice_blocks((Action("Go on", "reindex " + "x" * 2_000),))
    assert told["elements"][0]["text"].startswith("Go on: /parley reindex xxx")


def test_buttons_stand_in_the_last_message_and_as_words_where_there_are_none() -> None:
    end = noticed((Action("Go on", "reindex go"),))
    *first, last = end("word " * 4_000, "usual")
    assert [bool(content.below) for content in first] == [False] * len(first)
    assert first
    assert buttons(list(last.blocks))[0]["value"] == "reindex go"
    (plain,) = end("12 would change.", FITS[-1])
    assert plain.text == "12 would change.\n\nGo on: /parley reindex go"
