"""Bytes to documents: Markdown text, a title and metadata.

Text files are decoded here. Everything else is parsed in a worker process with a time and a memory limit,
started when the first such file comes: a file that hangs, explodes or crashes its parser costs that file.
Every failure is a `LoadError` that names the file and the way out.
"""

import csv
import hashlib
import io
import re
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any, Self, cast

from knowledge.conversion import (
    CONVERTED_TYPES,
    ConversionError,
    Converted,
    convert,
    limit_memory,
    markdown_table,
)
from knowledge.documents import Document
from knowledge.errors import LoadError
from knowledge.layout import plain_headings
from knowledge.markdown import first_heading
from knowledge.sources.protocol import SourceFile

LOADER_VERSION = 2
"""Part of the index's generation: raise it when the same bytes give another text."""

_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?\n)?---[ \t]*(?:\n|\Z)", re.DOTALL)
_MARKDOWN_TYPES = frozenset({".md", ".markdown"})


def document_id(source: str, path: str) -> str:
    """Stable over edits of the file; 24 hexadecimal digits."""
    return hashlib.sha256(f"{source}\0{path}".encode()).hexdigest()[:24]


def file_hash(file: SourceFile, data: bytes) -> str:
    """SHA-256 of the bytes, and of what the source knows about them, in hexadecimal."""
    digest = hashlib.sha256(data)
    for key in sorted(file.metadata):
        digest.update(f"\0{key}\0{file.metadata[key]}".encode())
    return digest.hexdigest()


@dataclass
class Loader:
    """Reads files; a context manager, because it may own a worker process. For one thread."""

    timeout_s: float = 60.0
    """Per file, for parsers."""
    max_bytes: int = 50_000_000
    max_worker_bytes: int = 8 * 2**30
    """Address space of a worker."""
    _pool: Any = field(default=None, init=False, repr=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.stop()
            self._pool.join()
            self._pool = None

    def read(self, file: SourceFile) -> bytes:
        """The bytes of the file; raises LoadError."""
        if file.problem:
            raise LoadError(f"{file.path}: {file.problem}")
        try:
            self._check_size(file.path, file.local.stat().st_size)
            data = file.local.read_bytes()
        except OSError as error:
            reason = (error.strerror or type(error).__name__).lower()
            raise LoadError(
                f"{file.path}: the file cannot be read ({reason}); check its permissions"
            ) from error
        if not data:
            raise LoadError(f"{file.path}: the file is empty (0 bytes); fill or exclude it")
        return data

    def load(self, file: SourceFile, data: bytes, *, source: str) -> Document:
        """Turn `data`, the bytes of `file`, into a document of `source`; raises LoadError."""
        suffix = PurePosixPath(file.path).suffix.lower()
        metadata: dict[str, str] = {}
        if suffix in CONVERTED_TYPES:
            converted = self._convert(file, suffix, data)
        else:
            text = _decode(file, data)
            if suffix in _MARKDOWN_TYPES:
                metadata, text = split_front_matter(text)
            elif suffix == ".csv":
                text = _csv_table(file, text)
            elif suffix == ".txt":
                text = plain_headings(text)
            converted = Converted(text)
        text = _storable(converted.text).replace("\r\n", "\n").replace("\r", "\n")
        if not text.strip():
            raise LoadError(f"{file.path}: the file holds no text; fill or exclude it")
        title = metadata.get("title") or first_heading(text) or converted.title or readable_stem(file.path)
        return Document(
            id=document_id(source, file.path),
            source=source,
            title=" ".join(_storable(title).split())[:300],
            uri=file.uri,
            text=text,
            metadata={**file.metadata, **metadata},
        )

    def load_bytes(self, name: str, data: bytes) -> Document:
        """Turn the bytes of a file that is in no source into a document; raises LoadError."""
        self._check_size(name, len(data))
        return self.load(SourceFile(name, "", Path(name)), data, source="")

    def _check_size(self, path: str, size: int) -> None:
        if size > self.max_bytes:
            megabytes, limit = size / 1e6, self.max_bytes / 1e6
            raise LoadError(
                f"{path}: the file has {megabytes:.0f} MB, the limit is {limit:.0f} MB; split it or exclude it"
            )

    def _convert(self, file: SourceFile, suffix: str, data: bytes) -> Converted:
        from pebble import ProcessExpired

        future = self._workers().schedule(convert, args=(suffix, data), timeout=self.timeout_s)
        try:
            return cast("Converted", future.result())
        except ConversionError as error:
            raise LoadError(f"{file.path}: {error}") from error
        except TimeoutError as error:
            raise LoadError(
                f"{file.path}: its parser did not finish within {self.timeout_s:g} s; "
                f"simplify, split or exclude the file"
            ) from error
        except ProcessExpired as error:
            raise LoadError(f"{file.path}: its parser crashed; repair or exclude the file") from error
        except MemoryError as error:
            raise LoadError(
                f"{file.path}: its parser ran out of memory; split or exclude the file"
            ) from error
        except CancelledError:
            raise
        except Exception as error:  # a parser may raise anything; this is its boundary
            kind = suffix[1:].upper()
            raise LoadError(
                f"{file.path}: the file is no {kind} that can be read ({type(error).__name__}); "
                f"repair or exclude it"
            ) from error

    def _workers(self) -> Any:
        if self._pool is None:
            import multiprocessing

            from pebble import ProcessPool

            self._pool = ProcessPool(
                max_workers=1,
                initializer=limit_memory,
                initargs=(self.max_worker_bytes,),
                context=multiprocessing.get_context("spawn"),
            )
        return self._pool


def split_front_matter(text: str) -> tuple[dict[str, str], str]:
    """YAML between two `---` lines at the start, as strings, and the rest.

    What is not a YAML mapping is text (a thematic break at the start of a page is legal Markdown).
    """
    import yaml

    match = _FRONT_MATTER.match(text)
    if match is None:
        return {}, text
    try:
        values = yaml.safe_load(match[1] or "")
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}, text
    if values is not None and not isinstance(values, dict):
        return {}, text
    metadata = {str(key): _scalar(value) for key, value in (values or {}).items()}
    return {key: value for key, value in metadata.items() if value}, text[match.end() :]


