"""What is said in channels becomes documents, stays as new as it is, and goes when it is deleted."""

import copy
import logging
import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knowledge.errors import SourceError
from knowledge.sources import history
from knowledge.sources.chat.messages import BusyError
from knowledge.sources.chat.store import LONGEST, Kept
from tests.knowledge.sources.chat.platform import Platform, source, texts

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def test_a_thread_is_a_document_with_its_link_and_who_said_what(tmp_path: Path) -> None:
    chat = Platform()
    root = chat.say("How do I roll back production?")
    chat.say("`loftctl rollback`", by="Bob", below=root)
    (file,) = source(chat, tmp_path).files()
    assert file.uri == "https://chat.example/C1/1"
    assert file.path == "C1/1.md"
    assert file.metadata == {"date": "2026-11-16T09:00:02+00:00", "author": "Ada"}
    assert file.local.read_text() == (
        "# How do I roll back production?\n\n#general, 16 November 2026\n\n"
        "**Ada** (09:00): How do I roll back production?\n\n**Bob** (09:00): `loftctl rollback`\n"
    )


def test_messages_outside_of_threads_are_talks(tmp_path: Path) -> None:
    chat = Platform()
    chat.say("The lift is broken.")
    chat.say("Again?", by="Bob")
    chat.say("The lift works.", later=2 * HOUR)
    first, second = source(chat, tmp_path).files()
    assert (first.uri, second.uri) == ("https://chat.example/C1/1", "https://chat.example/C1/3")
    assert "Again?" in first.local.read_text()
    assert "The lift works." in second.local.read_text()


def test_nothing_new_is_one_listing_of_the_last_weeks(tmp_path: Path) -> None:
    chat = Platform()
    root = chat.say("old")
    chat.say("answer", below=root)
    chat.now += 8 * DAY
    chat.say("new")
    one = source(chat, tmp_path)
    before = one.files()
    chat.asked.clear()
    chat.now += timedelta(minutes=15)
    assert one.files() == before
    assert chat.asked == ["channel C1", "listed 10-26"]


def test_a_new_answer_has_its_thread_read(tmp_path: Path) -> None:
    chat = Platform()
    root = chat.say("question")
    chat.say("first", below=root)
    other = chat.say("other question")
    chat.say("other answer", below=other)
    chat.now += HOUR
    one = source(chat, tmp_path)
    one.files()
    chat.asked.clear()
    chat.say("second", below=root)
    assert "second" in "".join(texts(one.files()))
    assert "thread 1" in chat.asked
    assert "thread 3" not in chat.asked


@pytest.mark.parametrize("apart", [False, True])
def test_what_is_deleted_is_gone_with_the_next_reading(tmp_path: Path, apart: bool) -> None:
    chat = Platform(apart=apart)
    alone = chat.say("a secret")
    root = chat.say("question", later=HOUR)
    chat.say("rash answer", below=root)
    last = chat.say("good answer", below=root)
    one = source(chat, tmp_path)
    assert len(one.files()) == 2
    chat.delete(alone)
    chat.delete("3")
    chat.now += timedelta(minutes=15)
    (file,) = one.files()
    assert "rash" not in file.local.read_text()
    chat.delete(last)
    chat.delete(root)
    chat.now += timedelta(minutes=15)
    if not apart:  # else the thread is not listed any more, and found to be gone when it is due
        assert one.files() == []
    chat.now += LONGEST
    assert one.files() == []
    assert not list(tmp_path.glob("*/*.md"))
    assert b"secret" not in (tmp_path / "messages.db").read_bytes()
    assert b"rash" not in (tmp_path / "messages.db").read_bytes()


def test_deletions_and_answers_of_the_last_weeks_are_found_with_the_next_reading(tmp_path: Path) -> None:
    chat = Platform()
    alone = chat.say("a secret")
    root = chat.say("question", later=HOUR)
    rash = chat.say("rash answer", below=root)
    chat.say("good answer", below=root)
    other = chat.say("other question", later=HOUR)
    chat.say("other answer", below=other)
    chat.now += 20 * DAY
    one = source(chat, tmp_path)
    one.files()
    chat.delete(alone)
    chat.delete(rash)
    chat.say("late answer", below=other)
    chat.now += timedelta(minutes=15)
    text = "".join(texts(one.files()))
    assert "late answer" in text
    assert "secret" not in text
    assert "rash" not in text


def test_an_edit_in_an_old_thread_is_found_within_a_week(tmp_path: Path) -> None:
    chat = Platform()
    root = chat.say("question")
    answer = chat.say("ask Ben", below=root)
    chat.now += 30 * DAY
    one = source(chat, tmp_path)
    one.files()
    chat.edit(answer, "ask Carla")
    chat.now += LONGEST
    (text,) = texts(one.files())
    assert "ask Carla" in text
    assert "Ben" not in text


