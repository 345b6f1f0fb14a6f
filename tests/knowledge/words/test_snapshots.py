"""Indexes of words on disk: reused, continued, rebuilt when damaged, and never wrong after a crash."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path

import pytest

from knowledge.documents import Chunk
from knowledge.words.snapshots import Snapshots
from knowledge.words.source import SourceWords, Term
from tests.knowledge.words.shelves import chunk

TEXTS = [f"alpha number{n} beta{n % 3}" for n in range(12)]


class Loader:
    """Gives passages by key, and remembers which."""

    def __init__(self) -> None:
        self.read: list[str] = []
        self.dies_after: int | None = None

    def __call__(self, keys: AbstractSet[str]) -> Iterator[tuple[str, Chunk]]:
        for n, key in enumerate(sorted(keys)):
            if n == self.dies_after:
                raise KeyboardInterrupt
            self.read.append(key)
            yield key, chunk(key)


@pytest.fixture
def load() -> Loader:
    return Loader()


@pytest.fixture
def made(tmp_path: Path) -> Snapshots:
    return Snapshots(tmp_path / "words", language="en")


def found(words: SourceWords, *query: str) -> set[str]:
    return {key for key, _ in words.search([Term((one,), 1.0) for one in query], k=50)}


def finished(folder: Path) -> list[Path]:
    return [path for path in (folder / "words").glob("*/*") if not path.name.startswith(".")]


def everything(words: SourceWords) -> list[object]:
    """All that can be asked of an index."""
    names = {term for text in TEXTS for term in text.split()}
    return [
        words.count,
        words.languages,
        words.long_words(""),
        {name: words.posting(name) for name in names},
        words.search([Term((name,), 1.5) for name in sorted(names)], k=50),
        words.search([Term(("alpha",), 1.5)], k=3),
    ]


def test_an_index_is_made_once_and_opened_again(made: Snapshots, tmp_path: Path, load: Loader) -> None:
    keys = set(TEXTS[:6])
    first = made.open("docs", keys, load)
    assert found(first, "number4") == {TEXTS[4]}
    again = Snapshots(tmp_path / "words", language="en").open("docs", keys, load)
    assert load.read == sorted(keys)
    assert everything(again) == everything(first)


def test_only_what_changed_is_read_and_the_result_is_that_of_a_new_index(
    made: Snapshots, tmp_path: Path, load: Loader
) -> None:
    made.open("docs", set(TEXTS[:8]), load)
    load.read.clear()
    changed = made.open("docs", set(TEXTS[2:10]), load)
    assert sorted(load.read) == sorted(TEXTS[8:10])
    assert found(changed, "number0") == set()
    fresh = Snapshots(tmp_path / "fresh", language="en").open("docs", set(TEXTS[2:10]), load)
    assert everything(changed) == everything(fresh)


def test_the_state_before_stays_whole_and_is_there_for_a_rollback(
    made: Snapshots, tmp_path: Path, load: Loader
) -> None:
    before = everything(made.open("docs", set(TEXTS[:8]), load))
    made.open("docs", set(TEXTS[1:9]), load)
    load.read.clear()
    assert everything(made.open("docs", set(TEXTS[:8]), load)) == before
    assert load.read == []
    made.open("docs", set(TEXTS[2:10]), load)
    assert len(finished(tmp_path)) == 2


def test_an_index_that_was_changed_much_is_made_anew(made: Snapshots, load: Loader) -> None:
    read = []
    for start in range(6):
        load.read.clear()
        words = made.open("docs", set(TEXTS[start : start + 3]), load)
        assert found(words, "alpha") == set(TEXTS[start : start + 3])
        read.append(len(load.read))
    assert read == [3, 1, 1, 1, 3, 1]


@pytest.mark.parametrize("at", [0, 3])
def test_a_crash_while_it_is_made_leaves_nothing_that_is_taken_for_an_index(
    made: Snapshots, tmp_path: Path, load: Loader, at: int
) -> None:
    made.open("docs", set(TEXTS[:6]), load)
    load.dies_after = at
    with pytest.raises(KeyboardInterrupt):
        made.open("docs", set(TEXTS[:10]), load)
    load.dies_after = None
    assert len(finished(tmp_path)) == 1
    assert found(made.open("docs", set(TEXTS[:10]), load), "alpha") == set(TEXTS[:10])


HALFWAY = """
import sys
from pathlib import Path
from knowledge.words.snapshots import Snapshots
from tests.knowledge.words.shelves import chunk

def load(keys):
    for n, key in enumerate(sorted(keys)):
        if n == int(sys.argv[2]):
            print("halfway", flush=True)
            sys.stdin.read()
        yield key, chunk(key)

