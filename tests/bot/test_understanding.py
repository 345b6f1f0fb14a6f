from collections.abc import Sequence
from datetime import date

import pytest

from bot.messages import Said
from bot.understanding import Understood, understand
from knowledge.errors import FilterError
from tests.bot.conftest import FakeSearch

LEAVE = "how much paid leave do full-time employees get"


def understood(
    search: FakeSearch, question: str, earlier: Sequence[str] = (), *, said: Sequence[str] = ()
) -> Understood:
    return understand(
        search,
        question,
        earlier=earlier,
        sources=frozenset({"handbook", "legal"}),
        context=[Said("Ann", one) for one in said],
        today=date(2026, 3, 31),
    )


def test_a_question_is_searched_without_its_filters(search: FakeSearch) -> None:
    found = understood(search, f"in:handbook {LEAVE}")
    assert (found.text, found.query, set(found.where.sources)) == (LEAVE, LEAVE, {"handbook"})


def test_a_follow_up_keeps_the_filter_of_what_it_leans_on(search: FakeSearch) -> None:
    thread = [f"in:handbook {LEAVE}", "and part-timers?"]
    found = understood(search, "and interns?", thread)
    assert found.where.sources == {"handbook"}
    assert found.query == f"{LEAVE} and interns?"
    assert found.previous == LEAVE


def test_a_filter_given_on_the_way_holds_from_there_on(search: FakeSearch) -> None:
    thread = [f"in:handbook since:2026 {LEAVE}", "in:legal and part-timers?"]
    where = understood(search, "and interns?", thread).where
    assert (set(where.sources), where.after) == ({"legal"}, date(2026, 1, 1))


def test_a_question_that_stands_alone_begins_anew(search: FakeSearch) -> None:
    question = "Which command starts the tunnel on laptops"
    assert not understood(search, question, [f"in:handbook {LEAVE}"]).where


def test_a_filter_alone_asks_the_last_question_again(search: FakeSearch) -> None:
    found = understood(search, "in:legal", [f"in:handbook since:2026 {LEAVE}", "and part-timers?"])
    assert found.text == "and part-timers?"
    assert found.query == f"{LEAVE} and part-timers?"
    assert (set(found.where.sources), found.where.after) == ({"legal"}, date(2026, 1, 1))
    with pytest.raises(FilterError, match="beside the filter"):
        understood(search, "in:legal")


def test_an_earlier_source_that_is_gone_is_forgotten(search: FakeSearch) -> None:
    found = understood(search, "and interns?", [f"in:gone {LEAVE}"])
    assert not found.where
    assert found.query == f"{LEAVE} and interns?"


def test_filters_alone_one_after_the_other_ask_the_last_real_question(search: FakeSearch) -> None:
    asked = "How much leave do I get?"
    found = understand(
        search,
        "in:legal",
        earlier=[asked, "in:handbook since:2026"],
        sources=frozenset({"handbook", "legal"}),
    )
    assert (found.text, found.asked) == (asked, asked)
    assert found.where.sources == {"legal"}
    assert found.where.after is not None
    with pytest.raises(FilterError, match="beside the filter"):
        understand(search, "in:legal", earlier=["in:handbook"], sources=frozenset({"handbook", "legal"}))


def test_a_question_to_the_assistant_counts_once_also_with_a_filter(search: FakeSearch) -> None:
    asked = f"in:handbook {LEAVE}"
    found = understood(search, "and interns?", [asked], said=[f"@Parley {asked}", "Perfect, thanks a lot"])
    assert found.previous == LEAVE
    assert found.where.sources == {"handbook"}


def test_what_people_said_says_what_is_asked_for(search: FakeSearch) -> None:
    found = understood(
        search, "can somebody answer this?", said=["@Bob within how many days are receipts due?"]
    )
    assert found.asked == found.query == "within how many days are receipts due? can somebody answer this?"


def test_a_source_has_the_tags_of_the_settings(search: FakeSearch) -> None:
    search.source_tags = {"handbook": frozenset({"Policy"})}
    where = understood(search, "tag:policy who?").where
    assert [where.admits(chunk) for chunk in search.chunks] == [True] * len(search.chunks)
