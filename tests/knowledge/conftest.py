from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine
from sqlalchemy.pool import StaticPool

from knowledge.embedding import SentenceTransformerEmbedder
from knowledge.schema import metadata


def memory_engine() -> Engine:
    """A SQLite database in memory with the manifest's tables."""
    engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    metadata.create_all(engine)
    return engine


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = memory_engine()
    yield engine
    engine.dispose()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty folder for documents."""
    folder = tmp_path / "docs"
    folder.mkdir()
    return folder


@pytest.fixture(scope="session")
def starter_embedder() -> SentenceTransformerEmbedder:
    """all-MiniLM-L6-v2 from the installed package; loaded once."""
    pytest.importorskip("sentence_transformers")
    return SentenceTransformerEmbedder()
