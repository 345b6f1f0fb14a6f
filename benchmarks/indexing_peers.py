"""LangChain and LlamaIndex indexing a folder, for `benchmarks.indexing`: plain loops, as their introductions show.

Nothing is left out that a reader would leave in, and nothing added: one process, default batch sizes, no tuning. The
pieces are about 200 tokens of the embedding model and do not overlap.
"""

import os
import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PIECE = 200
"""Tokens."""


@dataclass(frozen=True)
class Run:
    """What was built, and how long it took."""

    files: int
    texts: Sequence[str]
    """What was embedded."""
    start_seconds: float
    build_seconds: float
    cpu_seconds: float


def langchain(docs: Path, folder: Path) -> Run:
    """Length is counted in characters, which is their default and faster than counting tokens."""
    characters = round(PIECE * characters_per_token(docs))
    model = model_folder()
    started = time.perf_counter()
    from langchain_chroma import Chroma
    from langchain_community.document_loaders import DirectoryLoader, TextLoader
    from langchain_huggingface import HuggingFaceEmbeddings
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    embeddings = HuggingFaceEmbeddings(model_name=model)
    embeddings.embed_query("warm up")
    ready, cpu = time.perf_counter(), cpu_seconds()
    loader = DirectoryLoader(
        str(docs), glob="**/*.md", loader_cls=TextLoader, loader_kwargs={"encoding": "utf-8"}
    )
    documents = loader.load()
    splitter = RecursiveCharacterTextSplitter(chunk_size=characters, chunk_overlap=0)
    pieces = splitter.split_documents(documents)
    Chroma.from_documents(pieces, embeddings, persist_directory=str(folder))
    done, cpu = time.perf_counter(), cpu_seconds() - cpu
    return Run(len(documents), [piece.page_content for piece in pieces], ready - started, done - ready, cpu)


def llamaindex(docs: Path, folder: Path) -> Run:
    """Its splitter counts tokens of GPT's tokenizer, some more or fewer than the model's."""
    model = model_folder()
    started = time.perf_counter()
    import chromadb
    from llama_index.core import SimpleDirectoryReader, StorageContext, VectorStoreIndex
    from llama_index.core.node_parser import SentenceSplitter
    from llama_index.core.schema import MetadataMode
    from llama_index.embeddings.huggingface import HuggingFaceEmbedding
    from llama_index.vector_stores.chroma import ChromaVectorStore

    embedding = HuggingFaceEmbedding(model_name=model)
    embedding.get_query_embedding("warm up")
    ready, cpu = time.perf_counter(), cpu_seconds()
    documents = SimpleDirectoryReader(str(docs), recursive=True, required_exts=[".md"]).load_data()
    splitter = SentenceSplitter(chunk_size=PIECE, chunk_overlap=0, include_metadata=False)
    nodes: list[Any] = splitter.get_nodes_from_documents(documents)
    collection = chromadb.PersistentClient(str(folder)).create_collection("docs")
    storage = StorageContext.from_defaults(vector_store=ChromaVectorStore(chroma_collection=collection))
    VectorStoreIndex(nodes, storage_context=storage, embed_model=embedding)
    done, cpu = time.perf_counter(), cpu_seconds() - cpu
    texts = [node.get_content(metadata_mode=MetadataMode.EMBED) for node in nodes]
    files = len({document.metadata["file_path"] for document in documents})
    return Run(files, texts, ready - started, done - ready, cpu)


def cpu_seconds() -> float:
    """That this process has used so far on all cores, and those of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def model_folder() -> str:
    """The embedding model that comes with Parley; nothing is asked of the hub."""
    from knowledge.embedding import SentenceTransformerEmbedder

    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["ANONYMIZED_TELEMETRY"] = "False"
    return str(SentenceTransformerEmbedder().folder)


def characters_per_token(docs: Path) -> float:
    """Of these documents and the embedding model."""
    from knowledge.embedding import SentenceTransformerEmbedder

    texts = [file.read_text(encoding="utf-8") for file in sorted(docs.rglob("*.md"))[::10]]
    encodings = SentenceTransformerEmbedder().tokenizer.encode_batch_fast(texts, add_special_tokens=False)
    return sum(map(len, texts)) / sum(len(encoding.ids) for encoding in encodings)
