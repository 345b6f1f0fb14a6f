"""Long answers arrive whole, in pieces that each can be read alone."""

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from adapters.pieces import SHORTEST, split

_PARSER = MarkdownIt("commonmark").enable("table")


def lines(*given: str) -> str:
    return "\n".join(given)


def test_a_text_that_fits_is_not_touched() -> None:
    text = " \r\n# Title  \n\n```\nnever closed\n"
    assert split(text, limit=100) == [text]


def test_nothing_has_no_pieces() -> None:
    assert split("", limit=SHORTEST) == []
    assert split(" \n" * 100, limit=SHORTEST) == []


def test_a_limit_that_leaves_no_room_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 50"):
        split("text", limit=20)


def test_cuts_fall_between_paragraphs() -> None:
    text = lines("First paragraph, of some length.", "", "", "Second paragraph.", "", "Third one.")
    assert split(text, limit=55) == [
        "First paragraph, of some length.\n\n\nSecond paragraph.",
        "Third one.",
    ]


def test_a_heading_goes_with_what_follows_it() -> None:
    text = lines("A paragraph before that takes room.", "", "## Hotels", "", "Up to 140 EUR a night.")
    assert split(text, limit=60) == [
        "A paragraph before that takes room.",
        "## Hotels\n\nUp to 140 EUR a night.",
    ]


def test_a_heading_goes_with_the_first_part_of_what_is_too_long() -> None:
    text = lines("Some text before the heading, longer.", "", "# Hotels", "", "Up to 140 EUR. " * 6)
    pieces = split(text, limit=60)
    assert pieces[0] == "Some text before the heading, longer."
    assert pieces[1].startswith("# Hotels\n\nUp to 140 EUR.")


def test_code_that_fits_a_piece_is_never_cut() -> None:
    code = lines("```python", "one = 1", "", "two = 2", "```")
    assert split(lines("Some words before the code.", "", code, "", "Words after it."), limit=55) == [
        "Some words before the code.",
        f"{code}\n\nWords after it.",
    ]


def test_longer_code_is_cut_between_lines_and_fenced_again() -> None:
    text = lines("~~~sh", *(f"echo number {n}" for n in range(6)), "~~~")
    assert split(text, limit=60) == [
        lines("```sh", "echo number 0", "echo number 1", "echo number 2", "```"),
        lines("```sh", "echo number 3", "echo number 4", "echo number 5", "```"),
    ]


def test_a_table_is_cut_between_rows_and_has_its_header_again() -> None:
    header = lines("| city | limit |", "|------|-------|")
    rows = [f"| City {n} | {n}0 EUR |" for n in range(1, 4)]
    assert split(lines("Limits:", "", header, *rows), limit=75) == [
        "Limits:",
        lines(header, *rows[:2]),
        lines(header, rows[2]),
    ]


def test_a_list_is_cut_between_items() -> None:
    items = [f"{n}. Item number {n}\n   and its second line" for n in range(1, 5)]
    assert split(lines(*items), limit=90) == [lines(*items[:2]), lines(*items[2:])]


def test_a_quote_stays_one_in_each_piece() -> None:
    text = lines(
        "> First paragraph of the quote.", ">", "> ```", "> code", "> ```", ">", "> The last paragraph."
    )
    assert split(text, limit=60) == [
        lines("> First paragraph of the quote.", "> ", "> ```", "> code", "> ```"),
        "> The last paragraph.",
    ]


def test_a_paragraph_is_cut_between_sentences_then_words_then_anywhere() -> None:
    assert split("The first sentence is this. The second one follows it. And a third.", limit=60) == [
        "The first sentence is this. The second one follows it.",
        "And a third.",
    ]
    words = "word " * 20
    assert split(words, limit=52) == [" ".join(["word"] * 10), " ".join(["word"] * 10)]
    assert [len(piece) for piece in split("x" * 120, limit=50)] == [49, 49, 22]


