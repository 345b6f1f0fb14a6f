"""Every kind of claim, supported in its usual spellings and caught when it is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback.claims import unsupported


@pytest.mark.parametrize(
    ("answer", "source"),
    [
        ("Up to 1,200 EUR.", "limit: 1 200 EUR"),
        ("Up to 1.200 EUR.", "limit: 1200 EUR"),
        ("It is 2.50.", "2,5"),
        ("€140 per night [1].", "| Hotel | EUR | **140** |"),
        ("twelve days", "12 days"),
        ("twenty-five percent", "25 %"),
        ("two hundred and five", "205"),
        ("12 days", "twelve days"),
        ("By 1 March 2025 at 5 pm.", "2025-03-01, 17:00"),
        ("By March 1st.", "01.03.2025"),
        ("In March 2025.", "2025-03-01"),
        ("On Mondays.", "monday to friday: Monday"),
        ("Write to Help@Example.com.", "help@example.com"),
        ("See wiki.example.com.", "https://wiki.example.com/leave"),
        ("Use SEC-042.", "form SEC-042"),
        ("The VPN-Client's users", "vpn client users"),
        ("1. Ask.\n2. Wait.", "ask, wait"),
        ("Employees may. They Must.", "they must"),
    ],
)
def test_supported(answer: str, source: str) -> None:
    assert unsupported(answer, sources=[source], question="") == []


@pytest.mark.parametrize(
    ("answer", "source", "missing"),
    [
        ("2.5 EUR", "140 EUR", ["2.5"]),
        ("140 USD", "140 EUR", ["USD"]),
        ("20 days", "120 days, 1,020 days, 2020", ["20"]),
        ("By 2 March 2025", "2025-03-01, page 2", ["2 March 2025"]),
        ("At 5 pm.", "at 5 am", ["5 pm"]),
        ("Ask Dr. Weber.", "ask Dr. Wagner", ["Weber"]),
        ("fourteen days", "4 days", ["fourteen"]),
        ("Use SEC-043", "SEC-042, 43", ["SEC-043"]),
        ("See https://a.example/b", "https://a.example/c", ["https://a.example/b"]),
        ("It is in /etc/parley", "in /etc", ["/etc/parley"]),
        ("On Friday", "on Monday", ["Friday"]),
        ("Version 1.2.4", "1.2.3", ["1.2.4"]),
    ],
)
def test_unsupported(answer: str, source: str, missing: list[str]) -> None:
    assert unsupported(answer, sources=[source], question="") == missing


def test_the_question_counts() -> None:
    assert unsupported("In Munich: 140", sources=["140"], question="hotel in Munich?") == []


@given(st.text())
def test_a_text_supports_itself(text: str) -> None:
    assert unsupported(text, sources=[text], question="") == []


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_other_numbers_are_caught(said: int, known: int) -> None:
    found = unsupported(f"costs {said:,} units", sources=[f"costs {known} units"], question="")
    assert bool(found) == (said != known)
