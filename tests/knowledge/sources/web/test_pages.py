"""The day of a page's last change."""

import pytest

from knowledge.sources.web.pages import Page

FETCHED = 1_767_323_100.0
"""2026-01-02 03:05 UTC."""


def page(*, modified: str = "", changed: str = "", checked: float = FETCHED) -> Page:
    return Page("https://h/a", ".html", "", modified, changed, checked, ())


@pytest.mark.parametrize(
    ("modified", "changed", "day"),
    [
        ("Wed, 31 Dec 2025 23:30:00 GMT", "", "2025-12-31"),
        ("Wed, 31 Dec 2025 23:30:00 GMT", "2025-11-30", "2025-11-30"),
        ("Wed, 31 Dec 2025 23:30:00 GMT", "2025-11-30T10:00:00+02:00", "2025-11-30"),
        ("Wed, 31 Dec 2025 23:30:00 GMT", "yesterday", "2025-12-31"),
        ("Fri, 02 Jan 2026 03:04:59 GMT", "", ""),
        ("a while ago", "", ""),
        ("", "", ""),
    ],
)
def test_the_sitemap_counts_before_the_server(modified: str, changed: str, day: str) -> None:
    assert page(modified=modified, changed=changed).day == day


def test_a_page_that_stayed_the_same_is_believed_later() -> None:
    modified = "Fri, 02 Jan 2026 03:04:59 GMT"
    assert page(modified=modified, checked=FETCHED + 7200).day == "2026-01-02"