def test_a_message_that_is_answered_becomes_a_thread_in_its_place(tmp_path: Path) -> None:
    chat = Platform()
    root = chat.say("question")
    one = source(chat, tmp_path)
    (before,) = one.files()
    answer = chat.say("answer", below=root, by="Bob")
    (after,) = one.files()
    assert (after.path, after.uri) == (before.path, before.uri)
    assert "answer" in after.local.read_text()
    chat.delete(answer)
    (again,) = one.files()
    assert again.path == before.path
    assert "Bob" not in again.local.read_text()


def test_bots_and_people_who_are_left_out(tmp_path: Path) -> None:
    chat = Platform()
    chat.say("build failed", by="ci", bot=True)
    chat.say("mine alone", by="Eve")
    chat.say("for all")
    assert "build" not in "".join(texts(source(chat, tmp_path).files()))
    both = "".join(texts(source(chat, tmp_path, bots=True).files()))
    assert "build failed" in both
    assert "mine alone" in both
    fewer = "".join(texts(source(chat, tmp_path, leave_out=["EVE"]).files()))
    assert "for all" in fewer
    assert "build" not in fewer
    assert "mine" not in fewer
    assert b"mine alone" not in (tmp_path / "messages.db").read_bytes()


def test_what_is_older_than_wanted_is_left_out_and_goes(tmp_path: Path) -> None:
    chat = Platform()
    root = chat.say("very old")
    chat.say("and answered", below=root)
    chat.say("old")
    chat.now += 60 * DAY
    chat.say("new")
    one = source(chat, tmp_path, days=90)
    assert len(one.files()) == 3
    chat.now += 45 * DAY
    (text,) = texts(one.files())
    assert "new" in text


def test_a_channel_that_cannot_be_read_is_named_and_shows_nothing(tmp_path: Path) -> None:
    chat = Platform(channels={"C1": "#general", "C2": "#board"})
    chat.say("public")
    chat.say("confidential", channel="C2")
    one = source(chat, tmp_path, "C1", "C2")
    assert len(one.files()) == 2
    del chat.channels["C2"]
    general, board = one.files()
    assert "public" in general.local.read_text()
    assert (board.path, board.problem) == ("C2.md", "I am not a member; invite me")
    assert b"confidential" not in (tmp_path / "messages.db").read_bytes()
    chat.channels["C2"] = "#board"
    assert len(texts(one.files())) == 2


def test_a_channel_that_is_not_wanted_any_more_is_forgotten_and_the_others_are_kept(tmp_path: Path) -> None:
    chat = Platform(channels={"C1": "#general", "C2": "#board"})
    chat.say("public")
    chat.say("confidential", channel="C2")
    source(chat, tmp_path, "C1", "C2").files()
    chat.asked.clear()
    (file,) = source(chat, tmp_path, "C1").files()
    assert file.path == "C1/1.md"
    assert chat.asked == ["channel C1", "listed 10-19"]
    assert [path.name for path in tmp_path.glob("*/*.md")] == ["1.md"]


