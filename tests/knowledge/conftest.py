from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, NullPool, create_engine

from knowledge.embedding import SentenceTransformerEmbedder
from knowledge.schema import metadata
from tests.chroma_server import chroma_server, chroma_url
from tests.knowledge.setting import Setting, memory_engine
from tests.postgres import database_url, postgres_url

__all__ = ["chroma_server", "chroma_url", "database_url", "postgres_url"]


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = memory_engine()
    yield engine
    engine.dispose()


@pytest.fixture
def any_engine(database_url: str) -> Iterator[Engine]:
    """A database of each kind with the manifest's tables."""
    engine = create_engine(database_url, poolclass=NullPool)
    metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty folder for documents."""
    folder = tmp_path / "docs"
    folder.mkdir()
    return folder


@pytest.fixture
def setting(engine: Engine, root: Path) -> Setting:
    return Setting(root, engine=engine)


@pytest.fixture(scope="session")
def starter_embedder() -> SentenceTransformerEmbedder:
    """all-MiniLM-L6-v2 from the installed package; loaded once."""
    pytest.importorskip("sentence_transformers")
    return SentenceTransformerEmbedder()
