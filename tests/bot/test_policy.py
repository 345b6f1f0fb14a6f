"""Who gets an answer, who gets a sentence, and what is passed over in silence."""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.config import PolicySettings
from bot.database import open_database
from bot.inbox import Inbox, Outcome
from bot.messages import Addressed, Attachment, IncomingMessage
from bot.places import Places, PlaceSettings, When
from bot.policy import Policy, Verdict, is_question
from bot.tables import metadata

_events = count()
NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
ASKED: tuple[Addressed, ...] = ("direct", "mention", "command", "shortcut")
OVERHEARD: tuple[Addressed, ...] = ("thread", "channel")


def said(text: str = "How many days of leave do I get?", **changes: Any) -> IncomingMessage:
    """Ann's question to the bot by name, in a channel of Slack."""
    values: dict[str, Any] = {
        "platform": "slack",
        "event_id": f"e{next(_events)}",
        "workspace_id": "T1",
        "conversation_id": "C1",
        "thread_id": "t1",
        "user_id": "U1",
        "addressed": "mention",
    }
    return IncomingMessage(text=text, **(values | changes))


class Office:
    """A policy with its stores, and a clock that the test sets."""

    def __init__(self, engine: sa.Engine) -> None:
        self.time = NOON
        self.places = Places(engine)
        self.inbox = Inbox(engine, now=lambda: self.time)

    def policy(self, **settings: Any) -> Policy:
        return Policy(PolicySettings(**settings), self.places, self.inbox, now=lambda: self.time)

    def judge(self, message: IncomingMessage, **settings: Any) -> Verdict:
        return self.policy(**settings).judge(message)

    def set(self, **settings: Any) -> PlaceSettings:
        place = PlaceSettings(**settings)
        self.places.put("slack", "C1", place, by="slack:U9")
        return place

    def receive(self, message: IncomingMessage, outcome: Outcome | None = "answered") -> None:
        self.inbox.accept(message)
        if outcome:
            self.inbox.finish(message.turn_id, outcome)


@pytest.fixture
def office(engine: sa.Engine) -> Office:
    return Office(engine)


@pytest.mark.parametrize("addressed", ASKED)
def test_who_asks_is_answered_as_the_place_wants_it(office: Office, addressed: Addressed) -> None:
    place = office.set(persona="a pirate")
    verdict = office.judge(said(addressed=addressed))
    assert verdict == Verdict(kind="answer", place=place)


@pytest.mark.parametrize("addressed", [*ASKED, *OVERHEARD])
def test_bots_are_not_answered_unless_they_are_listed(office: Office, addressed: Addressed) -> None:
    office.set(answer="question")
    message = said(by_bot=True, user_id="B1", addressed=addressed)
    assert office.judge(message).kind == "ignore"
    assert office.judge(message, bots=("slack:B2", "discord:B1")).kind == "ignore"
    assert office.judge(message, bots=("slack:B1",)).kind == "answer"


LISTS = [
    ({"workspaces": ("slack:T2", "discord:T1")}, "slack:T1 to policy.workspaces"),
    ({"channels": ("slack:C2", "discord:C1")}, "slack:C1 to policy.channels"),
    ({"people": ("slack:U2", "discord:U1")}, "slack:U1 to policy.people"),
]


@pytest.mark.parametrize(("settings", "fix"), LISTS)
def test_who_is_not_listed_is_told_who_can_change_that(
    office: Office, settings: dict[str, Any], fix: str
) -> None:
    verdict = office.judge(said(), **settings)
    assert verdict.kind == "refuse"
    assert "an admin of Parley can add " + fix in verdict.sentence
    assert verdict.sentence.count(". ") == 0


@pytest.mark.parametrize(("settings", "_fix"), LISTS)
@pytest.mark.parametrize("addressed", OVERHEARD)
def test_the_lists_are_silent_about_what_was_not_said_to_the_bot(
    office: Office, settings: dict[str, Any], _fix: str, addressed: Addressed
) -> None:
    office.set(answer="question")
    office.receive(said())
    assert office.judge(said(addressed=addressed)).kind == "answer"
    assert office.judge(said(addressed=addressed), **settings) == Verdict(
        kind="ignore", place=PlaceSettings(answer="question")
    )


