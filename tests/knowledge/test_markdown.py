import pytest

from knowledge.markdown import Block, headings, outline, plain_text


def test_outline_gives_headings_and_blocks_with_their_lines() -> None:
    text = "# One\n\nText\nmore\n\n- a\n- b\n\nTwo\n---\n\n| a |\n|---|\n| b |\n\n```\n# no\n```\n> # no\n"
    found, blocks = outline(text)
    assert [(h.level, h.text, h.start, h.end) for h in found] == [(1, "One", 0, 1), (2, "Two", 8, 10)]
    assert blocks == [
        Block("paragraph", 2, 4),
        Block("list", 5, 8, inner=(item(5, 6), item(6, 8))),
        Block("table", 11, 14),
        Block("fence", 15, 18),
        Block("quote", 18, 19, inner=(Block("paragraph", 18, 19),)),
    ]


def test_blocks_within_lists_and_quotes() -> None:
    _, blocks = outline(
        "1. one\n\n   ```\n   code\n   ```\n   - a\n     | h |\n     |---|\n2. two\n\n> # H\n> - b\n"
    )
    inner = (Block("paragraph", 5, 6), Block("table", 6, 8))
    nested = Block("list", 5, 8, inner=(Block("item", 5, 8, inner=inner),))
    first = Block("item", 0, 8, inner=(Block("paragraph", 0, 1), Block("fence", 2, 5), nested))
    quoted = Block("list", 11, 12, inner=(item(11, 12),))
    assert blocks == [
        Block("list", 0, 10, inner=(first, item(8, 10))),
        Block("quote", 10, 12, inner=(Block("paragraph", 10, 11), quoted)),
    ]


def item(start: int, end: int) -> Block:
    return Block("item", start, end, inner=(Block("paragraph", start, start + 1),))


def test_explicit_ids() -> None:
    assert [(h.text, h.anchor) for h in headings("## A b {#own}\n\n## C {: #kram .x }\n\n## D {#a\\_b}")] == [
        ("A b", "own"),
        ("C", "kram"),
        ("D", "a_b"),
    ]


@pytest.mark.parametrize(
    ("markdown", "plain"),
    [
        ("**bold** and *it* and ~~gone~~", "bold and it and gone"),
        ("[link *text*](http://x) ![pic](y.png)", "link text pic"),
        ("`code` and ``a `b` c``", "code and a `b` c"),
        ("snake_case_name stays, 2 * 3 * 4 too", "snake_case_name stays, 2 * 3 * 4 too"),
        ("a &lt; b &amp; c<br>d", "a < b & c d"),
        ("<https://x.org>", "https://x.org"),
        (r"\*not\* bold", "*not* bold"),
    ],
)
def test_plain_text(markdown: str, plain: str) -> None:
    assert plain_text(markdown) == plain


@pytest.mark.parametrize("part", ["{#", "{#a ", "{# ", "![", "a  "])
def test_a_heading_without_end_is_read_at_once(part: str) -> None:
    text = part * 200_000
    (heading,) = headings(f"# {text}b {{#id}}")
    assert heading.anchor == "id"
    assert text.startswith(heading.text[:2].strip())
