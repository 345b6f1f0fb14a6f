"""Sources of kind git, on real repositories and a real server."""

import os
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knowledge.errors import SourceError
from knowledge.sources.folder import LISTED_TYPES
from knowledge.sources.git import GitSource, wanted_by_git
from knowledge.sources.patterns import Patterns
from tests.knowledge.sources.repositories import Repository, serving

EVERYONE = frozenset({"everyone"})
HUSH = "hush-hush"


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """With one document, and a picture that is none."""
    repository = Repository(tmp_path / "team" / "handbook")
    repository.write({"image.png": "no text", "src/code.tool": "pass"})
    repository.commit(travel__hotels_md="140 EUR")
    return repository


@pytest.fixture
def source(repository: Repository, tmp_path: Path) -> Callable[..., GitSource]:
    def make(**changes: object) -> GitSource:
        values: dict[str, object] = {
            "name": "handbook",
            "url": str(repository.path),
            "visible_to": EVERYONE,
            "data_dir": tmp_path / "data",
        }
        return GitSource(**(values | changes))  # type: ignore[arg-type]

    return make


def texts(source: GitSource) -> dict[str, str]:
    return {file.path: file.problem or file.local.read_text() for file in source.files()}


def clone_of(source: GitSource) -> Path:
    (clone,) = source.data_dir.glob("sources/*/*/clone")
    return clone


def test_each_reading_brings_what_is_there_now(
    repository: Repository, source: Callable[..., GitSource]
) -> None:
    assert texts(source()) == {"travel/hotels.md": "140 EUR"}
    repository.commit(travel__hotels_md="160 EUR", food_md="Soup")
    assert texts(source()) == {"food.md": "Soup", "travel/hotels.md": "160 EUR"}
    repository.commit(remove=("travel/hotels.md",))
    assert texts(source()) == {"food.md": "Soup"}
    assert texts(source()) == {"food.md": "Soup"}


def test_a_rewritten_history_is_taken_as_it_is(
    repository: Repository, source: Callable[..., GitSource]
) -> None:
    texts(source())
    repository.git("checkout", "--quiet", "--orphan", "other")
    repository.git("rm", "--quiet", "-rf", ".")
    repository.commit(new_md="From scratch")
    repository.git("branch", "--force", "main", "other")
    repository.git("checkout", "--quiet", "main")
    assert texts(source()) == {"new.md": "From scratch"}


def test_a_branch_or_a_tag(repository: Repository, source: Callable[..., GitSource]) -> None:
    repository.git("tag", "--annotate", "--message=one", "v1")
    repository.git("checkout", "--quiet", "-b", "drafts/2026")
    repository.commit(draft_md="Perhaps")
    assert sorted(texts(source(branch="drafts/2026"))) == ["draft.md", "travel/hotels.md"]
    assert sorted(texts(source(branch="v1"))) == ["travel/hotels.md"]
    assert sorted(texts(source(branch="main"))) == ["travel/hotels.md"]
    with pytest.raises(SourceError, match=r"'handbook'.* no branch or tag named 'nowhere'; correct `branch`"):
        texts(source(branch="nowhere"))


def test_patterns(repository: Repository, source: Callable[..., GitSource]) -> None:
    repository.commit(a_md="a", drafts__b_md="b", drafts__deep__c_txt="c")
    assert sorted(texts(source(include=("*.tool", "drafts/**"), exclude=("*.md",)))) == [
        "drafts/deep/c.txt",
        "src/code.tool",
    ]
    assert sorted(texts(source(include=("[ab].md",)))) == ["a.md", "drafts/b.md"]
    assert sorted(texts(source())) == ["a.md", "drafts/b.md", "drafts/deep/c.txt", "travel/hotels.md"]


def test_only_files_that_can_be_documents_are_fetched(
    repository: Repository, source: Callable[..., GitSource], tmp_path: Path
) -> None:
    (repository.path / "film.bin").write_bytes(os.urandom(1_000_000))
    repository.commit()
    with serving(tmp_path) as server:
        one = source(url=f"{server.url}team/handbook/.git")
        assert texts(one) == {"travel/hotels.md": "140 EUR"}
    assert [path.name for path in (clone_of(one) / "files").rglob("*") if path.is_file()] == ["hotels.md"]
    packed = sum(pack.stat().st_size for pack in (clone_of(one) / "repository").rglob("*.pack"))
    assert packed < 100_000


