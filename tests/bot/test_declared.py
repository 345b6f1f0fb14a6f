"""Sources that change under a running assistant."""

import threading
from pathlib import Path

import pytest

from bot.config import SourceSettings
from bot.declared import Declared
from bot.errors import UsageError
from knowledge.access import visible_sources
from knowledge.errors import SourceError
from knowledge.sources.folder import FolderSource
from knowledge.sources.git import GitSource
from knowledge.sources.plugins import PluginSource
from knowledge.sources.website import WebsiteSource

EVERYONE = frozenset({"everyone"})
DATA = Path("data")


def source(
    name: str, place: str = "", *, visible_to: str = "everyone", paused: bool = False
) -> SourceSettings:
    return SourceSettings(name=name, path=Path(f"/{place or name}"), visible_to=(visible_to,), paused=paused)


def test_a_change_shows_in_the_object_that_others_hold() -> None:
    declared = Declared([source("a"), source("b")], data_dir=DATA)
    held = declared.visible_to
    declared.change([source("b", visible_to="slack:C1"), source("c")], indexed={"a", "b"})
    assert held == {"b": {"slack:C1"}, "c": EVERYONE}
    assert held is declared.visible_to
    assert [one.name for one in declared.now.sources] == ["b", "c"]


def test_a_source_is_found_by_name_and_paused_ones_are_known() -> None:
    declared = Declared([source("a"), source("b", paused=True)], data_dir=DATA)
    assert declared.now.find("b").paused
    assert declared.now.paused == {"b"}
    with pytest.raises(UsageError, match="no source named 'c'; the sources are: a, b"):
        declared.now.find("c")
    with pytest.raises(UsageError, match="none yet"):
        Declared([], data_dir=DATA).now.find("c")


def test_documents_of_another_place_are_shown_to_nobody_under_a_name_that_has_moved() -> None:
    declared = Declared([source("a", "secret", visible_to="slack:C1")], data_dir=DATA)
    moved = [source("a", "public")]
    declared.change(moved, indexed={"a"})
    assert declared.visible_to == {"a": frozenset()}
    declared.was_read(["a"], of=declared.now)
    assert declared.visible_to == {"a": EVERYONE}


def test_a_name_that_is_given_again_waits_until_it_has_been_read() -> None:
    declared = Declared([source("a", "secret", visible_to="slack:C1")], data_dir=DATA)
    declared.change([], indexed={"a"})
    assert declared.visible_to == {}
    declared.change([source("a", "public"), source("b")], indexed={"a"})
    assert declared.visible_to == {"a": frozenset(), "b": EVERYONE}


def test_a_run_that_read_the_old_place_shows_nothing_of_the_new_one() -> None:
    declared = Declared([source("a", "secret")], data_dir=DATA)
    old = declared.now
    declared.change([source("a", "public")], indexed=set())
    declared.was_read(["a"], of=old)
    assert declared.visible_to == {"a": frozenset()}
    read = declared.now
    declared.change([source("a", "public"), source("b")], indexed={"a"})
    declared.was_read(["a"], of=read)
    assert declared.visible_to == {"a": EVERYONE, "b": EVERYONE}


def test_people_ask_while_the_sources_change() -> None:
    declared = Declared([source("a")], data_dir=DATA)
    ended = threading.Event()

    def change() -> None:
        for number in range(300):
            declared.change([source("a"), *(source(f"s{n}") for n in range(number % 17))], indexed=set())
        ended.set()

    thread = threading.Thread(target=change)
    thread.start()
    while not ended.is_set():
        assert "a" in visible_sources(declared.visible_to, {"everyone"})
    thread.join()


def test_each_kind_of_source_is_made_with_its_settings(tmp_path: Path) -> None:
    declared = Declared(
        [
            source("folder"),
            SourceSettings(name="git", kind="git", url="https://h/x", branch="b", include=("*.md",)),
            SourceSettings(name="site", kind="website", url="https://h/", pages=7, visible_to=("slack:C1",)),
        ],
        data_dir=tmp_path,
    )
    assert declared.now.sources == (
        FolderSource("folder", Path("/folder"), EVERYONE, apart=frozenset({tmp_path})),
        GitSource("git", "https://h/x", EVERYONE, tmp_path, branch="b", include=("*.md",)),
        WebsiteSource("site", "https://h/", frozenset({"slack:C1"}), tmp_path, pages=7),
    )


@pytest.mark.parametrize("other", [{"url": "https://h/y"}, {"branch": "public"}])
def test_another_repository_or_branch_is_another_place(tmp_path: Path, other: dict[str, str]) -> None:
    values = {"name": "a", "kind": "git", "url": "https://h/x", "branch": "secret"}
    declared = Declared([SourceSettings.model_validate(values)], data_dir=tmp_path)
    declared.change([SourceSettings.model_validate(values | other)], indexed={"a"})
    assert declared.visible_to == {"a": frozenset()}


