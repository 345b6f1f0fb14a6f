import re
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knowledge.chunking import Chunker, ChunkSettings, Passage, slug
from knowledge.documents import Document
from knowledge.markdown import Block, outline
from tests.knowledge.fakes import word_tokenizer

TOKENIZER = word_tokenizer()


def document(text: str, *, title: str = "Title", uri: str = "/docs/a.md") -> Document:
    return Document(id="d", source="docs", title=title, uri=uri, text=text)


def passages(text: str, *, capacity: int = 60, minimum: int = 8, uri: str = "/docs/a.md") -> list[Passage]:
    chunker = Chunker(TOKENIZER, ChunkSettings(capacity=capacity, minimum=minimum))
    return chunker.passages(document(text, uri=uri))


def size(text: str) -> int:
    return len(TOKENIZER.encode(text).ids)


def words(count: int, *, word: str = "word") -> str:
    return " ".join(f"{word}{number}" for number in range(count))


def test_sections_carry_their_heading_path_and_anchor() -> None:
    text = (
        f"# Title\n\n{words(10)}\n\n## Getting *started*\n\n{words(11)}\n\n### On `Linux`!\n\n{words(12)}\n"
    )
    assert passages(text) == [
        Passage(0, "", "title", words(10), line=3),
        Passage(1, "Getting started", "getting-started", words(11), line=7),
        Passage(2, "Getting started › On Linux!", "on-linux", words(12), line=11),
    ]


def test_a_first_heading_that_is_not_the_title_is_part_of_the_path() -> None:
    assert [p.heading for p in passages(f"# Other\n\n{words(10)}\n\n# Title\n\n{words(10)}")] == ["Other", ""]


def test_equal_headings_get_different_anchors() -> None:
    text = f"## Example\n\n{words(10)}\n\n## Example\n\n{words(10)}\n\n## Named {{#own-id}}\n\n{words(10)}"
    assert [p.anchor for p in passages(text)] == ["example", "example-1", "own-id"]


def test_anchors_are_githubs_also_where_headings_look_like_numbered_ones() -> None:
    text = "\n\n".join(f"## {heading}\n\n{words(10)}" for heading in ("A", "A 1", "A", "A-1"))
    assert [p.anchor for p in passages(text)] == ["a", "a-1", "a-2", "a-1-1"]


def test_long_code_is_linked_line_by_line_where_its_heading_has_a_line() -> None:
    code = "\n".join(f"call_{n}({words(3)})" for n in range(20))
    found = passages(f"## `run` {{#L40}}\n\n```python\n{code}\n```\n", uri="https://x.org/a.py")
    starts = [re.findall(r"call_(\d+)", passage.text)[0] for passage in found]
    assert len(found) > 2
    assert [passage.anchor for passage in found] == [f"L{40 + int(start)}" for start in starts]


def test_only_markdown_has_slugs_but_explicit_ids_count_everywhere() -> None:
    text = f"## One\n\n{words(10)}\n\n## Two {{#2}}\n\n{words(10)}"
    assert [p.anchor for p in passages(text, uri="/docs/a.docx")] == ["", "2"]


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [
        ("Über uns & mehr", "über-uns--mehr"),
        ("3.2 What's new?", "32-whats-new"),
        ("snake_case", "snake_case"),
    ],
)
def test_slug(heading: str, anchor: str) -> None:
    assert slug(heading) == anchor


def test_a_hash_in_a_code_fence_is_no_heading() -> None:
    text = f"## Real\n\n{words(9)}\n\n```sh\n# not a heading\nrun\n```\n"
    (passage,) = passages(text)
    assert passage.heading == "Real"
    assert "# not a heading" in passage.text


def test_short_siblings_are_joined_under_their_parent_with_their_headings() -> None:
    text = "# Title\n\n## FAQ\n\n### Who?\n\nWe.\n\n### When?\n\nNow.\n\n### Why?\n\n" + words(30)
    (passage,) = passages(text, minimum=20)
    assert passage.heading == "FAQ"
    assert passage.anchor == "who"
    assert passage.text == f"### Who?\n\nWe.\n\n### When?\n\nNow.\n\n### Why?\n\n{words(30)}"


