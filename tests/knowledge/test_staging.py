"""What is embedded while the next files are read, and how that ends early."""

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from knowledge import staging
from knowledge.embedding import Vectors
from knowledge.planning import Progress
from knowledge.sources import FolderSource
from tests.knowledge.fakes import HashingEmbedder
from tests.knowledge.setting import EVERYONE, Setting

PATIENCE = 20.0


class EnoughError(Exception):
    """Somebody stops the sync."""


def test_the_next_files_are_cut_while_the_ones_before_are_embedded(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "_BATCH_CHUNKS", 1)  # a batch for each file
    reached = {"a": threading.Event(), "b": threading.Event(), "c": threading.Event()}
    next_one = {"alpha": "b", "beta": "c"}

    class Waiting(HashingEmbedder):
        def embed_documents(
            self, texts: Sequence[str], *, on_progress: Callable[[int], None] | None = None
        ) -> Vectors:
            for word, name in next_one.items():
                if any(word in text for text in texts):
                    assert reached[name].wait(PATIENCE)
            return super().embed_documents(texts, on_progress=on_progress)

    def note(progress: Progress) -> None:
        if progress.stage == "index":
            reached[progress.detail.removesuffix(".md")].set()

    setting.embedder = Waiting()
    setting.write(a="alpha", b="beta", c="gamma")
    setting.index.sync(setting.sources, on_progress=note)
    assert setting.texts() == ["alpha", "beta", "gamma"]
    assert setting.vectors() == setting.kept()


def test_a_sync_can_be_stopped_while_it_embeds_and_is_continued(setting: Setting) -> None:
    embedding, stopped = threading.Event(), threading.Event()

    class Slow(HashingEmbedder):
        def embed_documents(
            self, texts: Sequence[str], *, on_progress: Callable[[int], None] | None = None
        ) -> Vectors:
            embedding.set()
            until = time.monotonic() + PATIENCE
            try:
                while time.monotonic() < until and on_progress:
                    on_progress(0)
                    time.sleep(0.01)
            except Exception:
                stopped.set()
                raise
            return super().embed_documents(texts)

    def stop(_: Progress) -> None:
        if embedding.is_set():
            raise EnoughError

    setting.embedder = Slow()
    setting.write(a="alpha")
    with pytest.raises(EnoughError):
        setting.index.sync(setting.sources, on_progress=stop)
    assert stopped.is_set()
    assert not any(thread.name.startswith("behind") for thread in threading.enumerate())
    assert setting.texts() == []
    setting.embedder = HashingEmbedder()
    setting.sync()
    assert setting.texts() == ["alpha"]


def test_what_fails_behind_is_told_and_nothing_of_it_is_shown(setting: Setting) -> None:
    class Broken(HashingEmbedder):
        def embed_documents(
            self, texts: Sequence[str], *, on_progress: Callable[[int], None] | None = None
        ) -> Vectors:
            raise EnoughError

    setting.embedder = Broken()
    setting.write(a="alpha", b="beta")
    with pytest.raises(EnoughError):
        setting.sync()
    assert setting.texts() == []


def test_nothing_more_is_read_once_a_batch_has_failed(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "_BATCH_CHUNKS", 2)
    failing = threading.Event()
    seen = []

    class Broken(HashingEmbedder):
        def embed_documents(
            self, texts: Sequence[str], *, on_progress: Callable[[int], None] | None = None
        ) -> Vectors:
            failing.set()
            raise EnoughError

    def note(progress: Progress) -> None:
        if progress.stage == "index":
            seen.append(progress.detail)
            if progress.detail == "c.md":
                assert failing.wait(PATIENCE)
                time.sleep(1)  # for the error to arrive

    setting.embedder = Broken()
    setting.write(a="alpha", b="beta", c="gamma", d="delta")
    with pytest.raises(EnoughError):
        setting.index.sync(setting.sources, on_progress=note)
    assert "d.md" not in seen


def test_a_source_is_charged_for_what_is_its_own(
    setting: Setting, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(staging, "_BATCH_CHUNKS", 1)
    took = 0.5

    class SlowWithAlpha(HashingEmbedder):
        def embed_documents(
            self, texts: Sequence[str], *, on_progress: Callable[[int], None] | None = None
        ) -> Vectors:
            if any("alpha" in text for text in texts):
                time.sleep(took)
            return super().embed_documents(texts, on_progress=on_progress)

    setting.embedder = SlowWithAlpha()
    setting.write(a="alpha")
    other = tmp_path / "other"
    other.mkdir()
    (other / "b.md").write_text("beta")
    setting.sources.append(FolderSource("other", other, EVERYONE))
    slow, fast = setting.sync().sources
    assert slow.seconds >= took * 0.9
    assert fast.seconds < slow.seconds
