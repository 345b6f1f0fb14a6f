"""Commands are recognised, questions stay questions, and what is wrong is told with the right form."""

from dataclasses import replace

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from bot.administration.channel import LONGEST_PERSONA, channel_commands
from bot.administration.naming import ELSEWHERE
from bot.administration.status import Status, status_command
from bot.administration.stop import stop_command
from bot.commands import Call, Command, Commands, Request
from bot.errors import UsageError
from bot.messages import IncomingMessage
from bot.places import Places, PlaceSettings
from tests.bot.administration.conftest import MESSAGE

VISIBLE_TO = {
    "handbook": frozenset({"everyone"}),
    "wiki": frozenset({"everyone"}),
    "board": frozenset({"slack:C9"}),
}


class Office:
    """All the commands, on a real database; keeps whom it was asked to stop."""

    def __init__(self, engine: sa.Engine) -> None:
        self.places = Places(engine)
        self.status = Status(
            model="smollm2",
            waiting=3,
            answering=2,
            sources={"handbook": (12, 3456), "wiki": (0, 0), "board": (7, 7)},
        )
        self.running: list[IncomingMessage] = []
        self.commands = Commands(
            [
                *channel_commands(
                    self.places, source_names=lambda: ["handbook", "wiki", "board"], visible_to=VISIBLE_TO
                ),
                status_command(self._status, visible_to=VISIBLE_TO),
                stop_command(self._stop),
            ]
        )

    @property
    def place(self) -> PlaceSettings:
        return self.places.get("slack", "C1")

    async def say(self, text: str, *, is_admin: bool = True) -> str:
        """What comes back to `/parley <text>`."""
        call = self.commands.parse(text, explicit=True)
        if not isinstance(call, Call):
            return str(call)
        return (await self.commands.run(call, MESSAGE, is_admin=is_admin)).markdown

    async def _status(self) -> Status:
        return self.status

    async def _stop(self, message: IncomingMessage) -> bool:
        if message in self.running:
            self.running.remove(message)
            return True
        return False


@pytest.fixture
def office(engine: sa.Engine) -> Office:
    return Office(engine)


@pytest.mark.parametrize(
    ("text", "name", "argument"),
    [
        ("help", "help", ""),
        (" Help! ", "help", ""),
        ("stop.", "stop", ""),
        ("STATUS", "status", ""),
        ("channel", "channel", ""),
        ("channel  on", "channel on", ""),
        ("channel answer question", "channel answer", "question"),
        ("channel persona A pirate.\nSays arr!", "channel persona", "A pirate.\nSays arr!"),
        ("channel language Swiss German", "channel language", "Swiss German"),
        ("channel sources handbook, wiki", "channel sources", "handbook, wiki"),
    ],
)
@pytest.mark.parametrize("explicit", [True, False])
def test_commands_are_recognised(
    office: Office, text: str, name: str, argument: str, *, explicit: bool
) -> None:
    call = office.commands.parse(text, explicit=explicit)
    assert isinstance(call, Call)
    assert (call.command.name, call.argument) == (name, argument)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "status of the project?",
        "help me with the VPN",
        "helpdesk",
        "stop the press!",
        "channel answer",
        "channel answer sometimes",
        "channel sources are bad, what now?",
        "channel on which floor?",
        "how do I stop",
    ],
)
def test_questions_that_begin_like_commands_stay_questions(office: Office, text: str) -> None:
    assert office.commands.parse(text, explicit=False) is None


@given(text=st.text(max_size=80), explicit=st.booleans())
def test_what_is_said_is_a_command_or_not_and_never_an_accident(text: str, *, explicit: bool) -> None:
    found = Commands([]).parse(text, explicit=explicit)
    assert isinstance(found, Call | UsageError) or not explicit


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "stauts",
            (
                "There is no command `stauts`, perhaps you mean `status`; "
                "there are `help`, `channel`, `status` and `stop`."
            ),
        ),
        (
            "xyzzy now",
            (
                "There is no command `xyzzy` (to ask something, mention me or write to me directly); "
                "there are `help`, `channel`, `status` and `stop`."
            ),
        ),
        ("help me", "I do not understand `help me`; it should be `help`."),
        (
            "Channel answer sometimes",
            (
                "I do not understand `Channel answer sometimes`; "
                "it should be `channel answer mention|thread|question`."
            ),
        ),
        (
            "channel persona",
            "I do not understand `channel persona`; it should be `channel persona TEXT|none`.",
        ),
        (
            "channel `x`",
            (
                "I do not understand `channel 'x'`; it should be `channel`, `channel on`, `channel off`, "
                "`channel answer mention|thread|question`, `channel persona TEXT|none`, "
                "`channel language NAME|none` or `channel sources NAME[, NAME …]|all`."
            ),
        ),
    ],
)
async def test_a_wrong_command_gets_one_sentence_with_the_right_form(
    office: Office, text: str, said: str
) -> None:
    assert await office.say(text) == said


async def test_only_the_beginning_of_a_long_text_is_repeated(office: Office) -> None:
    assert len(await office.say("x" * 5000)) < 250


async def test_help_lists_what_the_asker_may_use(office: Office) -> None:
    told = await office.say("help", is_admin=False)
    assert "`help`" in told
    assert "`stop`" in told
    assert "channel" not in told
    told = await office.say("", is_admin=True)
    assert "- `channel sources NAME[, NAME …]|all`: what I search here" in told
    assert "`status`" in told


