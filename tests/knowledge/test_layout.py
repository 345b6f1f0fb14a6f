"""Headings and tables that a text only shows by its layout."""

import pytest

from knowledge.layout import PrintedLine, plain_headings, printed_headings, with_headings, with_tables

PROSE = "The landlord does not allow animals in the building, and this includes birds of all kinds."


def printed(
    text: str, size: float = 10.0, *, bold: bool = False, page: int = 1, alone: bool = True
) -> PrintedLine:
    return PrintedLine(text, size, bold, page, alone)


def test_larger_print_is_a_heading_and_the_largest_the_title() -> None:
    chapters = [printed("1.  Dogs", 14.0), printed(PROSE), printed("2. Plants", 14.0), printed(PROSE)]
    found = printed_headings([printed("House rules", 20.0), *chapters])
    assert found == {"House rules": 1, "1. Dogs": 2, "2. Plants": 2}


def test_chapters_of_equal_size_are_no_title() -> None:
    found = printed_headings(
        [printed("Dogs", 20.0), printed(PROSE), printed("Plants", 20.0, page=2), printed(PROSE)]
    )
    assert found == {"Dogs": 2, "Plants": 2}


def test_bold_print_is_a_heading_only_in_a_line_of_its_own() -> None:
    lines = [
        printed("Dogs", bold=True),
        printed("Attention", bold=True, alone=False),
        printed(PROSE),
        printed(PROSE),
    ]
    assert printed_headings(lines) == {"Dogs": 2}


@pytest.mark.parametrize("text", ["Mind the dog.", "- a point", "help@example.org", "12 345"])
def test_bold_lines_that_say_something_are_text(text: str) -> None:
    assert printed_headings([printed(text, bold=True), printed(PROSE), printed(PROSE)]) == {}


def test_a_text_that_is_bold_throughout_has_no_headings() -> None:
    assert printed_headings([printed(PROSE[:40], bold=True), printed("Dogs", bold=True)]) == {}
    assert printed_headings([]) == {}


def test_headings_are_marked_and_broken_ones_joined() -> None:
    marked = with_headings("A long\nheading\n\ntext\n\n\fNext", {"A long": 2, "heading": 2, "Next": 3})
    assert marked == "## A long heading\n\ntext\n\n\f### Next"


def test_headings_of_one_level_stay_apart_when_a_blank_line_does_that() -> None:
    assert with_headings("One\n\nTwo", {"One": 2, "Two": 2}) == "## One\n\n## Two"


def test_short_lines_above_paragraphs_are_headings_of_a_plain_text() -> None:
    text = f"HOUSE RULES\n\nDogs (Lisbon)\n{PROSE}\n\nPlants\n- water them\n- love them"
    assert plain_headings(text) == (
        f"# HOUSE RULES\n\n## Dogs (Lisbon)\n{PROSE}\n\n## Plants\n- water them\n- love them"
    )


@pytest.mark.parametrize(
    "text",
    [
        "# Marked\n\nDogs\n" + PROSE,
        "Marked\n======\n\nDogs\n" + PROSE,
        "The rooms:\n- Magpie\n- Heron",
        "- a point\n" + PROSE,
        "dear all\n" + PROSE,
        "A sentence that was broken here because the next word, incomprehensibilities, had\nno room.",
        "A line alone\n\n" + PROSE,
        "Name    Room\nMagpie    the ground floor, beside the helpdesk and the stairs",
        "port = 80\nx",
    ],
)
def test_what_is_not_clearly_a_heading_stays_text(text: str) -> None:
    assert plain_headings(text) == text


TABLE = (
    "Site     Place          Warden\n\nMunich   gravel yard    Gustav\n\nLisbon   small square\n\nafter it"
)


def test_aligned_lines_below_a_header_are_a_table() -> None:
    assert with_tables(TABLE, {"Site Place Warden"}) == (
        "\n| Site | Place | Warden |\n| --- | --- | --- |\n| Munich | gravel yard | Gustav |\n"
        "| Lisbon | small square |  |\n\n\nafter it"
    )


def test_aligned_lines_without_a_known_header_stay_as_they_are() -> None:
    assert with_tables(TABLE, set()) == TABLE


def test_lines_that_are_not_below_the_columns_end_the_table() -> None:
    text = "Site     Place\nMunich   yard\nIn  between\nLisbon   square"
    assert with_tables(text, {"Site Place"}) == text