def test_a_short_section_before_a_large_one_goes_into_its_first_passage() -> None:
    first, second = passages(f"## Parent\n\nShort.\n\n### Child\n\n{words(50)}\n\n{words(40, word='x')}")
    assert (first.heading, second.heading) == ("Parent", "Parent › Child")
    assert first.text == f"Short.\n\n### Child\n\n{words(50)}"
    assert second.text == words(40, word="x")


def test_sections_of_different_parents_are_not_joined() -> None:
    text = f"## A\n\n### A1\n\nShort.\n\n## B\n\n### B1\n\n{words(10)}"
    assert [p.heading for p in passages(text)] == ["A › A1", "B › B1"]


def test_a_heading_without_text_below_is_text() -> None:
    assert [p.text for p in passages("# Title\n\n## Call 555 0199")] == ["## Call 555 0199"]


def test_a_table_that_fits_is_never_cut() -> None:
    table = "| a | b |\n|---|---|\n" + "\n".join(f"| {n} | x |" for n in range(5))
    found = passages(f"{words(50)}\n\n{table}\n\n{words(50)}")
    assert [p.text for p in found] == [words(50), table, words(50)]


def test_a_table_that_must_be_cut_repeats_its_header_and_keeps_rows_whole() -> None:
    rows = [f"| name{n} | {words(4)} |" for n in range(20)]
    found = passages("## T\n\nThe limits:\n\n| Name | Limit |\n|:-----|-----:|\n" + "\n".join(rows))
    assert len(found) > 1
    assert found[0].text.startswith("The limits:\n\n| Name | Limit |\n|:-----|-----:|\n| name0 |")
    for passage in found[1:]:
        assert passage.text.startswith("| Name | Limit |\n|---|---|\n| name")
    assert [line for p in found for line in p.text.splitlines() if line in rows] == rows
    assert all(size(p.text) <= 60 for p in found)


def test_a_code_block_that_must_be_cut_keeps_its_fence() -> None:
    lines = [f"call_{n}({words(3)})" for n in range(20)]
    found = passages("Run this:\n\n```python\n" + "\n".join(lines) + "\n```\n\nDone and dusted.")
    code = [p.text for p in found if "```" in p.text]
    assert len(code) > 1
    for text in code:
        assert text.count("```python\n") == 1
        assert text.count("```") == 2
    assert [line for text in code for line in text.splitlines() if line in lines] == lines
    assert found[0].text.startswith("Run this:\n\n```python\n")


def test_a_lead_in_stays_with_its_list() -> None:
    items = "\n".join(f"- item{n} {words(3)}" for n in range(6))
    found = passages(f"{words(50)}\n\nBring these things:\n\n{items}")
    assert [p.text for p in found] == [words(50), f"Bring these things:\n\n{items}"]


def test_comments_and_template_tags_are_left_out() -> None:
    text = "<!-- vale off -->\n\nText.\n\n{% include copy.html %}\n\n{: .note }\n\nMore. {% inline %}"
    assert [p.text for p in passages(text)] == ["Text.\n\nMore. {% inline %}"]


@pytest.mark.parametrize("tag", ["{% x %}\n", "<!-- x -->\n", "{: .x }\n", "{% x %} <!-- y -->"])
def test_any_number_of_tags_before_a_text_is_read_at_once(tag: str) -> None:
    (*_, last) = passages(f"{tag * 500}Hello world")
    assert last.text.endswith("Hello world")
    assert passages(tag * 500) == []


def test_what_stands_between_tags_is_text() -> None:
    text = "{% if a %} Hello {% endif %}"
    assert [p.text for p in passages(text)] == [text]


def test_quotes_of_many_empty_lines_are_read_at_once() -> None:
    empty = "\n".join([">"] * 100_000)
    assert [p.text for p in passages(f"> Hello\n{empty}")] == ["> Hello"]
    assert [p.text for p in passages(f"{empty}\n\nHello")] == ["Hello"]


