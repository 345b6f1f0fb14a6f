"""Downloads from a hub on this machine: whole, broken off, resumed, wrong, refused."""

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.errors import ModelError, ModelFileError, ModelUnavailableError, UsageError
from bot.llm import hub as hub_module
from bot.llm.catalogue import CATALOGUE
from bot.llm.hub import Wanted, pull, wanted
from tests.platforms.hub import Hub

REPO, FILE = "maker/model-GGUF", "model-q4_k_m.gguf"
DATA = b"GGUF" + bytes(range(256)) * 4000


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _: None)  # between its attempts
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 4096)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    with Hub().serving() as made:
        made.files[REPO, FILE] = DATA
        yield made


def _pull(hub: Hub, folder: Path, file: str = FILE) -> Path:
    return pull(Wanted(REPO, file), folder, endpoint=hub.url)


def _leftovers(folder: Path) -> list[str]:
    """What is hidden there, beside the notes of where files are from."""
    hidden = sorted(path.name for path in folder.iterdir() if path.name.startswith("."))
    return [name for name in hidden if not name.endswith(".repository")]


def test_a_file_comes_with_progress_and_only_once(hub: Hub, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    path = pull(Wanted(REPO, FILE), tmp_path, endpoint=hub.url, on_progress=lambda *done: seen.append(done))
    assert (path.name, path.read_bytes()) == (FILE, DATA)
    assert seen[0] == (0, len(DATA))
    assert seen[-1] == (len(DATA), len(DATA))
    assert [have for have, _ in seen] == sorted(have for have, _ in seen)
    assert _pull(hub, tmp_path) == path
    assert len(hub.ranges) == 1
    assert _leftovers(tmp_path) == []


def test_a_dropped_connection_is_gone_on_with(hub: Hub, tmp_path: Path) -> None:
    hub.breaks = [300_000, 200_000]
    assert _pull(hub, tmp_path).read_bytes() == DATA
    starts = [int(asked.removeprefix("bytes=").rstrip("-") or 0) for asked in hub.ranges]
    assert starts[0] == 0
    assert 0 < starts[1] < starts[2] < len(DATA)


def test_what_came_before_the_process_ended_is_kept_for_the_next(hub: Hub, tmp_path: Path) -> None:
    hub.breaks = [300_000] + [0] * 20
    with pytest.raises(ModelUnavailableError, match=r"broke off .*pull again to go on"):
        _pull(hub, tmp_path)
    assert not (tmp_path / FILE).exists()
    hub.breaks.clear()
    hub.ranges.clear()
    assert _pull(hub, tmp_path).read_bytes() == DATA
    assert len(hub.ranges) == 1
    assert int(hub.ranges[0].removeprefix("bytes=").rstrip("-")) > 0
    assert _leftovers(tmp_path) == []


def test_a_server_without_ranges_gives_the_whole_again(hub: Hub, tmp_path: Path) -> None:
    hub.breaks, hub.ignores_ranges = [300_000], True
    assert _pull(hub, tmp_path).read_bytes() == DATA


def test_a_wrong_checksum_removes_the_file(hub: Hub, tmp_path: Path) -> None:
    hub.corrupts = True
    with pytest.raises(
        ModelFileError, match=r"checksum that the hub names, so it was removed: pull it again"
    ):
        _pull(hub, tmp_path)
    assert list(tmp_path.iterdir()) == []
    hub.corrupts = False
    assert _pull(hub, tmp_path).read_bytes() == DATA


def test_a_file_that_changed_on_the_hub_is_fetched_anew(hub: Hub, tmp_path: Path) -> None:
    _pull(hub, tmp_path)
    hub.files[REPO, FILE] = newer = DATA[::-1]
    assert _pull(hub, tmp_path).read_bytes() == newer


def test_a_file_of_another_repository_is_not_replaced(hub: Hub, tmp_path: Path) -> None:
    other = "other/model-GGUF"
    hub.files[other, FILE] = DATA[::-1]
    path = _pull(hub, tmp_path)
    with pytest.raises(ModelFileError, match=rf"from {REPO}: move it away, or pull into .*--to"):
        pull(Wanted(other, FILE), tmp_path, endpoint=hub.url)
    assert path.read_bytes() == DATA
    hub.files[other, FILE] = DATA
    assert pull(Wanted(other, FILE), tmp_path, endpoint=hub.url) == path


def test_a_file_that_was_put_there_by_hand_is_not_replaced(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"GGUF mine")
    with pytest.raises(ModelFileError, match="not known from where: move it away"):
        _pull(hub, tmp_path)
    assert (tmp_path / FILE).read_bytes() == b"GGUF mine"
    (tmp_path / FILE).unlink()
    assert _pull(hub, tmp_path).read_bytes() == DATA


def test_all_parts_of_a_model_come(hub: Hub, tmp_path: Path) -> None:
    names = [f"big-0000{n}-of-00003.gguf" for n in (1, 2, 3)]
    for name in names:
        hub.files[REPO, name] = hashlib.sha256(name.encode()).digest() * 100
    assert _pull(hub, tmp_path, names[1]).name == names[0]
    assert sorted(path.name for path in tmp_path.glob("[!.]*")) == names
    assert _leftovers(tmp_path) == []


def test_the_token_is_not_shown_to_the_file_server(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    _pull(hub, tmp_path)
    assert hub.tokens == [""]


@pytest.mark.parametrize(
    ("file", "gated", "sentence"),
    [
        (Wanted(REPO, "other.gguf"), False, "There is no file other.gguf in maker/model-GGUF"),
        (Wanted("nobody/nothing", FILE), False, "There is no repository nobody/nothing"),
        (Wanted(REPO, FILE), True, r"asks for consent to its licence: give it on http.*HF_TOKEN"),
    ],
)
def test_what_the_hub_refuses_is_named(
    hub: Hub, tmp_path: Path, file: Wanted, gated: bool, sentence: str
) -> None:
    if gated:
        hub.gated.add(REPO)
    with pytest.raises(ModelFileError, match=sentence):
        pull(file, tmp_path, endpoint=hub.url)


def test_no_network_is_a_sentence(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(
        ModelUnavailableError, match=r"cannot be reached.*copy the GGUF file here by other means"
    ):
        pull(Wanted(REPO, FILE), tmp_path, endpoint="http://127.0.0.1:9")


def test_offline_by_choice_is_a_sentence(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelUnavailableError, match="HF_HUB_OFFLINE is set: unset it"):
        _pull(hub, tmp_path)


def test_a_full_disk_is_named_before_the_download(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(ModelFileError, match="not so much room"):
        _pull(hub, tmp_path)
    assert hub.ranges == []


def test_two_at_once_do_not_write_over_each_other(hub: Hub, tmp_path: Path) -> None:
    etag = hashlib.sha256(DATA).hexdigest()
    with (
        hub_module._alone(tmp_path / f".{FILE}.{etag[:16]}.part"),
        pytest.raises(ModelError, match="downloaded by another process"),
    ):
        _pull(hub, tmp_path)


def test_names_and_addresses_are_understood(hub: Hub) -> None:
    first = CATALOGUE[0]
    assert wanted(first.name.upper()) == Wanted(first.repo, first.file)
    assert wanted(f"{REPO}:sub/{FILE}") == Wanted(REPO, f"sub/{FILE}")
    with pytest.raises(UsageError, match=f"Write {REPO}:FILE; there are: {FILE}"):
        wanted(REPO, endpoint=hub.url)
    for text in ("gpt-9", "a/b/c", f"{REPO}:../{FILE}", f"{REPO}:notes.txt"):
        with pytest.raises(UsageError, match="write repository:file"):
            wanted(text)


def test_the_catalogue_is_consistent() -> None:
    assert len({offer.name for offer in CATALOGUE}) == len(CATALOGUE)
    for offer in CATALOGUE:
        assert wanted(f"{offer.repo}:{offer.file}") == Wanted(offer.repo, offer.file)
        assert offer.size_bytes < offer.memory_bytes < 2 * offer.size_bytes
