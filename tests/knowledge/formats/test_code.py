import re
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.chunking import Chunker, ChunkSettings
from knowledge.documents import Document
from knowledge.formats import symbols
from knowledge.formats.code import convert
from knowledge.formats.converted import ConversionError
from knowledge.formats.languages import LANGUAGES
from knowledge.markdown import headings, outline
from tests.knowledge.fakes import word_tokenizer

PYTHON = '''"""Rates of hotels."""

import os

LIMIT = 140


# How much it is.
@cache
def rate(city: str) -> int:
    """What a night may cost."""
    def inner() -> int:
        return 1
    return inner()


CITIES = {"Bonn": 1}


class Trip(Base):
    """A journey."""

    city: str

    def __init__(self) -> None:
        pass

    NIGHTS = 3

    @property
    async def cost(self) -> int:
        return rate(self.city)

    class Leg:
        def fly(self): ...
'''


def test_python() -> None:
    text = convert(PYTHON.encode(), suffix=".py").text
    assert [(found.level, found.text, found.anchor) for found in headings(text)] == [
        (2, "rate", "L8"),
        (2, "Line 17", "L17"),
        (2, "Trip", "L20"),
        (3, "Trip.__init__", "L25"),
        (3, "Line 28", "L28"),
        (3, "Trip.cost", "L30"),
        (3, "Trip.Leg", "L34"),
        (4, "Trip.Leg.fly", "L35"),
    ]
    assert text.startswith(
        '```python\n"""Rates of hotels."""\n\nimport os\n\nLIMIT = 140\n```\n\n## `rate` {#L8}\n\n'
    )
    assert (
        "```python\n    @property\n    async def cost(self) -> int:\n        return rate(self.city)\n```"
        in text
    )


SYMBOLS = {
    "a.js": (
        """import x from "y";
/** Says hello. */
export default class Greeter {
  greet(name) { return 1; }
  static make() {
  }
  later = () => {
  };
}
export const hello = async () => {
};
module.exports.bye = function () {
};
function* many() {
}
""",
        ["Greeter", "Greeter.greet", "Greeter.make", "Greeter.later", "hello", "module.exports.bye", "many"],
    ),
    "a.ts": (
        """export interface Shape {
  area(): number;
}
export abstract class Base<T> {
  abstract area(): number;
  name(): string { return ""; }
}
namespace Tools {
  export function cut() {
  }
}
type Pair = { a: string };
enum Colour { Red }
""",
        ["Shape", "Shape.area", "Base", "Base.area", "Base.name", "Tools", "Tools.cut", "Pair", "Colour"],
    ),
    "a.tsx": ("export const View = () => {\n  return <div/>;\n};\n", ["View"]),
    "a.go": (
        """package p

// Read reads.
func (l *Loader[T]) Read(x int) error {
	return nil
}

type Loader struct {
	A int
}

func New() {
}
""",
        ["Loader.Read", "Loader", "New"],
    ),
    "A.java": (
        """package a.b;
/** A trip. */
@Entity
public class Trip<T> extends Base {
  int nights;
  Trip() {
  }
  @Override
  void book() {
  }
  enum Kind { AIR }
}
interface Bookable {
  void pay();
}
""",
        ["Trip", "Trip.Trip", "Trip.book", "Trip.Kind", "Bookable", "Bookable.pay"],
    ),
    "a.c": (
        """#include <stdio.h>
#ifdef X
static int *find(int a) {
  return 0;
}
#endif
struct point {
  int x;
};
typedef struct {
  int y;
} other;
int declared(struct point p);
""",
        ["find", "point", "other"],
    ),
    "a.cpp": (
        """namespace a::b {
template <class T>
class Box : Base {
 public:
  void open() {
  }
  int operator<(int x) {
  }
  ~Box() {
  }
};
}
void a::b::Box::close(int x) const {
}
""",
        [
            "a::b",
            "a::b::Box",
            "a::b::Box::open",
            "a::b::Box::operator<",
            "a::b::Box::~Box",
            "a::b::Box::close",
        ],
    ),
    "a.cs": (
        """namespace A.B;
public class Box<T> : Base {
  public int Size { get; set; }
  public Box() {
  }
  [Test]
  public async Task Open() {
  }
}
interface IBox {
  void Close();
}
""",
        ["Box", "Box.Box", "Box.Open", "IBox", "IBox.Close"],
    ),
    "a.rs": (
        """#[derive(Debug)]
pub struct Point {
    x: i32,
}
impl<T> Display for Point<T> {
    fn fmt(&self) {
    }
}
mod inner {
    fn helper() {
    }
}
macro_rules! shout {
    () => {};
}
""",
        ["Point", "Point", "Point::fmt", "inner", "inner::helper", "shout"],
    ),
    "a.rb": (
        """module Travel
  class Trip < Base
    def book
    end
    def self.all
    end
  end
end
""",
        ["Travel", "Travel::Trip", "Travel::Trip::book", "Travel::Trip::all"],
    ),
    "a.php": (
        """<?php
namespace A\\B;
#[X]
final class Trip {
  public function book() {
  }
}
interface Bookable {}
function pay() {
}
""",
        ["Trip", "Trip::book", "Bookable", "pay"],
    ),
    "a.sh": (
        "#!/bin/sh\nset -e\nbuild() {\n  echo 1\n}\nfunction clean {\n  echo 2\n}\nbuild\n",
        ["build", "clean"],
    ),
    "a.sql": (
        """CREATE TABLE travel.trips (id INT PRIMARY KEY);
CREATE OR REPLACE VIEW open_trips AS SELECT 1;
CREATE INDEX by_city ON trips (city);
SELECT 1;
""",
        ["travel.trips", "open_trips", "by_city"],
    ),
    "a.kt": (
        """package a

class Trip(val city: String) {
    fun book() {
    }
}

object Rates {
    fun of() = 1
}

fun pay() {
}
""",
        ["Trip", "Trip.book", "Rates", "Rates.of", "pay"],
    ),
}


