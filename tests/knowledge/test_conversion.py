"""What holds for every format: text or one clear sentence, from whatever bytes."""

import io
import json
import subprocess
import sys
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from knowledge.conversion import CONVERTED_TYPES, ConversionError, Converted, convert
from knowledge.formats import KNOWN_TYPES, PLAIN_TYPES, is_generated
from tests.knowledge.files import docx, pdf, pptx, xlsx
from tests.knowledge.formats.making import epub, msg, xls

WHOLE = {
    ".pdf": pdf("A first page", "A second page"),
    ".docx": docx("Travel", "Book early."),
    ".pptx": pptx(("Kick-off", "Welcome")),
    ".xlsx": xlsx(Rates=[["City", "Limit"], ["Paris", 180]]),
    ".xls": xls(["City", "Limit"], ["Paris", 180]),
    ".epub": epub("<h1>Start</h1><p>Hello</p>"),
    ".msg": msg({"0037": "Bus", "1000": "At nine."}, attachments={"a.txt": b"text"}),
    ".eml": b"From: a@b.c\nContent-Type: multipart/mixed; boundary=x\n\n--x\n\ntext\n--x\nContent-Type: text/html\n\ny",
    ".html": b"<html><head><title>T</title></head><body><h1>Start</h1><p>Hello</p></body></html>",
    ".xml": b"<rss><channel><title>T</title><item><title>U</title><description>V</description></item></channel></rss>",
    ".json": b'{"a": [1, 2, {"b": "c"}], "d": null}',
    ".yaml": b"a: &x [1, 2]\nb: *x\nc: {d: !e f}\n",
    ".toml": b'a = 1\n[b]\nc = ["d"]\n',
    ".ipynb": json.dumps({"cells": [{"cell_type": "code", "source": "x", "outputs": []}]}).encode(),
    ".csv": b"City,Limit\nParis,180\n",
    ".py": b"class A:\n    def f(self):\n        pass\n",
    ".md": b"---\ntitle: T\ntags: [a]\n---\n# Start\n",
}
REPRESENTATIVE = sorted({*WHOLE, ".txt", ".rst", ".tsv", ".jsonl", ".atom", ".sql", ".lua"})


def outcome(suffix: str, data: bytes) -> Converted | None:
    """The result, or None for an error that says what to do."""
    result, refusal = None, ""
    try:
        result = convert(suffix, data)
    except ConversionError as error:
        refusal = str(error)
    if result is None:
        assert refusal.endswith("exclude it")
        assert "\n" not in refusal
        return None
    assert all(value and isinstance(value, str) for value in result.metadata.values())
    for text in (result.text, result.title, *result.metadata.values()):
        assert "\0" not in text
        text.encode()
    if suffix != ".pdf" and suffix not in PLAIN_TYPES:
        assert "\f" not in result.text
    return result


@pytest.mark.parametrize("suffix", WHOLE)
def test_whole_files_have_text(suffix: str) -> None:
    result = outcome(suffix, WHOLE[suffix])
    assert result
    assert result.text.strip()


@pytest.mark.parametrize("suffix", sorted(KNOWN_TYPES))
@pytest.mark.parametrize(
    "data", [b"\x00", b"\xff\xfe\x00", b"%PDF-1.4\n", b"PK\x03\x04", b"\xd0\xcf\x11\xe0" * 200, b"<", b"{"]
)
def test_scraps_of_every_type(suffix: str, data: bytes) -> None:
    outcome(suffix, data)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(KNOWN_TYPES)), st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_arbitrary_bytes(suffix: str, data: bytes) -> None:
    outcome(suffix, data)


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(REPRESENTATIVE), st.sampled_from(sorted(WHOLE)), st.data())
def test_files_that_are_damaged_or_misnamed(suffix: str, kind: str, data: st.DataObject) -> None:
    """Cut, with some bytes changed, and under the name of another type."""
    whole = bytearray(WHOLE[kind])
    for place in data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=5)):
        whole[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(whole)))
    outcome(
        data.draw(st.sampled_from((suffix, kind))), bytes(whole[:cut] if data.draw(st.booleans()) else whole)
    )


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from([".docx", ".pptx", ".xlsx", ".epub"]), st.data())
def test_archives_with_damaged_parts(suffix: str, data: st.DataObject) -> None:
    """The archive is whole and what it holds is not, as a broken program would write it."""
    with zipfile.ZipFile(io.BytesIO(WHOLE[suffix])) as source:
        parts = {name: source.read(name) for name in source.namelist()}
    name = data.draw(st.sampled_from(sorted(parts)))
    parts[name] = data.draw(
        st.just(b"") | st.just(parts[name][: len(parts[name]) // 2]) | st.binary(max_size=40)
    )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as written:
        for part, content in parts.items():
            written.writestr(part, content)
    outcome(suffix, buffer.getvalue())


def test_another_type_is_plain_text() -> None:
    assert convert(".conf", b"limit = 140\n").text == "limit = 140\n"
    assert convert("", b"text").text == "text"


@pytest.mark.parametrize(
    ("surprise", "expected", "reason"),
    [
        (
            OSError("x"),
            ConversionError,
            "the file is no PDF that can be read (OSError); repair or exclude it",
        ),
        (
            RecursionError(),
            ConversionError,
            "its parts are nested too deeply to be read; simplify or exclude it",
        ),
        (zipfile.BadZipFile(), ConversionError, "the file is damaged or cut off; replace or exclude it"),
        (MemoryError(), MemoryError, ""),
    ],
)
def test_a_parser_may_raise_anything(
    surprise: Exception, expected: type[Exception], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from knowledge.formats import pdf as module

    def fail(data: bytes, *, suffix: str) -> Converted:
        raise surprise

    monkeypatch.setattr(module, "convert", fail)
    with pytest.raises(expected) as caught:
        convert(".pdf", b"")
    assert str(caught.value) == reason


def test_types_that_need_a_worker() -> None:
    assert PLAIN_TYPES < KNOWN_TYPES
    assert CONVERTED_TYPES == KNOWN_TYPES - PLAIN_TYPES


@pytest.mark.parametrize(
    ("name", "expected"),
    [("package-lock.json", True), ("jquery.min.js", True), ("app.bundle.js", True), ("api_pb2.py", True),
     ("Form.Designer.cs", True), ("package.json", False), ("minutes.md", False), ("admin.js", False)],
)  # fmt: skip
def test_files_that_programs_write(name: str, expected: bool) -> None:
    assert is_generated(name) is expected


def test_no_parser_is_loaded_before_it_is_needed() -> None:
    heavy = {"yaml", "bs4", "markitdown", "tree_sitter", "openpyxl", "lxml", "pdfminer", "charset_normalizer"}
    code = (
        f"import sys, knowledge.conversion, knowledge.formats.text; print(sorted({heavy} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