def test_code_and_links_within_a_sentence_are_not_cut() -> None:
    link, code = "[the whole policy](https://a.example/policy)", "`parley sync --all --now`"
    text = f"A few words before {link} and {code} after it, and so on"
    pieces = split(text, limit=60)
    assert any(link in piece for piece in pieces)
    assert any(code in piece for piece in pieces)


def test_text_stays_text_where_a_piece_begins_with_it() -> None:
    text = "words " * 8 + "# no heading " + "words " * 8 + "1. no list " + "words " * 7 + "``` no fence"
    for piece in split(text, limit=50):
        assert {token.type for token in _PARSER.parse(piece)} == {
            "paragraph_open",
            "inline",
            "paragraph_close",
        }


@pytest.mark.parametrize(
    "text", [">" * 3000 + " x", "- " * 3000 + "x", "[" * 3000 + "](" * 500, "`" * 3000 + "x"]
)
def test_nonsense_ends_too(text: str) -> None:
    assert all(0 < len(piece) <= 500 for piece in split(text, limit=500))


_TAME = "word words, sentence. Really? (yes) äß😀 3 - 14 **bold** snake_case a.b [x](y)".split()
_WILD = [*_TAME, *"# ## > * + 1. 2) ` `` ``` ~~~ | --- === [ ]( <a \\ ** [x]: ```py `code ![ \t".split(" ")]
_NESTED = {"> ": "> ", "- ": "  ", "12. ": "    ", "-\t": "\t"}


@st.composite
def _documents(draw: st.DrawFn, vocabulary: list[str]) -> str:
    word = st.sampled_from([*vocabulary, "w" * 70, "w" * 150])

    def words(most: int = 15) -> str:
        return " ".join(draw(st.lists(word, min_size=1, max_size=most)))

    def code() -> str:
        fence = draw(st.sampled_from(["```", "`````", "~~~"]))
        return lines(fence + draw(st.sampled_from(["", "py", "i" * 70])), words(), words(), fence)

    def table() -> str:
        rows = (f"| {words(2)} | {words(2)} | {words(2)} |" for _ in range(draw(st.integers(0, 6))))
        return lines("| h | i | j |", "|---|---|---|", *rows)

    leaves: list[Callable[[], str]] = [
        words,
        lambda: lines(words(), words()),
        lambda: f"## {words()}",
        lambda: f"{words()}\n===",
        lambda: f"    {words()}",
        code,
        table,
        lambda: "---",
        lambda: "[a]: https://a.example/path 'Title'",
    ]

    def block(depth: int) -> str:
        first: str = draw(st.sampled_from(["", *(_NESTED if depth < 3 else ())]))
        if not first:
            return draw(st.sampled_from(leaves))()
        return first + blocks(depth + 1, 3).replace("\n", f"\n{_NESTED[first]}")

    def blocks(depth: int, most: int) -> str:
        gap = draw(st.sampled_from(["\n\n", "\n"]))
        return gap.join(block(depth) for _ in range(draw(st.integers(1, most))))

    return blocks(0, 5)


@given(_documents(_WILD), st.integers(SHORTEST, 400))
def test_no_piece_is_too_long_or_empty_and_nothing_is_lost(text: str, limit: int) -> None:
    pieces = split(text, limit=limit)

    assert all(piece.strip() and len(piece) <= limit for piece in pieces)
    if len(text) <= limit:
        assert pieces == ([text] if text.strip() else [])
    # Headers and info strings come again, so that the text is found in order, with more between.
    shown = iter(_letters("".join(pieces)))
    assert all(letter in shown for letter in _letters(text))


def _letters(text: str) -> str:
    return re.sub(r"[^0-9A-Za-zäß😀]", "", text)


@given(_documents(_TAME), st.integers(SHORTEST, 400))
def test_every_fence_is_closed_where_it_was(text: str, limit: int) -> None:
    for piece in split(text, limit=limit):
        source = piece.split("\n")
        for token in _PARSER.parse(piece):
            if token.type == "fence" and token.map:
                start, end = token.map
                assert end - start > 1
                assert re.fullmatch(r"[ \t>]*(?:`{3,}|~{3,})", source[end - 1])