@pytest.mark.parametrize("text", ["status", "channel", "channel off", "channel persona none"])
async def test_admins_commands_are_for_admins(office: Office, text: str) -> None:
    told = await office.say(text, is_admin=False)
    assert told.endswith("is for admins; one of them can do it for you, or add slack:U1 to policy.admins.")
    assert office.place == PlaceSettings()


async def test_stop_says_whether_there_was_anything_to_stop(office: Office) -> None:
    office.running.append(MESSAGE)
    assert await office.say("stop", is_admin=False) == "Stopped."
    assert "nothing to stop" in await office.say("stop", is_admin=False)


async def test_status(office: Office) -> None:
    assert await office.say("status") == (
        "- model: smollm2\n"
        "- questions: 2 being answered, 3 waiting\n"
        "- source `handbook`: 12 documents, 3,456 passages\n"
        "- source `wiki`: 0 documents, 0 passages\n"
        "- jobs: none has run yet\n"
        f"{ELSEWHERE}"
    )
    office.status = replace(office.status, sources={})
    assert "documents: none yet" in await office.say("status")


async def test_channel_shows_how_the_bot_behaves_here(office: Office) -> None:
    assert await office.say("channel") == (
        "- I answer here: to my name, and to what follows in my threads (`thread`)\n"
        "- persona: none\n"
        "- language: that of the question\n"
        "- sources: all"
    )
    office.places.put(
        "slack",
        "C1",
        PlaceSettings(enabled=False, persona="A pirate", language="Latin", sources=("wiki",)),
        by="slack:U9",
    )
    assert await office.say("channel") == (
        "- I answer here: not at all (`channel on` changes that)\n"
        "- persona: A pirate\n"
        "- language: Latin\n"
        "- sources: `wiki`"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("channel off", PlaceSettings(enabled=False)),
        ("channel answer QUESTION", PlaceSettings(answer="question")),
        ("channel answer mention", PlaceSettings(answer="mention")),
        ("channel persona Speaks \n like a pirate", PlaceSettings(persona="Speaks like a pirate")),
        ("channel language Français", PlaceSettings(language="Français")),
        ("channel sources wiki", PlaceSettings(sources=("wiki",))),
        ("channel sources Wiki,handbook , wiki", PlaceSettings(sources=("wiki", "handbook"))),
    ],
)
async def test_what_is_set_holds_and_is_shown(office: Office, text: str, expected: PlaceSettings) -> None:
    told = await office.say(text)
    assert office.place == expected
    assert told == await office.say("channel")
    assert office.places.get("slack", "C2") == PlaceSettings()


async def test_everything_can_be_unset_again(office: Office) -> None:
    full = PlaceSettings(enabled=False, answer="mention", persona="x", sources=("wiki",), language="Latin")
    office.places.put("slack", "C1", full, by="slack:U9")
    for text in ("on", "answer thread", "persona none", "language None", "sources all"):
        await office.say(f"channel {text}")
    assert office.place == PlaceSettings()


async def test_one_setting_leaves_the_others_alone(office: Office) -> None:
    await office.say("channel persona A pirate")
    await office.say("channel language Latin")
    await office.say("channel off")
    assert office.place == PlaceSettings(enabled=False, persona="A pirate", language="Latin")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("channel sources handbok", "There is no source `handbok`; the sources are `handbook` and `wiki`."),
        (
            "channel sources wiki, secret",
            "There is no source `secret`; the sources are `handbook` and `wiki`.",
        ),
        (
            f"channel persona {'x' * 501}",
            f"A persona has at most {LONGEST_PERSONA} characters, this one has 501; make it shorter.",
        ),
        (
            f"channel language {'x' * 41}",
            "A language has at most 40 characters, this one has 41; make it shorter.",
        ),
    ],
)
async def test_what_cannot_be_set_changes_nothing_and_says_why(office: Office, text: str, said: str) -> None:
    assert await office.say(text) == said
    assert office.place == PlaceSettings()


async def test_a_channel_that_searches_a_source_names_it_only_where_all_may_see_it(office: Office) -> None:
    assert (await office.say("channel sources wiki, board")).endswith("- sources: `wiki`")
    assert "board" not in await office.say("channel on")


async def test_without_sources_there_is_none_to_choose(engine: sa.Engine) -> None:
    commands = Commands(channel_commands(Places(engine), source_names=list, visible_to={}))
    call = commands.parse("channel sources wiki", explicit=True)
    assert isinstance(call, Call)
    told = await commands.run(call, MESSAGE, is_admin=True)
    assert told.markdown == "There is no source `wiki`; `sources` shows which there are."


async def test_more_commands_can_be_added() -> None:
    async def run(request: Request) -> str:
        if request.argument == "never":
            raise UsageError("Never is not a day.")
        return f"{request.message.person} reindexes {request.argument}"

    commands = Commands([Command(name="reindex", about="read a source again", run=run, argument="[a-z]+")])
    call = commands.parse("reindex wiki", explicit=False)
    assert isinstance(call, Call)
    assert (await commands.run(call, MESSAGE, is_admin=False)).markdown == "slack:U1 reindexes wiki"
    told = await commands.run(replace(call, argument="never"), MESSAGE, is_admin=False)
    assert told.markdown == "Never is not a day."
    assert "`reindex [a-z]+`" in str(commands.parse("reindex", explicit=True))