def test_archives_are_fetched(
    repository: Repository, source: Callable[..., GitSource], tmp_path: Path
) -> None:
    for name in ("minutes.zip", "old.tar.gz", "list.mbox"):
        (repository.path / name).write_bytes(b"packed")
    repository.commit()
    with serving(tmp_path) as server:
        found = [file.path for file in source(url=f"{server.url}team/handbook/.git").files()]
    assert found == ["list.mbox", "minutes.zip", "old.tar.gz", "travel/hotels.md"]


def days(source: GitSource) -> dict[str, str]:
    return {file.path: file.metadata.get("date", "")[:10] for file in source.files()}


def test_a_file_has_the_day_of_its_last_commit_where_the_server_hands_out_history_alone(
    repository: Repository,
    source: Callable[..., GitSource],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2025-12-31T23:00:00+00:00")
    repository.write({"ü b.md": "Soup"})
    repository.commit(food_md="Soup")
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2026-01-02T03:00:00+00:00")
    repository.commit(travel__hotels_md="160 EUR")
    repository.commit()
    assert set(days(source()).values()) == {
        ""
    }  # a repository on this machine knows no filter unless it is told to
    with serving(tmp_path) as server:
        one = source(url=f"{server.url}team/handbook/.git")
        known = {"food.md": "2025-12-31", "travel/hotels.md": "2026-01-02", "ü b.md": "2025-12-31"}
        assert days(one) == known
        monkeypatch.setenv("GIT_COMMITTER_DATE", "2026-02-02T03:00:00+00:00")
        repository.commit(food_md="Salad")
        assert days(one) == known | {"food.md": "2026-02-02"}


def test_what_was_not_changed_lately_has_no_day(
    repository: Repository, source: Callable[..., GitSource], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("knowledge.sources.git._WITH_HISTORY", ("--depth=2", "--filter=blob:none"))
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2026-01-02T03:00:00+00:00")
    repository.commit(food_md="Soup")
    repository.commit(drinks_md="Tea")
    with serving(tmp_path) as server:
        found = days(source(url=f"{server.url}team/handbook/.git"))
    assert found == {"drinks.md": "2026-01-02", "food.md": "", "travel/hotels.md": ""}


def test_nothing_is_fetched_when_nothing_has_changed(
    source: Callable[..., GitSource], tmp_path: Path
) -> None:
    with serving(tmp_path) as server:
        one = source(url=f"{server.url}team/handbook/.git")
        before = texts(one)
        server.requests.clear()
        assert texts(one) == before
        assert not any("git-upload-pack" in request and "fetch" in request for request in server.requests)
        assert len(server.requests) <= 2


def test_a_server_that_only_hands_out_files(
    repository: Repository, source: Callable[..., GitSource], tmp_path: Path
) -> None:
    with serving(tmp_path, simple=True) as server:
        repository.git("update-server-info")
        one = source(url=f"{server.url}team/handbook/.git")
        assert texts(one) == {"travel/hotels.md": "140 EUR"}
        repository.commit(food_md="Soup")
        repository.git("update-server-info")
        assert sorted(texts(one)) == ["food.md", "travel/hotels.md"]


def _without_head(clone: Path) -> None:
    (clone / "repository/HEAD").unlink()


def _without_objects(clone: Path) -> None:
    shutil.rmtree(clone / "repository/objects")


def _with_a_broken_index(clone: Path) -> None:
    (clone / "repository/index").write_text("no index")


def _left_locked(clone: Path) -> None:
    (clone / "repository/index.lock").touch()


def _with_other_files(clone: Path) -> None:
    (clone / "files/travel/hotels.md").write_text("999 EUR")
    (clone / "files/extra.md").write_text("Never committed")


def _without_files(clone: Path) -> None:
    shutil.rmtree(clone / "files")


@pytest.mark.parametrize(
    "damage",
    [_without_head, _without_objects, _with_a_broken_index, _left_locked, _with_other_files, _without_files],
)
def test_a_damaged_clone_is_mended(source: Callable[..., GitSource], damage: Callable[[Path], None]) -> None:
    texts(source())
    damage(clone_of(source()))
    assert texts(source()) == {"travel/hotels.md": "140 EUR"}


def test_what_is_left_of_an_interrupted_clone_is_no_hindrance(source: Callable[..., GitSource]) -> None:
    texts(source())
    clone = clone_of(source())
    clone.rename(clone.with_name("fresh"))
    assert texts(source()) == {"travel/hotels.md": "140 EUR"}


def test_a_repository_that_is_gone_is_an_error_and_no_empty_source(
    repository: Repository, source: Callable[..., GitSource]
) -> None:
    texts(source())
    repository.path.rename(repository.path.with_name("moved"))
    with pytest.raises(SourceError, match=r"'handbook': .*/handbook cannot be read \(.*\); correct `url`"):
        texts(source())
    assert (clone_of(source()) / "files/travel/hotels.md").exists()


def test_an_empty_repository_is_an_error(source: Callable[..., GitSource], tmp_path: Path) -> None:
    Repository(tmp_path / "empty")
    with pytest.raises(SourceError, match="has no commit on its first branch; push one"):
        texts(source(url=str(tmp_path / "empty")))


def test_another_place_shows_nothing_of_the_former(source: Callable[..., GitSource], tmp_path: Path) -> None:
    texts(source())
    other = Repository(tmp_path / "other")
    other.commit(public_md="For all")
    assert texts(source(url=str(other.path))) == {"public.md": "For all"}
    assert len(list((tmp_path / "data/sources/handbook").iterdir())) == 1


@pytest.mark.parametrize(
    "target", ["{outside}/key.md", "../../repository/config", "../../../clone/repository/HEAD"]
)
def test_links_do_not_lead_out_of_the_files(
    repository: Repository, source: Callable[..., GitSource], tmp_path: Path, target: str
) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/key.md").write_text(HUSH)
    (repository.path / "key.md").symlink_to(target.format(outside=tmp_path / "outside"))
    (repository.path / "folder").symlink_to(tmp_path / "outside")
    (repository.path / "config.md").symlink_to(".git/config")
    repository.commit()
    found = texts(source())
    assert found.pop("travel/hotels.md") == "140 EUR"
    assert found.keys() == {"key.md", "config.md"}
    assert all(text.startswith("the link leads ") for text in found.values())


def test_neither_hooks_nor_submodules_nor_filters_of_others_run(
    repository: Repository, source: Callable[..., GitSource], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = tmp_path / "ran"
    template = tmp_path / "template"
    (template / "hooks").mkdir(parents=True)
    for name in ("post-checkout", "post-merge", "reference-transaction", "post-index-change"):
        (template / "hooks" / name).write_text(f"#!/bin/sh\ntouch {ran}\n")
        (template / "hooks" / name).chmod(0o755)
    settings = tmp_path / "settings"
    settings.write_text(f"[init]\ntemplateDir = {template}\n[core]\nhooksPath = {template}/hooks\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    part = Repository(tmp_path / "part")
    part.commit(part_md="Part")
    repository.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(part.path), "part")
    repository.commit()
    assert texts(source()) == {"travel/hotels.md": "140 EUR"}
    assert not ran.exists()


def test_ext_addresses_run_nothing(source: Callable[..., GitSource], tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="give an address of https, ssh or git"):
        texts(source(url=f"ext::sh -c touch% {tmp_path}/ran"))
    assert not (tmp_path / "ran").exists()


def test_an_address_that_looks_like_an_option_is_none(
    source: Callable[..., GitSource], tmp_path: Path
) -> None:
    with pytest.raises(SourceError):
        texts(source(url=f"--upload-pack=touch {tmp_path}/ran"))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [HUSH, f"ann:{HUSH}\n"])
def test_a_token_from_a_file_logs_in(source: Callable[..., GitSource], tmp_path: Path, content: str) -> None:
    token = tmp_path / "token"
    token.write_text(content)
    name = "ann" if ":" in content else "x-access-token"
    with serving(tmp_path, password=f"{name}:{HUSH}") as server:
        one = source(url=f"{server.url}team/handbook/.git", token_file=token)
        assert texts(one) == {"travel/hotels.md": "140 EUR"}
        assert HUSH not in repr(one)
    for file in (tmp_path / "data").rglob("*"):
        assert not file.is_file() or HUSH.encode() not in file.read_bytes()


def test_a_login_that_is_not_there_is_not_asked_for(source: Callable[..., GitSource], tmp_path: Path) -> None:
    with serving(tmp_path, password=f"ann:{HUSH}") as server:
        with pytest.raises(SourceError, match=r"terminal prompts disabled\); give the user .* `token_file`"):
            texts(source(url=f"{server.url}team/handbook/.git"))
        token = tmp_path / "token"
        token.write_text("wrong-one")
        with pytest.raises(SourceError, match="`token_file`") as caught:
            texts(source(url=f"{server.url}team/handbook/.git", token_file=token))
        assert "wrong-one" not in str(caught.value)


def test_a_password_is_not_repeated(source: Callable[..., GitSource]) -> None:
    with socket.socket() as taken:  # bound and not listening: nobody answers
        taken.bind(("127.0.0.1", 0))
        url = f"http://ann:{HUSH}@127.0.0.1:{taken.getsockname()[1]}/x.git"
        with pytest.raises(SourceError, match="check `url` and the network") as caught:
            texts(source(url=url))
    assert HUSH not in str(caught.value)
    assert HUSH not in str(caught.value.__cause__)


@pytest.mark.parametrize("content", ["", "ann:", ":x", "two\nlines"])
def test_a_token_file_without_a_token(source: Callable[..., GitSource], tmp_path: Path, content: str) -> None:
    (tmp_path / "token").write_text(content)
    with pytest.raises(SourceError, match="holds no token that can be read; write the token into it"):
        texts(source(url="https://host.invalid/x", token_file=tmp_path / "token"))


@pytest.mark.parametrize("own", [False, True])
def test_ssh_never_asks_and_is_the_one_that_the_user_has_set(
    source: Callable[..., GitSource], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: bool
) -> None:
    program = tmp_path / "bin" / "ssh"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "fatal: $0 was given $*" >&2\nexit 255\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    if own:
        (tmp_path / "settings").write_text(f"[core]\nsshCommand = {program} -i mine\n")
        monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "settings"))
    with pytest.raises(
        SourceError, match="-i mine -o S" if own else "BatchMode=yes -o ConnectTimeout=30 -o S"
    ):
        texts(source(url="git@h.invalid:team/handbook.git"))


