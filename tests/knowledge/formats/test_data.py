import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.formats.converted import ConversionError
from knowledge.formats.data import convert
from knowledge.markdown import headings


def read(text: str, suffix: str = ".yaml") -> str:
    return convert(text.encode(), suffix=suffix).text


def test_a_small_mapping_is_a_list() -> None:
    text = read('{"city": "Bonn", "limit": 140.5, "open": true, "note": null, "days": ["Mo", "Tu"]}', ".json")
    assert text.split("\n") == [
        "- **city**: Bonn",
        "- **limit**: 140.5",
        "- **open**: yes",
        "- **note**: (none)",
        "- **days**: Mo, Tu",
    ]


def test_a_large_one_has_sections_by_key() -> None:
    hotels = [{"name": f"Hotel {n}", "text": "Clean and quiet rooms. " * 20} for n in range(3)]
    text = read(
        json.dumps({"version": 1, "hotels": hotels, "empty": [], "rates": {"Bonn": {"max": 140}}}), ".json"
    )
    assert [(found.level, found.text) for found in headings(text)] == [
        (2, "hotels"), (3, "Hotel 0"), (3, "Hotel 1"), (3, "Hotel 2"), (2, "empty"), (2, "rates"),
    ]  # fmt: skip
    assert text.startswith(
        "- **version**: 1\n\n## hotels\n\n### Hotel 0\n\n- **name**: Hotel 0\n- **text**: Clean"
    )
    assert text.endswith("## empty\n\n- (empty)\n\n## rates\n\n- **Bonn**:\n  - **max**: 140")


def test_records_are_sections() -> None:
    lines = "\n".join(json.dumps({"question": f"What about {n}?", "answer": "Much. " * 60}) for n in range(3))
    assert [found.text for found in headings(read(lines, ".jsonl"))] == [f"What about {n}?" for n in range(3)]
    nameless = json.dumps([{"answer": "Much. " * 200}, {"answer": "Little."}])
    assert [found.text for found in headings(read(nameless, ".json"))] == ["Entry 1", "Entry 2"]


def test_yaml_of_several_documents_and_with_types_of_its_own() -> None:
    text = read(
        f"kind: Deployment\nmetadata: {{name: web}}\nspec: !Ref {{image: x, text: {'word ' * 200}}}\n"
        "---\nkind: Service\nmetadata: {name: db}\nport: !Sub 80\n---\n"
    )
    assert [found.text for found in headings(text) if found.level == 2] == ["Deployment web", "Service db"]
    assert "- **port**: 80" in text


def test_what_a_file_says_about_itself() -> None:
    page = convert(b"title: Rates\nauthor: Ada\ndate: 2024-05-01\nother: 1\n", suffix=".yml")
    assert (page.title, page.metadata) == ("Rates", {"author": "Ada", "date": "2024-05-01"})
    page = convert(b'title = "Rates"\n[owner]\nname = "Ada"\n', suffix=".toml")
    assert page.title == "Rates"
    assert "- **owner**:\n  - **name**: Ada" in page.text


def test_texts_of_several_lines_and_names_that_are_markup() -> None:
    text = read(
        f"a:\n  __init__: |\n    # No heading\n    second\n  b: {'x ' * 400}\n'# c': [{{x: {'y ' * 400}}}]\n"
    )
    assert [found.text for found in headings(text)] == ["a", "# c", "Entry 1"]
    assert "- **__init__**: # No heading\n  second" in text


def test_long_values_are_shortened() -> None:
    text = read(json.dumps({"points": list(range(1000)), "image": "QUJD" * 5000, "deep": [[[1]]]}), ".json")
    assert "18, 19, … (1,000 in all)" in text
    assert "QUJDQUJDQUJDQUJDQUJD… (20,000 characters)" in text
    assert len(text) < 400


def test_long_texts_are_whole() -> None:
    answer = "A sentence of it. " * 2_000
    texts = [read(json.dumps(value), ".json") for value in (answer, {"answer": answer}, [{"answer": answer}])]
    assert all(answer.strip() in text for text in texts)


def test_a_long_file_is_whole() -> None:
    records = [{"id": n, "text": f"Number {n}. {'word ' * 40}"} for n in range(8_000)]
    for text in (
        read(json.dumps(records), ".json"),
        read("\n".join(json.dumps(record) for record in records), ".jsonl"),
    ):
        assert len(text) > 1_500_000
        assert "Number 7999." in text
    rows = read(json.dumps({str(n): f"row {n} {'x ' * 50}" for n in range(12_000)}), ".json")
    assert [line.split()[3] for line in rows.split("\n") if line] == [str(n) for n in range(12_000)]


def test_a_file_without_end_is_refused() -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
    for level in range(1, 12):
        bomb += f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n"
    reason = "more than 10,000,000 characters of text, which is the limit; split or exclude it"
    with pytest.raises(ConversionError, match=reason):
        read(bomb)
    long = f"a: &a {'word ' * 100_000}\nb: [{', '.join(['*a'] * 1_000)}]\n"
    with pytest.raises(ConversionError, match=reason):
        read(long)
    assert "…" in read("a: &a [*a, x]\n")


def test_templates_stay_as_they_are() -> None:
    assert read("a: {{ .Values.x }}\n{{- if y }}\nb: 1\n{{- end }}\n").startswith(
        "```yaml\na: {{ .Values.x }}"
    )


@pytest.mark.parametrize(
    ("suffix", "text", "reason"),
    [
        (".json", '{"a": 1', "no valid JSON \\(Expecting ',' delimiter in line 1\\); repair or exclude it"),
        (".json", '{"a": ' + "9" * 5_000 + "}", "no JSON that can be read; repair"),
        (".json", "[" * 100_000, "no JSON that can be read; repair|nested too deeply"),
        (".jsonl", "{}\n{", "no valid JSON"),
        (".yaml", "a: [1", "no valid YAML .* in line"),
        (".yaml", "a: *b", "no valid YAML"),
        (".yaml", "a: b: c", "no valid YAML .*line 1"),
        (".toml", "a =", "no valid TOML .*repair or exclude it"),
    ],
)
def test_damaged_files(suffix: str, text: str, reason: str) -> None:
    with pytest.raises(ConversionError, match=reason):
        convert(text.encode(), suffix=suffix)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)


@given(_VALUES)
def test_every_value_can_be_written(value: object) -> None:
    assert read(json.dumps(value), ".json").strip()


@given(
    st.dictionaries(
        st.sampled_from("abcdef"), st.integers(1000, 9999) | st.lists(st.integers(1000, 9999), max_size=9)
    )
)
def test_nothing_short_is_left_out(value: dict[str, object]) -> None:
    text = read(json.dumps(value), ".json")
    for item in value.values():
        for number in item if isinstance(item, list) else [item]:
            assert str(number) in text