def test_a_passage_has_the_language_that_it_is_clearly_in() -> None:
    english = "The travel policy says who may book a hotel, how much it may cost, and who has to approve it. "
    german = "Die Richtlinie sagt, wer ein Hotel buchen darf, wie viel es kosten darf und wer es genehmigt. "
    code = "```sql\nSELECT * FROM bestellungen WHERE kunde = 5 ORDER BY datum\n```"
    text = (
        f"{english * 5}\n\n## Two\n\n{code}\n\n## Three\n\n{german * 2}\n\n## Four\n\nWLAN: eduroam, Raum 12"
    )
    found = passages(text, capacity=150, minimum=1)
    assert [passage.language for passage in found] == ["en", "en", "de", "en"]
    assert [passage.language for passage in passages(code)] == [""]


def test_pages_become_anchors() -> None:
    text = f"{words(40)}\n\f{words(40, word='x')}\n\f{words(40, word='y')}"
    assert [p.anchor for p in passages(text, uri="/docs/a.pdf")] == ["page=1", "page=2", "page=3"]


def test_overlong_lines_are_cut_within_the_capacity() -> None:
    row = f"| {words(100)} | b |"
    text = f"| {words(5)} | h |\n|---|---|\n{row}\n| c | d |\n\n```\n{words(150)}\n```\n\n{words(200)}"
    found = passages(text)
    assert all(size(p.text) <= 60 for p in found)
    assert "".join(words(200).split()) in "".join("".join(p.text.split()) for p in found)


HEADINGS = st.builds(lambda level, name: f"{'#' * level} {name}", st.integers(1, 4), st.sampled_from("ABCD"))
PROSE = st.lists(
    st.sampled_from(["alpha", "beta.", "gamma", "x:", "`code`", "1.5", "Ende!"]), min_size=1, max_size=60
)
PARAGRAPHS = PROSE.map(" ".join)
LISTS = st.lists(PARAGRAPHS, min_size=1, max_size=8).map(
    lambda items: "\n".join(f"- {item}" for item in items)
)
TABLES = st.lists(st.tuples(PARAGRAPHS, PARAGRAPHS), min_size=1, max_size=12).map(
    lambda rows: "| H1 | H2 |\n|---|---|\n" + "\n".join(f"| {a} | {b} |" for a, b in rows)
)
FENCES = st.lists(PARAGRAPHS, max_size=12).map(lambda lines: "\n".join(["```py", *lines, "```"]))
DOCUMENTS = st.lists(st.one_of(HEADINGS, PARAGRAPHS, LISTS, TABLES, FENCES), max_size=12).map("\n\n".join)


def content(text: str) -> list[str]:
    """The words of a document without what may be repeated or left out: headings, table headers, fences."""
    lines = [line for line in text.splitlines() if not re.match(r"#|\| H1|\|---|```", line)]
    return re.findall(r"[a-zA-Z0-9]+|[^\w\s]", "\n".join(lines))


@settings(max_examples=150, deadline=None)
@given(DOCUMENTS)
def test_nothing_is_lost_everything_fits_and_the_result_is_always_the_same(text: str) -> None:
    found = passages(text)
    assert content("\n".join(p.text for p in found)) == content(text)
    assert [size(p.text) for p in found if size(p.text) > 60] == []
    assert [p.position for p in found] == list(range(len(found)))
    assert found == passages(text)


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\f"), max_size=400))
def test_any_text_can_be_chunked(text: str) -> None:
    for passage in passages(text, capacity=10, minimum=3):
        assert passage.text.strip()


class Numbered:
    """Renders Markdown whose every word comes once, so that a part that is kept whole is found whole."""

    def __init__(self) -> None:
        self.words = 0

    def sentence(self, length: int) -> str:
        self.words += length
        return " ".join(f"w{number}" for number in range(self.words - length, self.words))

    def block(self, node: tuple[object, ...]) -> list[str]:
        match node:
            case ("paragraph", int(length)):
                return [self.sentence(length)]
            case ("lead-in", int(length)):
                return [f"{self.sentence(length)}:"]
            case ("fence", list(lengths)):
                return ["```py", *(self.sentence(length) for length in lengths), "```"]
            case ("table", list(lengths)):
                header = f"| {self.sentence(1)} | {self.sentence(1)} |"
                rows = [f"| {self.sentence(length)} | {self.sentence(1)} |" for length in lengths]
                return [header, "|---|---|", *rows]
            case ("quote", list(inner)):
                return [f"> {line}".rstrip() for line in self.blocks(inner)]
            case ("list", str(marker), list(items)):
                return [line for item in items for line in self.item(marker, item)]
        raise AssertionError(node)

    def item(self, marker: str, inner: list[tuple[object, ...]]) -> list[str]:
        first, *rest = self.blocks(inner)
        indent = " " * len(marker)
        return [f"{marker}{first}", *(f"{indent}{line}" if line else "" for line in rest)]

    def blocks(self, nodes: list[tuple[object, ...]]) -> list[str]:
        lines: list[str] = []
        for node in nodes:
            lines += ["", *self.block(node)] if lines else self.block(node)
        return lines