@pytest.mark.parametrize(
    ("said", "fix"),
    [
        ("git@h: Permission denied (publickey).", "a credential helper or an SSH key"),
        ("Host key verification failed.", "add the host's key to the `known_hosts`"),
    ],
)
def test_what_ssh_says_names_the_fix(
    source: Callable[..., GitSource], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, fix: str
) -> None:
    program = tmp_path / "ssh"
    program.write_text(f'#!/bin/sh\necho "Warning: added a host" >&2\necho "{said}" >&2\nexit 255\n')
    program.chmod(0o755)
    monkeypatch.setenv("GIT_SSH_COMMAND", str(program))
    with pytest.raises(SourceError, match=fix) as caught:
        texts(source(url="git@h.invalid:team/handbook.git"))
    assert said.rstrip(".") in str(caught.value)
    assert "Warning" not in str(caught.value)


def test_a_server_that_says_nothing_is_given_up(source: Callable[..., GitSource]) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(SourceError, match="did not end within 1 s"):
            texts(source(url=f"http://127.0.0.1:{silent.getsockname()[1]}/x.git", timeout_s=1))


def test_without_git(source: Callable[..., GitSource], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(SourceError, match="the program `git` is not installed; install it"):
        texts(source())


def test_a_folder_that_cannot_be_written(source: Callable[..., GitSource], tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(SourceError, match="cannot be written"):
        texts(source())


def test_a_data_folder_that_is_relative(
    source: Callable[..., GitSource], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert texts(source(data_dir=Path("here"))) == {"travel/hotels.md": "140 EUR"}
    assert (tmp_path / "here/sources/handbook").is_dir()


def test_web_addresses_of_the_files(source: Callable[..., GitSource], tmp_path: Path) -> None:
    (file,) = source().files()
    assert file.uri == str(file.local)
    (file,) = source(web="https://git.example.org/team/handbook/src/branch/main").files()
    assert file.uri == "https://git.example.org/team/handbook/src/branch/main/travel/hotels.md"


PATHS = st.lists(
    st.sampled_from(["a", "b.md", "c.txt", "drafts", "X.MD", "a.ZIP", "b.tar.gz"]),
    min_size=1,
    max_size=3,
    unique=True,
)
PATTERNS = st.lists(
    st.lists(st.sampled_from(["**", "*", "*.md", "a", "drafts", "?.txt", "b*"]), min_size=1, max_size=3),
    max_size=2,
)


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository to ask git in what its patterns match."""
    folder = tmp_path_factory.mktemp("asked")
    subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
    return folder


@settings(deadline=None, max_examples=50)
@given(paths=st.lists(PATHS, min_size=1, max_size=6), patterns=PATTERNS)
def test_git_leaves_out_nothing_that_is_wanted(
    asked: Path, paths: list[list[str]], patterns: list[list[str]]
) -> None:
    """What git is told to fetch holds all that the same patterns take from a folder."""
    include = tuple("/".join(parts) for parts in patterns)
    names = {"/".join(parts) for parts in paths}
    (asked / ".git/info/exclude").write_text(wanted_by_git(include))
    fetched = subprocess.run(
        ["git", "check-ignore", "--no-index", "--stdin"],
        cwd=asked,
        input="\n".join(names),
        capture_output=True,
        encoding="utf-8",
        check=False,
    ).stdout.splitlines()
    wanted = {name for name in names if Patterns(include).want(PurePosixPath(name), types=LISTED_TYPES)}
    assert wanted <= set(fetched)
