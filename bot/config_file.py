"""Writing `parley.toml`, for `parley init` and for commands that change one setting; see `bot.config`.

Comments and order are kept. The file is replaced in one step, and only by one that is valid as a whole.
"""

import os
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bot.errors import SettingsError

_TURN = threading.Lock()

_TEMPLATE = """\
# Settings of Parley. Paths are relative to this file. Passwords and keys never stand here; they come from
# the environment (PARLEY_DATABASE_URL, PARLEY_LLM_API_KEY, PARLEY_WEB_TOKEN).

# data_dir = ".parley"

[llm]
# "starter" is a small model that comes with Parley. It is often wrong, so what it writes is checked against
# the documents. A larger one answers better: `parley model use path/to/model.gguf`, or the URL of a server.
{key} = {model}
# enabled = false   # answer with quotes from the documents only

[knowledge]
# top_k = 8

[[sources]]
name = {name}
kind = "folder"
path = {path}
visible_to = ["everyone"]
"""


def new_settings_text(*, name: str, path: str, model: str) -> str:
    """A first settings file with one folder; `model` is "starter", the path of a GGUF file or a server's URL.

    Raises:
        SettingsError: the file would not be valid.
    """
    import tomlkit

    values = {
        key: tomlkit.item(text).as_string()
        for key, text in (("name", name), ("path", path), ("model", model))
    }
    text = _TEMPLATE.format(key="url" if model.startswith(("http://", "https://")) else "model", **values)
    _check(text, Path("parley.toml"))
    return text


def set_key(file: Path, key: tuple[str, ...], value: str | float | bool | list[str] | None) -> None:
    """Give one setting another value, or remove it with None; sections are made when they are missing.

    Raises:
        SettingsError: the file cannot be read or written, or would not be valid; it is unchanged.
    """
    import tomlkit

    with _editing(file, ".".join(key)) as document:
        table: Any = document
        for part in key[:-1]:
            if part not in table:
                table[part] = tomlkit.table()
            table = table[part]
        if value is None:
            table.pop(key[-1], None)
        else:
            table[key[-1]] = value


def set_model(file: Path, model: str) -> None:
    """Let that local model write the answers from the next start; raises `SettingsError` as `set_key` does."""
    import tomlkit

    with _editing(file, "llm.model") as document:
        llm = document.setdefault("llm", tomlkit.table())
        llm.pop("url", None)
        llm.pop("enabled", None)
        llm["model"] = model


def add_source(file: Path, values: Mapping[str, str | bool | list[str]]) -> None:
    """Add a [[sources]] section below the others; raises `SettingsError` as `set_key` does."""
    import tomlkit

    with _editing(file, "sources") as document:
        source = tomlkit.table()
        source.update(values)
        if "sources" not in document:
            document["sources"] = tomlkit.aot()
        document["sources"].append(source)


def set_source(file: Path, name: str, *, paused: bool) -> None:
    """Pause a source or let it go on; raises `SettingsError` as `set_key` does."""
    with _editing(file, "sources") as document:
        source = document["sources"][_position(document, name)]
        if paused:
            source["paused"] = True
        else:
            source.pop("paused", None)


def remove_source(file: Path, name: str) -> None:
    """Take a [[sources]] section out; raises `SettingsError` as `set_key` does."""
    with _editing(file, "sources") as document:
        del document["sources"][_position(document, name)]
        if not document["sources"]:
            del document["sources"]


def _position(document: Any, name: str) -> int:
    names = [source.get("name") for source in document.get("sources", [])]
    if name not in names:
        raise SettingsError(
            f"There is no source {name!r} in the file of settings any more; look at `sources`."
        )
    return names.index(name)


@contextmanager
def _editing(file: Path, key: str) -> Iterator[Any]:
    """The document, for changes in the block; it is checked and written at its end.

    Threads of this process take turns. Of two processes that write in the same moment the later one wins.
    """
    with _TURN, _opened(file.resolve(), key) as document:  # a link stays a link, to the new contents
        yield document


@contextmanager
def _opened(file: Path, key: str) -> Iterator[Any]:
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        document = tomlkit.parse(file.read_bytes().decode())
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} cannot be read; run `parley init` to write one.") from error
    except TOMLKitError as error:
        raise SettingsError(f"{file}: `{key}` cannot be set; edit the file by hand.") from error
    try:
        yield document
    except (TOMLKitError, TypeError, AttributeError, KeyError, IndexError) as error:
        raise SettingsError(f"{file}: `{key}` cannot be set; edit the file by hand.") from error
    text = tomlkit.dumps(document)
    _check(text, file)
    _replace(file, text)


def _check(text: str, file: Path) -> None:
    from bot.config import parse_settings  # which gives out the functions of this module

    parse_settings(text, file=file, environ={})


def _replace(file: Path, text: str) -> None:
    """The old contents or the new ones, whatever happens."""
    beside: Path | None = None
    try:
        with tempfile.NamedTemporaryFile(
            "w", dir=file.parent, prefix=f".{file.name}.", delete=False, encoding="utf-8", newline=""
        ) as stream:
            beside = Path(stream.name)
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        beside.chmod(file.stat().st_mode & 0o777)
        beside.replace(file)
    except OSError as error:
        if beside is not None:
            beside.unlink(missing_ok=True)
        raise SettingsError(f"{file} cannot be written ({error.strerror}); check the folder.") from error
