from pathlib import Path

from knowledge.errors import EmbeddingModelError
from knowledge.known_models import KnownModels
from tests.knowledge.fakes import HashingEmbedder


class Opened:
    """Opens fakes, and counts."""

    def __init__(self) -> None:
        self.names: list[str | None] = []

    def __call__(self, name: str | None) -> HashingEmbedder:
        self.names.append(name)
        if name == "gone":
            raise EmbeddingModelError("It is gone.")
        return HashingEmbedder(name=name or "starter")


def test_a_model_is_found_by_what_was_noted_and_opened_once(tmp_path: Path) -> None:
    opened = Opened()
    path = tmp_path / "data" / "embedding-models.json"
    KnownModels(path, opened).note("one@64", "one")
    KnownModels(path, opened).note("starter@64", None)
    models = KnownModels(path, opened)
    assert models.find("two@64") is None
    assert models.find("one@64") is models.find("one@64")
    found = models.find("starter@64")
    assert found is not None
    assert found.fingerprint == "starter@64"
    assert opened.names == ["one", None]


def test_a_model_that_has_changed_or_a_file_that_is_damaged_is_as_if_nothing_were_known(
    tmp_path: Path,
) -> None:
    path = tmp_path / "models.json"
    models = KnownModels(path, Opened())
    models.note("one@32", "one")
    assert models.find("one@32") is None
    path.write_text("{")
    assert models.find("one@32") is None
    models.note("one@64", "one")
    assert models.find("one@64") is not None


def test_only_the_last_ones_are_remembered(tmp_path: Path) -> None:
    models = KnownModels(tmp_path / "models.json", Opened())
    for number in range(12):
        models.note(f"m{number}@64", f"m{number}")
    assert models.find("m0@64") is None
    assert models.find("m11@64") is not None