def test_who_is_listed_is_answered(office: Office) -> None:
    verdict = office.judge(
        said(), workspaces=("slack:T1",), channels=("slack:C0", "slack:C1"), people=("slack:U1",)
    )
    assert verdict.kind == "answer"


def test_the_list_of_channels_does_not_hold_for_direct_messages(office: Office) -> None:
    assert office.judge(said(addressed="direct"), channels=("slack:C2",)).kind == "answer"


def test_a_conversation_without_a_workspace_is_no_way_around_the_list(office: Office) -> None:
    verdict = office.judge(
        said(platform="discord", workspace_id="", addressed="direct"), workspaces=("discord:1",)
    )
    assert verdict.kind == "refuse"
    assert "discord:" not in verdict.sentence


@pytest.mark.parametrize("platform", ["console", "web"])
def test_platforms_without_workspaces_need_none(office: Office, platform: str) -> None:
    message = said(platform=platform, workspace_id="", addressed="direct")
    assert office.judge(message, workspaces=("slack:T1",)).kind == "answer"


def test_nobody_is_kept_out_of_their_own_terminal(office: Office) -> None:
    message = said(platform="console", workspace_id="", addressed="direct")
    assert office.judge(message, people=("slack:U1",)).kind == "answer"
    assert office.judge(said(platform="web"), people=("slack:U1",)).kind == "refuse"


def test_a_place_that_is_switched_off_says_how_to_switch_it_on(office: Office) -> None:
    place = office.set(enabled=False, answer="question")
    office.receive(said())
    for addressed in ASKED:
        verdict = office.judge(said(addressed=addressed))
        assert verdict.kind == "refuse"
        assert "`channel on`" in verdict.sentence
        assert verdict.place == place
    for addressed in OVERHEARD:
        assert office.judge(said(addressed=addressed)).kind == "ignore"


def test_what_is_said_in_other_threads_is_none_of_the_bots_business(office: Office) -> None:
    assert office.judge(said(addressed="thread")).kind == "ignore"


@pytest.mark.parametrize(
    ("when", "kind"), [("mention", "ignore"), ("thread", "answer"), ("question", "answer")]
)
def test_a_follow_up_needs_no_mention_unless_the_place_wants_it(
    office: Office, when: When, kind: str
) -> None:
    office.set(answer=when)
    office.receive(said())
    verdict = office.judge(said("and for part-timers?", addressed="thread"))
    assert (verdict.kind, verdict.overheard) == (kind, False)
    assert office.judge(said("and for part-timers", addressed="thread", thread_id="t2")).kind == "ignore"


@pytest.mark.parametrize(
    "text",
    [
        "<@U2> what do you think?",
        "  <@U2|ben>: can you help?",
        "<!subteam^S1|@hr> is that so?",
        "<@!123> do you know?",
        "<@&99> who knows?",
        "Thanks <@W2>, can you look?",
    ],
)
@pytest.mark.parametrize("addressed", OVERHEARD)
def test_what_is_said_to_somebody_else_is_left_to_them(
    office: Office, text: str, addressed: Addressed
) -> None:
    office.set(answer="question")
    office.receive(said())
    assert office.judge(said(text, addressed=addressed)).kind == "ignore"
    assert office.judge(said(text)).kind == "answer"


@pytest.mark.parametrize(
    ("text", "overheard"), [("Why?", False), ("How is that for part-timers", False), ("Thanks a lot!", True)]
)
def test_what_asks_nothing_in_a_thread_is_answered_only_when_there_is_an_answer(
    office: Office, text: str, overheard: bool
) -> None:
    office.receive(said())
    verdict = office.judge(said(text, addressed="thread"))
    assert (verdict.kind, verdict.overheard) == ("answer", overheard)


def test_others_may_be_mentioned_within_a_follow_up(office: Office) -> None:
    office.receive(said())
    assert office.judge(said("does that hold for <@U2> too", addressed="thread")).kind == "answer"


