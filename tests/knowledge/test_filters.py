from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.documents import Chunk
from knowledge.errors import FilterError
from knowledge.filters import EVERYTHING, Filter, date_of, parse, tags_of, without_filters

TODAY = date(2026, 3, 31)
SOURCES = {"handbook": ["Policy"], "product-docs": [], "2025": []}


def parsed(question: str) -> tuple[str, Filter]:
    return parse(question, sources=SOURCES, today=TODAY)


def chunk(*, source: str = "handbook", **metadata: str) -> Chunk:
    return Chunk("c", "d", source, 0, "Title", "", "t.md", "text", metadata=metadata)


@pytest.mark.parametrize(
    ("question", "text", "sources"),
    [
        ("in:handbook how much leave?", "how much leave?", {"handbook"}),
        ("How much leave in:Handbook?", "How much leave?", {"handbook"}),
        ("how, in:handbook, is it done", "how, is it done", {"handbook"}),
        ("source:product-docs,handbook: which plans?", "which plans?", {"product-docs", "handbook"}),
        ("in:handbook in:“product-docs” plans", "plans", {"product-docs", "handbook"}),
        ("in:2025 plans", "plans", {"2025"}),
        ("first line\nin:handbook second", "first line\n second", {"handbook"}),
    ],
)
def test_sources_are_named_anywhere_in_a_question(question: str, text: str, sources: set[str]) -> None:
    assert parsed(question) == (
        text,
        Filter(frozenset(sources), source_tags={"handbook": frozenset({"policy"})}),
    )


@pytest.mark.parametrize(
    ("filters", "after", "before"),
    [
        ("after:2026-01", date(2026, 1, 1), None),
        ("since:2026", date(2026, 1, 1), None),
        ("since:31.12.2025", date(2025, 12, 31), None),
        ("since:2026/2/3", date(2026, 2, 3), None),
        ("before:2026-03-05", None, date(2026, 3, 5)),
        ("before:2026-03", None, date(2026, 3, 1)),
        ("until:2025-12", None, date(2026, 1, 1)),
        ("until:2026-03-05", None, date(2026, 3, 6)),
        ("on:2026-02-28", date(2026, 2, 28), date(2026, 3, 1)),
        ("during:2026-12", date(2026, 12, 1), date(2027, 1, 1)),
        ("in:2026-02", date(2026, 2, 1), date(2026, 3, 1)),
        ("since:7d", date(2026, 3, 24), None),
        ("since:2w", date(2026, 3, 17), None),
        ("since:1m", date(2026, 2, 28), None),
        ("since:2y", date(2024, 3, 31), None),
        ("since:yesterday", date(2026, 3, 30), None),
        ("on:today", date(2026, 3, 31), date(2026, 4, 1)),
        ("since:2025 since:2026 before:2027 until:2026-06", date(2026, 1, 1), date(2026, 7, 1)),
    ],
)
def test_days_and_halves_of_them(filters: str, after: date | None, before: date | None) -> None:
    text, where = parsed(f"what is new {filters}?")
    assert (text, where.after, where.before) == ("what is new?", after, before)


@pytest.mark.parametrize(
    "question",
    [
        "what is in: the box",
        "see https://wiki.example/in:handbook and in:https://wiki.example",
        "the train at 10:30, in:10:30 or after:10:30",
        "how does `in:handbook since:2026-01` work",
        "```\nin:handbook\n``` what is this",
        "a plug-in:handbook and (in:handbook)",
        "git tag:v1.2 is what",
        "before:lunch or after:10",
        "Handbook: since: 2026",
        "in:C++ code",
    ],
)
def test_ordinary_text_is_no_filter(question: str) -> None:
    text, where = parsed(question)
    assert text == question
    assert not where


def test_an_unknown_source_is_told_with_those_that_may_be_seen_nearest_first() -> None:
    with pytest.raises(FilterError, match=r"'handbok'.*one of: handbook, "):
        parsed("in:handbok how much leave?")
    with pytest.raises(FilterError, match=r"'legal', and no other one that I may use here"):
        parse("in:legal x", sources={}, today=TODAY)


