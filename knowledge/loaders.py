"""Bytes to documents: Markdown text, a title and metadata.

Whatever needs a parser is read in a worker process with limits of time and memory, started when the first such file
comes: a file that hangs, explodes or crashes its parser costs that file. Every failure is a `LoadError` that names the
file and the way out.
"""

import hashlib
import os
import re
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Self

from knowledge.conversion import ConversionError, Converted, convert, pieces_of_work
from knowledge.documents import Document
from knowledge.errors import KnowledgeError, LoadError
from knowledge.formats import CODE_TYPES, PLAIN_TYPES
from knowledge.formats.converted import MAX_CHARACTERS
from knowledge.markdown import first_heading
from knowledge.sources.opening import UnreadableError, read_whole, require_size
from knowledge.sources.protocol import SourceFile
from knowledge.workers import (
    MAX_BYTES,
    WorkerDiedError,
    WorkerError,
    Workers,
    WorkerStartError,
    WorkerTimeoutError,
)

LOADER_VERSION = 4
"""Part of the index's generation: raise it when the same bytes give another text."""
_PLAIN_BYTES = 250_000
"""Up to which text that is not parsed is read in this process: milliseconds, a few seconds if made to be slow."""
_FRONT_MATTER_MARKS = (b"---", b"+++", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
"""Beginnings of a text with front matter, as bytes, or of one whose encoding has to be found first."""
_PIECE_S = 1.0
"""What a page takes on a slow machine, tables and all; most take a tenth of it."""
_LONGER = 10
"""Times the time of a short file that a long one may take, whatever it says about itself."""
_AHEAD = 4
"""Files for each process that are read before they are asked for."""


def document_id(source: str, path: str) -> str:
    """Stable over edits of the file; 24 hexadecimal digits."""
    return hashlib.sha256(f"{source}\0{path}".encode()).hexdigest()[:24]


def file_hash(file: SourceFile, data: bytes) -> str:
    """SHA-256 of the bytes, and of what the source knows about them, in hexadecimal."""
    digest = hashlib.sha256(data)
    for key in sorted(file.metadata):
        digest.update(f"\0{key}\0{file.metadata[key]}".encode())
    return digest.hexdigest()


def _processes() -> int:
    """Some hundred MB each; the embedding needs the cores as well."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(4, usable)


@dataclass(frozen=True, slots=True)
class Loaded:
    """What became of a file."""

    content_hash: str
    """'' when it could not even be read."""
    result: Document | LoadError


@dataclass
class Loader:
    """Reads files; a context manager, because it may own worker processes. For any threads."""

    timeout_s: float = 60.0
    """Per file, for parsers; a PDF of many pages gets more, see `_patience`."""
    max_bytes: int = 50_000_000
    max_worker_bytes: int = MAX_BYTES
    """Address space of a worker."""
    processes: int = field(default_factory=_processes)
    """The most that read files at once."""
    _workers: Workers | None = field(default=None, init=False, repr=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._workers is not None:
            self._workers.stop()
            self._workers = None

    def read(self, file: SourceFile) -> bytes:
        """The bytes of the file; raises LoadError."""
        try:
            data = read_whole(file, max_bytes=self.max_bytes)
        except UnreadableError as error:
            raise LoadError(f"{file.path}: {error}") from error
        if not data:
            raise LoadError(f"{file.path}: the file is empty (0 bytes); fill or exclude it")
        return data

    def load(self, file: SourceFile, data: bytes, *, source: str) -> Document:
        """Turn `data`, the bytes of `file`, into a document of `source`; raises LoadError."""
        converted = self._converted(file, data, is_of_source=bool(source))
        return Document(
            id=document_id(source, file.path),
            source=source,
            title=converted.title,
            uri=file.uri,
            text=converted.text,
            metadata={**file.metadata, **converted.metadata},
        )

    def load_all(self, files: Iterable[tuple[SourceFile, str]]) -> Generator[Loaded]:
        """Read and load files, each with the name of its source, in their order.

        Some are loaded ahead in other processes while the caller is busy with the ones before. Raises what is no
        fault of a file.
        """
        pool = self._pool
        threads = ThreadPoolExecutor(self.processes, thread_name_prefix="load")
        waiting: deque[Future[Loaded]] = deque()
        try:
            for file, source in files:
                waiting.append(threads.submit(self._read_and_load, file, source))
                if len(waiting) > _AHEAD * self.processes:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            if waiting:  # somebody has had enough; what is under way shall not hold them up
                pool.stop()
            threads.shutdown(cancel_futures=True)
            if waiting:
                self._workers = None

    def load_bytes(self, name: str, data: bytes) -> Document:
        """Turn the bytes of a file that is in no source into a document; raises LoadError."""
        try:
            require_size(len(data), max_bytes=self.max_bytes, setting=False)
        except UnreadableError as error:
            raise LoadError(f"{name}: {error}") from error
        return self.load(SourceFile(name, "", Path(name)), data, source="")

    def _read_and_load(self, file: SourceFile, source: str) -> Loaded:
        content_hash = ""
        try:
            data = self.read(file)
            content_hash = file_hash(file, data)
            return Loaded(content_hash, self.load(file, data, source=source))
        except LoadError as error:
            return Loaded(content_hash, error)

    def _converted(self, file: SourceFile, data: bytes, *, is_of_source: bool) -> Converted:
        timeout_s = self._patience(file, data) if is_of_source else self.timeout_s
        try:
            if _is_plain(file.path, data):
                return readable(file.path, data)
            return self._pool.run(readable, file.path, data, timeout_s=timeout_s)
        except ConversionError as error:
            raise LoadError(f"{file.path}: {error}") from error
        except WorkerTimeoutError as error:
            raise LoadError(
                f"{file.path}: its parser did not finish within {timeout_s:g} s; "
                "simplify, split or exclude the file"
                + (", or raise knowledge.file_timeout" if is_of_source else "")
            ) from error
        except WorkerDiedError as error:
            happened = "was killed, most likely for want of memory" if error.was_killed else "crashed"
            raise LoadError(
                f"{file.path}: its parser {happened}; repair, split or exclude the file"
            ) from error
        except MemoryError as error:
            raise LoadError(
                f"{file.path}: its parser ran out of memory; split or exclude the file"
            ) from error
        except WorkerStartError as error:
            raise KnowledgeError(
                f"No process can be started that reads files ({error}); end other programs, then try again."
            ) from error
        except WorkerError as error:
            kind = PurePosixPath(file.path).suffix[1:].upper() or "text"
            raise LoadError(
                f"{file.path}: the file is no {kind} that can be read ({error}); repair or exclude it"
            ) from error

    def _patience(self, file: SourceFile, data: bytes) -> float:
        """Seconds that reading it may take; where nobody waits for it, more for a long one."""
        pieces = pieces_of_work(PurePosixPath(file.path).suffix.lower(), data)
        return min(self.timeout_s + _PIECE_S * pieces, _LONGER * self.timeout_s)

    @property
    def _pool(self) -> Workers:
        if self._workers is None:
            self._workers = Workers(
                self.processes, max_bytes=self.max_worker_bytes, errors=(ConversionError,)
            )
        return self._workers


def readable(path: str, data: bytes) -> Converted:
    """The text, title and metadata of a file, such as they can be stored; raises ConversionError, or anything."""
    suffix = PurePosixPath(path).suffix.lower()
    converted = convert(suffix, data)
    text = _storable(converted.text).replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise ConversionError("the file holds no text; fill or exclude it")
    if len(text) > MAX_CHARACTERS:
        raise ConversionError(
            f"the file holds {len(text):,} characters of text, the limit is {MAX_CHARACTERS:,}; split or exclude it"
        )
    metadata = {key: _storable(value) for key, value in converted.metadata.items()}
    name = PurePosixPath(path).name if suffix in CODE_TYPES else readable_stem(path)
    title = metadata.get("title") or first_heading(text) or converted.title or name
    return Converted(text, " ".join(_storable(title).split())[:300], metadata)


def readable_stem(path: str) -> str:
    """'travel/per-diem_rates.md' is called 'Per diem rates'."""
    pure = PurePosixPath(path)
    stem = pure.parent.name if pure.stem.lower() in {"index", "readme"} and pure.parent.name else pure.stem
    words = " ".join(re.split(r"[-_\s]+", stem)).strip()
    return words[:1].upper() + words[1:] if words else path


def _is_plain(path: str, data: bytes) -> bool:
    """Whether nothing has to be parsed that somebody could have made to do harm."""
    suffix = PurePosixPath(path).suffix.lower()
    return suffix in PLAIN_TYPES and len(data) <= _PLAIN_BYTES and not data.startswith(_FRONT_MATTER_MARKS)


def _storable(text: str) -> str:
    """Without NUL, which PostgreSQL refuses, and without lone surrogates, which UTF-8 cannot express."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")
