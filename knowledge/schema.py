"""The tables of the manifest; `knowledge.manifest` has the queries. Portable to SQLite and PostgreSQL."""

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

documents = Table(
    "documents",
    metadata,
    Column("version", String(40), primary_key=True, doc="Hash of id, content and generation."),
    Column("id", String(40), nullable=False),
    Column("source", String(200), nullable=False),
    Column("path", Text, nullable=False),
    Column("uri", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("content_hash", String(64), nullable=False),
    Column("generation", String(40), nullable=False),
    Column("live", Boolean, nullable=False),
    Column("live_since", Integer, nullable=False, server_default="0", doc="Revision that made it live."),
    Column("retired_in", Integer, doc="Revision that took it away; null while it is live or was never."),
    Column("metadata", JSON, nullable=False),
    Column("indexed_at", DateTime(timezone=True), nullable=False),
    Index("ix_documents_live_source", "live", "source"),
)

chunks = Table(
    "chunks",
    metadata,
    Column("id", String(60), primary_key=True),
    Column("version", ForeignKey("documents.version", ondelete="CASCADE"), nullable=False, index=True),
    Column("position", Integer, nullable=False),
    Column("heading", Text, nullable=False),
    Column("anchor", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("key", String(60), nullable=False, server_default="", index=True, doc="See `Chunk.key`."),
    Column("line", Integer, nullable=False, server_default="0"),
    Column("language", String(8), nullable=False, server_default=""),
)

failures = Table(
    "load_failures",
    metadata,
    Column("document_id", String(40), primary_key=True),
    Column("source", String(200), nullable=False),
    Column("path", Text, nullable=False),
    Column("content_hash", String(64), nullable=False),
    Column("loader_version", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("failed_at", DateTime(timezone=True), nullable=False),
)

index_state = Table(
    "index_state",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("revision", Integer, nullable=False),
    Column("generation", String(40), nullable=False),
    Column(
        "embedder", Text, nullable=False, doc="Fingerprint of the embedding model of the live generation."
    ),
    Column("unfinished", Boolean, nullable=False, doc="A sync has begun and not collected its rubbish."),
    Column(
        "previous_generation",
        String(40),
        nullable=False,
        server_default="",
        doc="Before the last publication.",
    ),
    Column("previous_embedder", Text, nullable=False, server_default=""),
    Column("restores", Integer, nullable=False, server_default="0", doc="See `State.restores`."),
)
