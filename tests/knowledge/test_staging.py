"""What is embedded while the next files are read, and how that ends early."""

import threading
import time
from collections.abc import Callable, Sequence

import pytest

from knowledge import staging
from knowledge.embedding import Vectors
from knowledge.planning import Progress
from tests.knowledge.fakes import HashingEmbedder
from tests.knowledge.setting import Setting

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
    embedding = threading.Event()

    class Slow(HashingEmbedder):
        def embed_documents(
            self, texts: Sequence[str], *, on_progress: Callable[[int], None] | None = None
        ) -> Vectors:
            embedding.set()
            until = time.monotonic() + PATIENCE
            while time.monotonic() < until and on_progress:
                on_progress(0)
                time.sleep(0.01)
            raise AssertionError("nobody stopped it")

    def stop(_: Progress) -> None:
        if embedding.is_set():
            raise EnoughError

    setting.embedder = Slow()
    setting.write(a="alpha")
    with pytest.raises(EnoughError):
        setting.index.sync(setting.sources, on_progress=stop)
    assert not any(thread.name.startswith("stage") for thread in threading.enumerate())
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