@pytest.mark.parametrize("value", ["2026-13", "2026-02-30", "01/02/2026", "2026-0"])
def test_a_day_that_does_not_exist_is_told(value: str) -> None:
    with pytest.raises(FilterError, match=rf"'{value}' is no day .* 2026-01-31, 2026-01 or 2026"):
        parsed(f"since:{value} x")


def test_days_that_leave_nothing_are_told() -> None:
    with pytest.raises(FilterError, match=r"after 2026-05-01 and before 2026-01-01"):
        parsed("since:2026-05 before:2026-01 x")


def test_tags_are_those_of_the_document_and_of_its_source() -> None:
    text, where = parsed('tag:policy,HR tag:"Human  Resources" who?')
    assert text == "who?"
    assert where.tags == {"policy", "hr", "human resources"}
    own = "HR, human resources"
    assert where.admits(chunk(tags=own))
    assert not where.admits(chunk(tags="hr"))
    assert not where.admits(chunk(source="product-docs", tags=own))
    assert tags_of(chunk(tags=" A,,b ")) == {"a", "b"}


def test_a_document_without_a_day_is_left_out_where_days_are_asked_for() -> None:
    where = parsed("in:2026 x")[1]
    assert where.admits(chunk(date="2026-12-31T23:59:59+02:00"))
    assert not where.admits(chunk(date="2027-01-01"))
    assert not where.admits(chunk())
    assert EVERYTHING.admits(chunk())
    assert date_of(chunk(date="in spring")) is None


def test_a_later_filter_replaces_an_earlier_one_of_its_kind() -> None:
    earlier, later = parsed("in:handbook since:2025 x")[1], parsed("before:2026 tag:a x")[1]
    both = later.over(earlier)
    assert (set(both.sources), set(both.tags)) == ({"handbook"}, {"a"})
    assert (both.after, both.before) == (None, date(2026, 1, 1))
    assert EVERYTHING.over(earlier) == earlier


def test_what_was_searched_is_told_in_a_sentence() -> None:
    assert parsed("in:handbook,product-docs x")[1].sentence == "I looked only in handbook and product-docs."
    assert parsed("tag:b,a since:2026-01 in:handbook x")[1].sentence == (
        "I looked only in handbook, and there at what is tagged a and b, "
        "and there at what was changed on 2026-01-01 or later."
    )
    assert "on 2026-02-01." in parsed("on:2026-02-01 x")[1].sentence
    assert "from 2026-02-01 to 2026-02-28." in parsed("in:2026-02 x")[1].sentence
    assert not EVERYTHING.sentence


@given(
    st.lists(
        st.sampled_from(["in:handbook", "`", "```", "since:2026", "tag:a", "in: b", "?", "\n", "x, ", ":"])
    )
)
def test_what_is_left_has_no_filter_and_its_words_are_the_questions(parts: list[str]) -> None:
    question = " ".join(parts)
    rest = without_filters(question)
    assert parsed(question)[0] == rest
    if rest.count("`") == 0:
        assert without_filters(rest) == rest
    assert all(word in question.split() for word in rest.split())


@given(st.text())
def test_whatever_people_write_gives_a_question_or_a_sentence(text: str) -> None:
    sentence = "."
    try:
        parsed(text)
    except FilterError as error:
        sentence = str(error)
    assert sentence.endswith(".")


@given(st.dates(date(1990, 1, 1), date(2060, 1, 1)), st.integers(0, 999), st.sampled_from("dwmy"))
def test_so_long_ago_is_never_after_today(today: date, count: int, unit: str) -> None:
    try:
        where = parse(f"since:{count}{unit} x", sources={}, today=today)[1]
    except FilterError:
        assert (unit, count > 500) == ("y", True)
    else:
        assert where.after is not None
        assert where.after <= today