def readable_stem(path: str) -> str:
    """'travel/per-diem_rates.md' is called 'Per diem rates'."""
    pure = PurePosixPath(path)
    stem = pure.parent.name if pure.stem.lower() in {"index", "readme"} and pure.parent.name else pure.stem
    words = " ".join(re.split(r"[-_\s]+", stem)).strip()
    return words[:1].upper() + words[1:] if words else path


def _storable(text: str) -> str:
    """Without NUL, which PostgreSQL refuses, and without lone surrogates, which UTF-8 cannot express."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def _scalar(value: object) -> str:
    if value is None or isinstance(value, dict):
        return ""
    if isinstance(value, list):
        return ", ".join(str(item) for item in value if isinstance(item, str | int | float))
    return _storable(str(value))


def _decode(file: SourceFile, data: bytes) -> str:
    for mark, encoding in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig")):
        if data.startswith(mark):
            return _checked(file, data.decode(encoding, "replace"))
    try:
        return _checked(file, data.decode("utf-8"))
    except UnicodeDecodeError:
        pass
    from charset_normalizer import from_bytes

    best = from_bytes(data).best() if b"\x00" not in data[:8192] else None
    if best is None:
        raise LoadError(f"{file.path}: this is no text file although its name says so; replace or exclude it")
    return _checked(file, str(best))


def _checked(file: SourceFile, text: str) -> str:
    if "\x00" in text:
        raise LoadError(f"{file.path}: this is no text file although its name says so; replace or exclude it")
    return text


def _csv_table(file: SourceFile, text: str) -> str:
    # The header decides: csv.Sniffer guesses from all lines and is often wrong.
    header = text.lstrip("\n").partition("\n")[0]
    delimiter = max(",;\t|", key=header.count)
    try:
        return markdown_table([row for row in csv.reader(io.StringIO(text), delimiter=delimiter) if any(row)])
    except csv.Error as error:
        raise LoadError(f"{file.path}: the file is no valid CSV ({error}); repair or exclude it") from error