LENGTHS = st.integers(1, 30)
LEAVES = st.one_of(
    st.tuples(st.sampled_from(["paragraph", "lead-in"]), LENGTHS),
    st.tuples(st.sampled_from(["fence", "table"]), st.lists(st.integers(1, 20), min_size=1, max_size=6)),
)


def containers(inner: st.SearchStrategy[tuple[object, ...]]) -> st.SearchStrategy[tuple[object, ...]]:
    paragraph = st.tuples(st.just("paragraph"), LENGTHS)
    items = st.tuples(paragraph, st.lists(inner, max_size=2)).map(lambda pair: [pair[0], *pair[1]])
    markers = st.sampled_from(["- ", "1. "])
    return st.one_of(
        st.tuples(st.just("list"), markers, st.lists(items, min_size=1, max_size=5)),
        st.tuples(st.just("quote"), st.lists(inner, min_size=1, max_size=3)),
    )


NODES = st.recursive(LEAVES, containers, max_leaves=8)
SECTIONS = st.lists(st.tuples(st.integers(1, 3), st.lists(NODES, max_size=4)), min_size=1, max_size=4)


def numbered(sections: list[tuple[int, list[tuple[object, ...]]]]) -> str:
    render = Numbered()
    parts = [
        "\n".join([f"{'#' * level} Head {render.sentence(1)}", "", *render.blocks(nodes)])
        for level, nodes in sections
    ]
    return "\n\n".join(parts)


def bare(text: str) -> str:
    """Without the indentation of the lines, which a part of a list may lose, and without the marks of quotes."""
    return "\n".join(line.strip(" >") for line in text.split("\n")).strip()


def unbreakable(blocks: Iterable[Block]) -> Iterator[Block]:
    for block in blocks:
        if block.kind in {"table", "fence", "item"}:
            yield block
        yield from unbreakable(block.inner)


@settings(max_examples=200, deadline=None)
@given(SECTIONS, st.sampled_from([40, 60]))
def test_tables_code_and_list_items_that_fit_are_never_cut_wherever_they_stand(
    sections: list[tuple[int, list[tuple[object, ...]]]], capacity: int
) -> None:
    text = numbered(sections)
    lines = text.split("\n")
    found = [bare(passage.text) for passage in passages(text, capacity=capacity)]
    for block in unbreakable(outline(text)[1]):
        part = "\n".join(lines[block.start : block.end])
        if size(part) <= capacity:
            assert any(bare(part) in passage for passage in found)
    assert all(size(passage) <= capacity for passage in found)


@settings(max_examples=100, deadline=None)
@given(SECTIONS, st.sampled_from([40, 60]), st.sampled_from(["", "\f"]))
def test_a_passage_begins_in_the_line_that_it_names(
    sections: list[tuple[int, list[tuple[object, ...]]]], capacity: int, page_break: str
) -> None:
    text = numbered(sections).replace("\n# ", f"\n{page_break}# ")
    lines = text.split("\n")
    seen: set[str] = set()  # a part of a table repeats its header
    for passage in passages(text, capacity=capacity, uri="/docs/a.pdf"):
        new = [word for word in re.findall(r"w\d+", passage.text) if word not in seen]
        seen.update(new)
        if new:  # the line that opens a fence has no word
            named = lines[passage.line - 1 : passage.line + 1]
            assert new[0] in re.findall(r"w\d+", "\n".join(named))
