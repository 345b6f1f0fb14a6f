import subprocess
import sys

import pytest
import yaml

from knowledge.formats.careful_yaml import load_all


def test_documents_types_and_merges() -> None:
    text = "a: &a {x: 1}\nb: {<<: *a, y: !Ref z}\n---\n- !Sub [1]\n- !Map {k: v}\n"
    assert load_all(text) == [{"a": {"x": 1}, "b": {"x": 1, "y": "z"}}, [[1], {"k": "v"}]]
    assert load_all("x: !!python/object/apply:os.system [echo]") == [{"x": ["echo"]}]


def test_many_brackets_are_no_depth() -> None:
    assert load_all("- [1]\n" * 1_000) == [[[1]] * 1_000]
    assert load_all("- " * 400 + "x")
    assert load_all("a: " + "-" * 1_000)


@pytest.mark.parametrize(
    "text", ["[" * 40_000, "- " * 40_000, "? " * 40_000, "{a: " * 40_000, "-\t" * 40_000]
)
def test_what_would_end_the_process(text: str) -> None:
    """In a process of its own, which must come out of it."""
    code = (
        "import sys, yaml\nfrom knowledge.formats.careful_yaml import load_all\n"
        "try:\n    load_all(sys.stdin.read())\nexcept (yaml.YAMLError, ValueError):\n    print('refused')\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], input=text, capture_output=True, text=True, check=True
    )
    assert found.stdout == "refused\n"


def test_indentation_as_deep_as_it_gets() -> None:
    text = "".join(f"{' ' * level}a:\n" for level in range(2_000))
    with pytest.raises(ValueError, match="nested too deeply"):
        load_all(text)


def test_merges_without_end() -> None:
    text = "x0: &x0 {a: 1, b: 2}\n"
    for level in range(1, 12):
        text += f"x{level}: &x{level} {{<<: [{', '.join([f'*x{level - 1}'] * 9)}]}}\n"
    with pytest.raises(ValueError, match="merged without end"):
        load_all(text)


def test_what_is_no_yaml() -> None:
    with pytest.raises(yaml.YAMLError):
        load_all("a: [1")