Snapshots(Path(sys.argv[1]), language="en").open("docs", set(sys.argv[3:]), load)
"""


@pytest.mark.parametrize("at", [0, 4])
def test_a_process_that_is_killed_halfway_costs_nothing_but_its_work(
    made: Snapshots, tmp_path: Path, load: Loader, at: int
) -> None:
    made.open("docs", set(TEXTS[:6]), load)
    command = [sys.executable, "-c", HALFWAY, str(tmp_path / "words"), str(at), *TEXTS]
    root = Path(__file__).parents[3]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=root) as process:
        assert process.stdout
        assert process.stdout.readline() == b"halfway\n"
        # Meanwhile nobody waits for it, and what it has begun is in nobody's way.
        assert found(made.open("docs", set(TEXTS), load), "alpha") == set(TEXTS)
        process.kill()
    fresh = Snapshots(tmp_path / "fresh", language="en").open("docs", set(TEXTS), load)
    assert everything(made.open("docs", set(TEXTS), load)) == everything(fresh)


def test_a_process_that_is_killed_leaves_a_folder_that_is_swept_up_later(
    made: Snapshots, tmp_path: Path, load: Loader
) -> None:
    made.open("docs", set(TEXTS[:6]), load)
    (home,) = (tmp_path / "words").iterdir()
    left, young = home / ".left", home / ".young"
    for folder in (left, young):
        shutil.copytree(finished(tmp_path)[0], folder)
    os.utime(left, (0, 0))
    os.utime(young)
    assert found(made.open("docs", set(TEXTS[:7]), load), "alpha") == set(TEXTS[:7])
    assert not left.exists()
    assert young.exists()


def files(folder: Path) -> Iterable[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.endswith(".lock"))


def replace(path: Path, content: bytes) -> None:
    """Not in place: an index that is still open has the file in its memory, and would end the process (SIGBUS)."""
    path.unlink()
    path.write_bytes(content)


def damage_kinds() -> list[str]:
    return ["truncated", "flipped", "gone", "empty"]


@pytest.mark.parametrize("kind", damage_kinds())
def test_whatever_is_damaged_the_index_is_made_anew(
    made: Snapshots, tmp_path: Path, load: Loader, kind: str
) -> None:
    keys = set(TEXTS[:6])
    expected = everything(made.open("docs", keys, load))
    (folder,) = finished(tmp_path)
    for name in [path.name for path in files(folder)]:
        if not (path := folder / name).exists():
            continue  # Tantivy chooses other names each time
        content = path.read_bytes()
        match kind:
            case "truncated":
                replace(path, content[: len(content) // 2])
            case "flipped":
                replace(path, content[:-1] + bytes([content[-1] ^ 0xFF]) if content else b"x")
            case "gone":
                path.unlink()
            case "empty":
                replace(path, b"" if content else b"x")
        load.read.clear()
        assert everything(made.open("docs", keys, load)) == expected
        assert load.read == sorted(keys)


def test_a_damaged_index_is_not_continued(made: Snapshots, tmp_path: Path, load: Loader) -> None:
    made.open("docs", set(TEXTS[:6]), load)
    (folder,) = finished(tmp_path)
    store = next(path for path in folder.iterdir() if path.suffix == ".store")
    replace(store, store.read_bytes()[:-1] + b"!")
    load.read.clear()
    words = made.open("docs", set(TEXTS[:7]), load)
    assert load.read == sorted(TEXTS[:7])
    assert found(words, "alpha") == set(TEXTS[:7])


def test_two_processes_that_make_the_same_index_both_have_it(
    made: Snapshots, tmp_path: Path, load: Loader
) -> None:
    other = Snapshots(tmp_path / "words", language="en")
    keys = set(TEXTS[:6])

    def meanwhile(wanted: AbstractSet[str]) -> Iterator[tuple[str, Chunk]]:
        theirs.append(other.open("docs", keys, load))
        yield from load(wanted)

    theirs: list[SourceWords] = []
    ours = made.open("docs", keys, meanwhile)
    assert everything(ours) == everything(theirs[0])
    assert len(finished(tmp_path)) == 1


def test_an_index_in_use_goes_on_working_when_another_process_deletes_it(
    made: Snapshots, tmp_path: Path, load: Loader
) -> None:
    words = made.open("docs", set(TEXTS[:6]), load)
    expected = everything(words)
    words.posting.cache_clear()
    shutil.rmtree(tmp_path / "words")
    assert everything(words) == expected


def test_a_file_system_without_links_gets_copies(
    made: Snapshots, tmp_path: Path, load: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", link)
    before = everything(made.open("docs", set(TEXTS[:8]), load))
    load.read.clear()
    made.open("docs", set(TEXTS[:9]), load)
    assert load.read == [TEXTS[8]]
    assert everything(made.open("docs", set(TEXTS[:8]), load)) == before


def test_other_settings_make_another_index(made: Snapshots, tmp_path: Path, load: Loader) -> None:
    keys = set(TEXTS[:3])
    made.open("docs", keys, load)
    load.read.clear()
    Snapshots(tmp_path / "words", language="de").open("docs", keys, load)
    assert sorted(load.read) == sorted(keys)


def test_sources_that_are_no_more_are_deleted(made: Snapshots, tmp_path: Path, load: Loader) -> None:
    made.open("docs", set(TEXTS[:3]), load)
    made.open("board", set(TEXTS[:3]), load)
    made.keep_only({"docs"})
    assert len(finished(tmp_path)) == 1
    load.read.clear()
    made.open("docs", set(TEXTS[:3]), load)
    assert load.read == []