def test_without_time_the_newest_is_read_first_and_the_rest_by_the_next_readings(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    chat = Platform()
    for number in range(4):
        chat.say(f"week {number}")
        chat.now += 7 * DAY
    chat.now -= 7 * DAY
    one = source(chat, tmp_path, seconds=0.0, days=28)
    found = []
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            found.append(len(one.files()))
            chat.now += timedelta(minutes=15)
    assert found == [2, 3, 4, 4, 4]
    assert "not read to its beginning yet" in caplog.text


def test_a_platform_that_is_busy_ends_the_reading_and_loses_nothing(tmp_path: Path) -> None:
    chat = Platform()
    chat.say("before")
    one = source(chat, tmp_path)
    before = one.files()
    chat.say("after", later=HOUR)
    chat.trouble = BusyError("Too many requests.")
    assert one.files() == before
    chat.trouble = None
    assert len(one.files()) == 2


def test_a_platform_that_cannot_be_reached_changes_nothing(tmp_path: Path) -> None:
    chat = Platform()
    chat.say("before")
    one = source(chat, tmp_path)
    before = one.files()
    chat.trouble = SourceError("Source 'chat': no network.")
    with pytest.raises(SourceError, match="no network"):
        one.files()
    chat.trouble = None
    assert one.files() == before


def test_a_channel_that_is_refused_costs_the_others_nothing_and_keeps_its_documents(tmp_path: Path) -> None:
    chat = Platform(channels={"C1": "#general", "C2": "#board"})
    secret = chat.say("a secret")
    chat.say("harmless", later=HOUR)
    chat.say("decided", channel="C2")
    one = source(chat, tmp_path, "C2", "C1")
    one.files()
    chat.delete(secret)
    chat.refused["C2"] = SourceError("Source 'chat': Slack refuses this; run `parley doctor`.")
    found = one.files()
    assert [(file.path, file.problem) for file in found] == [
        ("C2", "Slack refuses this; run `parley doctor`"),
        ("C2/3.md", ""),
        ("C1/2.md", ""),
    ]
    assert "secret" not in "".join(texts(found))
    del chat.refused["C2"]
    assert [file.path for file in one.files()] == ["C2/3.md", "C1/2.md"]


def test_when_every_channel_is_refused_nothing_is_concluded(tmp_path: Path) -> None:
    chat = Platform(channels={"C1": "#general", "C2": "#board"})
    chat.refused = {channel: SourceError(f"Source 'chat': no {channel}.") for channel in chat.channels}
    with pytest.raises(SourceError, match=r"'chat': no C1\."):
        source(chat, tmp_path, "C1", "C2").files()


def test_without_time_a_refusal_is_not_asked_for_again(tmp_path: Path) -> None:
    chat = Platform(channels={"C1": "#general", "C2": "#board", "C3": "#kitchen"})
    chat.refused = {"C2": SourceError("no network.")}
    files = source(chat, tmp_path, "C1", "C2", "C3", seconds=0.0).files()
    assert [(file.path, file.problem) for file in files] == [("C2", "no network"), ("C3", "no network")]
    assert "channel C3" not in chat.asked


def test_a_platform_that_is_busy_at_connecting_says_so(tmp_path: Path) -> None:
    chat = Platform(offline=BusyError("Slack takes no more of auth.test for 90 s."))
    with pytest.raises(
        SourceError,
        match=r"^Source 'chat': Slack takes no more of auth.test for 90 s\. The next reading tries",
    ):
        source(chat, tmp_path).files()


def test_a_file_that_cannot_be_written_is_an_error_of_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(Kept, "put", full)
    with pytest.raises(OSError, match="database or disk is full") as caught:
        source(Platform(), tmp_path).files()
    assert caught.value.filename == str(tmp_path / "messages.db")


def test_a_long_thread_is_read_to_its_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "LONGEST_THREAD", 3)
    chat = Platform()
    root = chat.say("question")
    for number in range(5):
        chat.say(f"answer {number}", below=root)
    (text,) = texts(source(chat, tmp_path).files())
    assert "answer 1" in text
    assert "answer 2" not in text


def test_the_name_of_a_thread_is_its_title(tmp_path: Path) -> None:
    chat = Platform(apart=True, titles={"1": "Rolling back"})
    root = chat.say("How?")
    chat.say("So.", below=root)
    one = source(chat, tmp_path)
    assert texts(one.files())[0].startswith("# Rolling back\n")
    chat.titles["1"] = "Rolling forward"
    assert texts(one.files())[0].startswith("# Rolling forward\n")


def test_a_damaged_file_is_begun_anew(tmp_path: Path) -> None:
    chat = Platform()
    chat.say("said")
    one = source(chat, tmp_path)
    before = one.files()
    (tmp_path / "messages.db").write_bytes(b"not a database" * 1000)
    assert one.files() == before


@st.composite
def lives(draw: st.DrawFn) -> list[tuple[str, int, int]]:
    """What people do, and whether a reading follows: an action, which message, minutes."""
    action = st.sampled_from(["say", "answer", "edit", "delete", "read", "leave"])
    return draw(
        st.lists(st.tuples(action, st.integers(0, 9), st.sampled_from([1, 40, 600, 3_000])), max_size=25)
    )


@settings(max_examples=40, deadline=None)
@given(life=lives(), apart=st.booleans())
def test_after_a_while_the_documents_are_those_of_a_first_reading(
    tmp_path_factory: pytest.TempPathFactory, life: list[tuple[str, int, int]], apart: bool
) -> None:
    chat = Platform(apart=apart)
    kept = source(chat, tmp_path_factory.mktemp("kept"), days=90)
    for action, which, minutes in life:
        chat.now += timedelta(minutes=minutes)
        present = list(chat.said)
        number = present[which % len(present)] if present else ""
        if action == "say" or not number:
            chat.say(f"word {which}", by="Ada" if which % 2 else "Bob")
        elif action == "answer":
            chat.say(f"answer {which}", below=chat.where[number][1] or number)
        elif action == "edit":
            chat.edit(number, f"changed {which}")
        elif action == "delete":
            chat.delete(number)
        elif action == "read":
            kept.files()
        else:
            chat.trouble = BusyError("Not now.")
            kept.files()
            chat.trouble = None
    for _ in range(2):  # what is due is found, and then what that shows
        chat.now += LONGEST
        found = kept.files()
    fresh = source(copy.deepcopy(chat), tmp_path_factory.mktemp("fresh"), days=90).files()
    assert texts(found) == texts(fresh)
    assert [(file.path, file.uri, file.metadata) for file in found] == [
        (file.path, file.uri, file.metadata) for file in fresh
    ]
