from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.formats.properties import as_date, as_tags, as_text, properties


@pytest.mark.parametrize(
    ("value", "iso"),
    [
        ("2024-05-01", "2024-05-01"),
        ("2024-05-01T10:20:30Z", "2024-05-01T10:20:30+00:00"),
        ("2024-05-01 10:20", "2024-05-01T10:20:00"),
        ("2024-05-01T10:20:30.123456+02:00", "2024-05-01T10:20:30+02:00"),
        ("D:20240501102030+02'00'", "2024-05-01T10:20:30+02:00"),
        ("D:20240501102030Z00'00'", "2024-05-01T10:20:30+00:00"),
        ("D:20240501102030", "2024-05-01T10:20:30"),
        ("D:202405", "2024-05-01"),
        ("20240501", "2024-05-01"),
        ("20240501102030", "2024-05-01T10:20:30"),
        (1612011200, "2021-01-30T12:53:20+00:00"),
        ("1612011200123", "2021-01-30T12:53:20+00:00"),
        ("2024050110", ""),
        ("202405011020", ""),
        ("202405", ""),
        ("16120112", ""),
        ("0161201120", ""),
        ("21010101", ""),
        ("21000101", "2100-01-01"),
        ("2024/5/1", "2024-05-01"),
        ("2024-05", "2024-05-01"),
        ("Wed, 01 May 2024 10:20:30 +0200", "2024-05-01T10:20:30+02:00"),
        ("May 1, 2024", "2024-05-01"),
        ("1 May 2024", "2024-05-01"),
        (date(2024, 5, 1), "2024-05-01"),
        (datetime(2024, 5, 1, 10, tzinfo=UTC), "2024-05-01T10:00:00+00:00"),
        ("3/4/2024", ""),
        ("2024-13-01", ""),
        ("yesterday", ""),
        ("2024", ""),
        (None, ""),
        (["2024-05-01"], "2024-05-01"),
        ("version 2024 of the plan", ""),
    ],
)
def test_dates(value: object, iso: str) -> None:
    assert as_date(value) == iso


@given(
    st.text(max_size=70) | st.from_regex(r"[D:0-9+'Z/ -]{4,30}", fullmatch=True) | st.datetimes() | st.dates()
)
def test_a_date_is_iso_8601_or_nothing(value: object) -> None:
    found = as_date(value)
    if found:
        datetime.fromisoformat(found)


def test_tags() -> None:
    assert as_tags("travel; hotels, travel ,") == "travel, hotels"
    assert as_tags(["a", "b,c", 3, None]) == "a, b c, 3"
    assert as_tags(None) == ""


def test_texts() -> None:
    assert as_text([" Ada  L. ", {"name": "Bob"}, None]) == "Ada L., Bob"
    assert as_text({"x": 1}) == ""
    assert len(as_text("x" * 10_000)) == 500


def test_what_is_empty_is_left_out() -> None:
    assert properties(author=" ", date="soon", tags=[], to="Bob") == {"to": "Bob"}