def test_other_patterns_are_no_other_place(tmp_path: Path) -> None:
    first = SourceSettings(name="a", kind="website", url="https://h/")
    declared = Declared([first], data_dir=tmp_path)
    declared.change([first.model_copy(update={"include": ("*.pdf",), "pages": 3})], indexed={"a"})
    assert declared.visible_to == {"a": EVERYONE}


def test_channels_are_read_by_their_platform_where_its_api_is(tmp_path: Path) -> None:
    settings = SourceSettings(name="chat", kind="slack", channels=("C1A",), days=30)
    declared = Declared([settings], data_dir=tmp_path, api_urls={"slack": "https://slack.example/api/"})
    (made,) = declared.now.sources
    assert isinstance(made, PluginSource)
    assert (made.kind, made.visible_to) == ("slack", frozenset({"slack:C1A"}))
    assert made.settings == {
        "channels": ("C1A",),
        "days": 30,
        "bots": False,
        "leave_out": (),
        "api_url": "https://slack.example/api/",
    }


def test_another_channel_is_another_place_but_its_settings_are_not(tmp_path: Path) -> None:
    first = SourceSettings(name="chat", kind="slack", channels=("C1A",), visible_to=("everyone",))
    declared = Declared([first], data_dir=tmp_path)
    place = declared.now.sources[0]
    declared.change([first.model_copy(update={"days": 7, "bots": True})], indexed={"chat"})
    assert declared.visible_to == {"chat": EVERYONE}
    declared.change([first.model_copy(update={"channels": ("C1A", "C2A")})], indexed={"chat"})
    assert declared.visible_to == {"chat": frozenset()}
    now = declared.now.sources[0]
    assert isinstance(place, PluginSource)
    assert isinstance(now, PluginSource)
    assert place.place == now.place


def test_a_folder_never_holds_the_questions_that_it_is_tried_with(tmp_path: Path) -> None:
    for name in ("rules.md", "questions [1].jsonl", "old/questions [1].jsonl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}")
    settings = source("docs").model_copy(
        update={"path": tmp_path, "evaluation": tmp_path / "questions [1].jsonl"}
    )
    (made,) = Declared([settings], data_dir=tmp_path / "data").now.sources
    assert [file.path for file in made.files()] == ["old/questions [1].jsonl", "rules.md"]


def test_a_folder_holds_nothing_of_what_parley_keeps_for_itself(tmp_path: Path) -> None:
    """Private channels, repositories and archives lie in the data directory, for other people than see the folder."""
    data = tmp_path / "parley-data"
    names = (
        "rules.md",
        "parley.toml",
        "questions.jsonl",
        "token.txt",
        "parley-data/sources/chat/1/C1/1.md",
        "parley-data/archives/1/0.md",
        ".hidden/a.md",
    )
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("text")
    (tmp_path / ".hidden/chats").symlink_to(data / "sources")
    (tmp_path / "link").symlink_to(tmp_path / ".hidden")
    docs = source("docs").model_copy(update={"path": tmp_path, "include": ("*.md", "*.jsonl", "*.t*")})
    other = {"name": "other", "kind": "git", "url": "https://h/x", "token_file": tmp_path / "token.txt"}
    asked = {"evaluation": tmp_path / "questions.jsonl"}
    declared = Declared(
        [docs, SourceSettings.model_validate(other | asked)], data_dir=data, apart=[tmp_path / "parley.toml"]
    )
    assert [file.path for file in declared.now.sources[0].files()] == ["link/a.md", "rules.md"]


def test_a_data_directory_behind_a_link_is_kept_apart_as_well(tmp_path: Path) -> None:
    (tmp_path / "docs/.data/sources").mkdir(parents=True)
    (tmp_path / "docs/.data/sources/secret.md").write_text("text")
    (tmp_path / "docs/shown").symlink_to(tmp_path / "docs/.data")
    (tmp_path / "data").symlink_to(tmp_path / "docs/.data")
    settings = source("docs").model_copy(update={"path": tmp_path / "docs"})
    (made,) = Declared([settings], data_dir=tmp_path / "data").now.sources
    assert list(made.files()) == []


def test_the_data_directory_is_no_source(tmp_path: Path) -> None:
    settings = source("docs").model_copy(update={"path": tmp_path / "data/sources"})
    (tmp_path / "data/sources").mkdir(parents=True)
    (made,) = Declared([settings], data_dir=tmp_path / "data").now.sources
    with pytest.raises(SourceError, match=r"holds what Parley keeps for itself\. Name another folder"):
        list(made.files())