@pytest.mark.parametrize(
    ("when", "kind"), [("mention", "ignore"), ("thread", "ignore"), ("question", "answer")]
)
def test_questions_said_in_a_channel_are_answered_where_that_is_wanted(
    office: Office, when: When, kind: str
) -> None:
    office.set(answer=when)
    for addressed in OVERHEARD:
        verdict = office.judge(said("How many days of leave do I get?", addressed=addressed))
        assert (verdict.kind, verdict.overheard) == (kind, kind == "answer")
    assert office.judge(said("The build is green again", addressed="channel")).kind == "ignore"


@pytest.mark.parametrize("addressed", ["direct", "mention", "shortcut"])
def test_who_says_nothing_is_told_how_to_ask(office: Office, addressed: Addressed) -> None:
    verdict = office.judge(said(" \n", addressed=addressed))
    assert verdict.kind == "refuse"
    assert "Ask me anything" in verdict.sentence


def test_a_file_alone_says_enough(office: Office) -> None:
    file = Attachment(name="a.pdf", size=3, url="https://files.example/a.pdf")
    assert office.judge(said("", attachments=(file,))).kind == "answer"


def test_saying_nothing_in_a_thread_is_nothing(office: Office) -> None:
    office.set(answer="question")
    office.receive(said())
    assert office.judge(said("", addressed="thread")).kind == "ignore"
    assert office.judge(said("", addressed="channel")).kind == "ignore"


def test_a_command_without_words_asks_for_the_list_of_commands(office: Office) -> None:
    assert office.judge(said("", addressed="command")).kind == "answer"


def test_who_asks_too_often_is_told_when_to_go_on(office: Office) -> None:
    office.time = NOON - timedelta(minutes=48)
    office.receive(said(conversation_id="C7"))
    office.time = NOON - timedelta(minutes=10)
    office.receive(said())
    office.time = NOON
    assert office.judge(said(), person_per_hour=3).kind == "answer"
    verdict = office.judge(said(), person_per_hour=2)
    assert verdict.kind == "refuse"
    assert (
        verdict.sentence == "You have asked 2 questions in the last hour; please go on in about 13 minutes."
    )
    assert "1 question in the last hour; please go on in about 51 minutes" in (
        office.judge(said(), person_per_hour=1).sentence
    )
    assert office.judge(said(user_id="U2"), person_per_hour=2).kind == "answer"
    assert office.judge(said(platform="discord"), person_per_hour=2).kind == "answer"
    office.time = NOON + timedelta(minutes=13)
    assert office.judge(said(), person_per_hour=2).kind == "answer"


def test_a_place_has_a_limit_of_its_own_unless_it_is_one_persons(office: Office) -> None:
    for user in ("U2", "U3"):
        office.receive(said(user_id=user))
    verdict = office.judge(said(), place_per_hour=2)
    assert verdict.kind == "refuse"
    assert verdict.sentence.startswith("2 questions came from here in the last hour; please go on in about ")
    assert office.judge(said(conversation_id="C2"), place_per_hour=2).kind == "answer"
    assert office.judge(said(addressed="direct"), place_per_hour=2).kind == "answer"


@pytest.mark.parametrize("outcome", ["refused", "command"])
def test_what_was_no_question_does_not_count(office: Office, outcome: Outcome) -> None:
    office.receive(said(), outcome)
    assert office.judge(said(), person_per_hour=1).kind == "answer"


def test_after_a_restart_there_are_no_limits_of_rate(office: Office) -> None:
    message = said()
    office.receive(message, None)
    policy = office.policy(person_per_hour=1, place_per_hour=1)
    assert policy.judge(message).kind == "refuse"
    assert policy.judge(message, again=True).kind == "answer"


def test_a_limit_is_told_to_who_goes_on_in_a_thread_but_not_to_who_only_was_overheard(office: Office) -> None:
    office.set(answer="question")
    office.receive(said())
    assert office.judge(said(addressed="thread"), person_per_hour=1).kind == "refuse"
    assert office.judge(said(addressed="thread", thread_id="t2"), person_per_hour=1).kind == "ignore"
    assert office.judge(said(addressed="channel"), person_per_hour=1).kind == "ignore"


