from pathlib import Path

import pytest

from tests.llm import gguf_factory


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that writes printable nonsense for as long as it may; context of 4096 tokens."""
    return gguf_factory.build(tmp_path_factory.mktemp("models") / "tiny.gguf", context=4096)


@pytest.fixture(scope="session")
def tiny_without_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return gguf_factory.build(tmp_path_factory.mktemp("models") / "plain.gguf", template=None)