@pytest.mark.parametrize("name", SYMBOLS)
def test_symbols_of_languages(name: str) -> None:
    source, expected = SYMBOLS[name]
    text = convert(source.encode(), suffix=PurePosixPath(name).suffix).text
    assert [found.text for found in headings(text) if not found.text.startswith("Line")] == expected
    assert _code(text) == _lines(source)


def test_remarks_stand_with_what_they_speak_of() -> None:
    text = convert(SYMBOLS["a.go"][0].encode(), suffix=".go").text
    assert "## `Loader.Read` {#L3}\n\n```go\n// Read reads.\nfunc (l" in text


def test_a_language_without_a_grammar_is_cut_at_blank_lines() -> None:
    block = "local x = 1\n" * 45 + "\n"
    text = convert((block * 3).encode(), suffix=".lua").text
    assert [found.anchor for found in headings(text)] == ["L1", "L47", "L93"]
    assert _code(text) == _lines(block * 3)


def test_code_that_the_parser_does_not_get_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(symbols, "_SECONDS", 0.1)
    text = convert(b"/*\n" * 10_000 + b"\nx\n", suffix=".go").text
    assert [found.anchor for found in headings(text)] == ["L1", "L10002"]


def test_what_nobody_has_written_is_refused() -> None:
    with pytest.raises(ConversionError, match="it is minified or generated; exclude it"):
        convert(b"x=1;" * 10_000, suffix=".js")


def test_fences_and_page_breaks_within_code() -> None:
    text = convert(b'def f():\n    """\n    ```\n    \f```\n    """\n', suffix=".py").text
    assert "\f" not in text
    assert len(outline(text)[1]) == 1


_FRAGMENTS = [line for source, _ in SYMBOLS.values() for line in source.split("\n")] + PYTHON.split("\n")


@given(
    st.lists(st.sampled_from(_FRAGMENTS) | st.text(max_size=20), max_size=30),
    st.sampled_from(sorted(LANGUAGES)),
)
def test_every_line_stands_in_one_fence(lines: list[str], suffix: str) -> None:
    source = "".join(char for char in "\n".join(lines) if char.isprintable() or char == "\n")
    text = convert(source.encode(), suffix=suffix).text
    assert _code(text) == _lines(source)
    shown = source.split("\n")
    for found in headings(text):
        first_line = text.split("\n")[found.start + 3]
        assert first_line.rstrip() == shown[int(found.anchor[1:]) - 1].rstrip()


def _code(markdown: str) -> list[str]:
    """The lines within all fences that are not blank."""
    lines = markdown.split("\n")
    found: list[str] = []
    for block in outline(markdown)[1]:
        assert block.kind == "fence"
        found += lines[block.start + 1 : block.end - 1]
    return [line.rstrip() for line in found if line.strip()]


def _lines(source: str) -> list[str]:
    return [line.rstrip() for line in re.split(r"\n", source) if line.strip()]


def test_passages_lead_to_their_lines() -> None:
    body = "".join(f"    step_{number} = compute_the_next_value({number})\n" for number in range(200))
    source = f"{PYTHON}\n\ndef long_one():\n{body}"
    document = Document(
        id="d", source="s", title="a.py", uri="/a.py", text=convert(source.encode(), suffix=".py").text
    )
    passages = Chunker(word_tokenizer(), ChunkSettings(capacity=60, minimum=5)).passages(document)
    assert {"rate", "Trip › Trip.__init__", "Trip › Trip.Leg › Trip.Leg.fly", "long_one"} <= {
        passage.heading for passage in passages
    }
    parts = [passage for passage in passages if passage.heading == "long_one"]
    assert len(parts) > 10
    for passage in parts:
        first = passage.text.split("\n")[1]
        assert source.split("\n")[int(passage.anchor[1:]) - 1] == first