@settings(max_examples=40)
@given(st.lists(st.floats(0.001, 3599), min_size=1, max_size=5), st.integers(1, 5))
def test_who_comes_back_when_told_to_is_answered(ages: list[float], limit: int) -> None:
    engine = open_database("sqlite://")
    try:
        metadata.create_all(engine)
        office = Office(engine)
        for age in ages:
            office.time = NOON - timedelta(seconds=age)
            office.receive(said())
        office.time = NOON
        verdict = office.judge(said(), person_per_hour=limit)
        assert (verdict.kind == "refuse") == (len(ages) >= limit)
        if verdict.kind == "refuse":
            told = verdict.sentence.removesuffix(".").replace("a minute", "1 minutes").split()[-2]
            office.time = NOON + timedelta(minutes=int(told))
            assert office.judge(said(), person_per_hour=limit).kind == "answer"
            office.time -= timedelta(minutes=1, microseconds=1)
            assert office.judge(said(), person_per_hour=limit).kind == "refuse"
    finally:
        engine.dispose()


def test_admins_are_those_of_the_platform_those_of_the_settings_and_who_sits_at_the_terminal(
    office: Office,
) -> None:
    policy = office.policy(admins=("slack:U9",))
    assert not policy.is_admin(said())
    assert not policy.is_admin(said(platform="discord", user_id="U9"))
    assert policy.is_admin(said(user_id="U9"))
    assert policy.is_admin(said(by_admin=True))
    assert policy.is_admin(said(platform="console"))


def test_who_is_an_admin_elsewhere_is_none_here(office: Office) -> None:
    policy = office.policy(admins=("slack:U9",), workspaces=("slack:T1",))
    assert policy.is_admin(said(by_admin=True, workspace_id="T1"))
    assert not policy.is_admin(said(by_admin=True, workspace_id="T2"))
    assert not policy.is_admin(said(by_admin=True, workspace_id=""))
    assert policy.is_admin(said(user_id="U9", workspace_id="T2"))


@pytest.mark.parametrize(
    "text",
    [
        "How many days of leave do I get?",
        "how do I get access to the VPN",
        "Hi all, where is the travel policy",
        "Guten Morgen zusammen, wie beantrage ich Urlaub",
        "Ok so what's the limit for Munich",
        "does anyone know the door code",
        "Isn't the office closed on Friday",
        "Can we expense taxis",
        "anyone seen the new handbook",
        "I looked at the wiki. Is it still right? Thanks!",
        "Is `nestctl up` the right command?",
        "Why does https://wiki.example/a?b=1 say 404",
        "Have you read https://wiki.example/leave?",
        "wo finde ich das Formular",
        "Weiß jemand, wann das Büro öffnet",
        "Gibt es noch Parkplätze",
        "Dürfen wir Hunde mitbringen",
        ":wave: what is the wifi password",
        "> Is it open?\nwho said that",
        "Was gilt für Teilzeit？",
    ],
)
def test_questions_are_recognised(text: str) -> None:
    assert is_question(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "?",
        "Really?",
        "ok then?",
        "The build is green again",
        "What a great day!",
        "When I restarted the server it worked again",
        "Please read https://wiki.example/a?b=1 first",
        "see <https://wiki.example/?q=1|the wiki> for more",
        "I fixed it with `a ? b : c` in the end",
        "```\nwhat is this?\n```\nworks for me now",
        "> Is it open?\nyes it is, all day",
        "&gt; wo ist das?\ndas ist hier im Haus",
        "Danke, hat geklappt bei mir",
        "<@U2> is out of office today",
        "thanks everyone :tada:",
    ],
)
def test_what_is_no_question(text: str) -> None:
    assert not is_question(text)


@given(st.text())
def test_any_text_is_a_question_or_not(text: str) -> None:
    assert is_question(f"{text}\nwhat is the limit, please?") in {True, False}


@pytest.mark.parametrize("piece", ["`", "<a", "a-", "> ", "\n", "http://?", "hi ", ":a", " "])
def test_long_texts_are_judged_at_once(piece: str) -> None:
    is_question(piece * (40_000 // len(piece)))
