"""The settings: `parley.toml`, read once, checked as a whole, frozen.

Paths in the file are relative to its folder. Secrets come from the environment and never from the file:

    PARLEY_CONFIG         the file, when it is not parley.toml in the current folder
    PARLEY_DATA_DIR       instead of `data_dir`; relative to the current folder
    PARLEY_DATABASE_URL   instead of `database_url`; the place for a URL with a password
    PARLEY_LLM_API_KEY    for `llm.url`; or PARLEY_LLM_API_KEY_FILE, a file that holds it
    PARLEY_WEB_TOKEN      what programs show to the `[web]` service; or PARLEY_WEB_TOKEN_FILE
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self, cast

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from bot.config_errors import explain
from bot.config_file import new_settings_text, set_key
from bot.errors import SettingsError

__all__ = [
    "NAME",
    "STARTER",
    "ChatSettings",
    "KnowledgeSettings",
    "LLMSettings",
    "Settings",
    "SourceSettings",
    "WebSettings",
    "find_file",
    "load_settings",
    "new_settings_text",
    "parse_settings",
    "set_key",
]

FILE_NAME = "parley.toml"
STARTER: Literal["starter"] = "starter"
"""The small model that comes as a package."""
NAME = r"[a-z0-9_-]{1,64}"
"""What the name of a source must match as a whole."""


def _path(value: object, info: ValidationInfo) -> object:
    if not isinstance(value, str):
        return value
    folder = cast("Path", (info.context or {})["folder"])
    if not value.strip() or "\0" in value:
        raise ValueError("a path")
    try:
        return (folder / Path(value).expanduser()).resolve()
    except (RuntimeError, OSError) as error:  # "~nobody", or links that go in a circle
        raise ValueError("a path that leads somewhere") from error


def _model(value: object, info: ValidationInfo) -> object:
    return value if value == STARTER else _path(value, info)


def _embedding_model(value: object, info: ValidationInfo) -> object:
    """A folder beside the file becomes a path; anything else is a model's name."""
    if not isinstance(value, str) or not value or "\0" in value:
        return value
    folder = cast("Path", (info.context or {})["folder"]) / Path(value).expanduser()
    return str(folder.resolve()) if folder.is_dir() else value


def _url(value: object) -> object:
    if not isinstance(value, str):
        return value
    scheme, _, rest = value.partition("://")
    host = rest.partition("/")[0]
    if scheme not in {"http", "https"} or not host:
        raise ValueError('an address such as "http://localhost:8080/v1"')
    if "@" in host:
        raise ValueError("an address without a user or password; put the key into PARLEY_LLM_API_KEY")
    return value


def _tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


Text = Annotated[str, Field(min_length=1)]
FilePath = Annotated[Path, BeforeValidator(_path), Field(description="a path")]
ModelPath = Annotated[
    Literal["starter"] | Path,
    BeforeValidator(_model),
    Field(description='"starter" or the path of a GGUF file'),
]
Url = Annotated[
    str, BeforeValidator(_url), Field(description='an address such as "http://localhost:8080/v1"')
]
Texts = Annotated[
    tuple[Text, ...], BeforeValidator(_tuple), Field(description='a list of texts, such as ["a", "b"]')
]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


class LLMSettings(_Section):
    """`[llm]`: what writes the answers."""

    enabled: bool = True
    """False: answers are quotes from the documents."""
    model: ModelPath = STARTER
    url: Url | None = None
    """A server that speaks OpenAI's protocol, instead of `model`."""
    name: Text | None = None
    """What to call the model in requests to `url`."""
    context: int = Field(default=4096, ge=512, le=1_048_576)
    """Tokens of prompt and answer together."""
    max_tokens: int = Field(default=256, ge=1, le=65_536)
    """Tokens of the answer."""
    temperature: float = Field(default=0.0, ge=0, le=2)
    threads: int | None = Field(default=None, ge=1, le=1024)
    """None: the physical cores that this process may use."""
    gpu_layers: int = Field(default=-1, ge=-1, le=1000)
    """-1: all of them when there is a GPU."""
    timeout: float = Field(default=120.0, ge=1, le=3600)
    """Seconds for a whole answer."""
    api_key: SecretStr | None = Field(default=None, exclude=True)
    """From the environment only."""

    @model_validator(mode="after")
    def _leave_room_for_the_question(self) -> Self:
        if self.max_tokens > self.context // 2:
            raise ValueError("max_tokens at most half of context, or there is no room for passages")
        return self


class KnowledgeSettings(_Section):
    """`[knowledge]`: how documents are cut, embedded and found."""

    embedding_model: Annotated[Text, BeforeValidator(_embedding_model)] | None = None
    """A folder with a sentence-transformers model, or a model's name on the hub. None: the one that comes as a
    package."""
    top_k: int = Field(default=8, ge=1, le=50)
    """Passages that retrieval returns."""
    chunk_tokens: int = Field(default=200, ge=50, le=2000)
    refresh_minutes: int = Field(default=15, ge=0, le=10_080)
    """How often a serving process reads the sources again. 0: never."""


class SourceSettings(_Section):
    """`[[sources]]`: where documents come from, and who may see them."""

    name: str = Field(
        pattern=f"^{NAME}$", description='up to 64 of a-z, 0-9, "-" and "_", such as "handbook"'
    )
    kind: Literal["folder"] = "folder"
    path: FilePath
    visible_to: Texts = Field(default=("everyone",), min_length=1, description='a list such as ["everyone"]')
    include: Texts = ()
    """Patterns of the files to take. Empty: every kind of file that can be read."""
    exclude: Texts = ()


class ChatSettings(_Section):
    """`[chat]`: how the assistant appears."""

    assistant_name: str = Field(
        default="Parley", min_length=1, max_length=80, description="a text of 1 to 80 characters"
    )


class WebSettings(_Section):
    """`[web]`: the HTTP interface; it is off without a port."""

    host: Text = "127.0.0.1"
    port: int | None = Field(default=None, ge=1, le=65_535)
    token: SecretStr | None = Field(default=None, exclude=True)
    """From the environment only."""


class _File(_Section):
    """What the file may hold."""

    data_dir: FilePath | None = None
    database_url: Text | None = None
    llm: LLMSettings = LLMSettings()
    knowledge: KnowledgeSettings = KnowledgeSettings()
    sources: Annotated[tuple[SourceSettings, ...], BeforeValidator(_tuple)] = Field(
        default=(), description="tables, each begun by [[sources]]"
    )
    chat: ChatSettings = ChatSettings()
    web: WebSettings = WebSettings()


class Settings(_Section):
    """The settings as the program uses them: every path absolute, secrets filled in."""

    file: Path
    data_dir: Path
    database_url: SecretStr
    llm: LLMSettings
    knowledge: KnowledgeSettings
    sources: tuple[SourceSettings, ...]
    chat: ChatSettings
    web: WebSettings


_SECRETS = (("llm", "api_key", "PARLEY_LLM_API_KEY"), ("web", "token", "PARLEY_WEB_TOKEN"))


def find_file(environ: Mapping[str, str] = os.environ) -> Path:
    """The file of settings that this environment means; it need not exist."""
    return Path(environ.get("PARLEY_CONFIG") or FILE_NAME).absolute()


def load_settings(path: Path | None = None, environ: Mapping[str, str] = os.environ) -> Settings:
    """Read `path`, else the file that `PARLEY_CONFIG` names, else parley.toml in the current folder.

    Raises:
        SettingsError: one sentence for each thing that is wrong, with the file and the key.
    """
    file = (path or find_file(environ)).absolute()
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        if path or environ.get("PARLEY_CONFIG"):
            raise SettingsError(f"{file} does not exist; run `parley init` to write one.") from error
        raise SettingsError(
            f"No {FILE_NAME} in {Path.cwd()}; run `parley init` to write one, or set PARLEY_CONFIG."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} cannot be read as UTF-8 text; check its permissions.") from error
    return parse_settings(text, file=file, environ=environ)


def parse_settings(text: str, *, file: Path, environ: Mapping[str, str]) -> Settings:
    """Check the text of a settings file as if it were in `file`."""
    file = file.resolve()
    read = _read(text, file)
    data_dir = read.data_dir or file.parent / ".parley"
    if environ.get("PARLEY_DATA_DIR"):
        data_dir = Path(environ["PARLEY_DATA_DIR"]).absolute().resolve()
    return Settings(
        file=file,
        data_dir=data_dir,
        database_url=_database_url(read, file=file, data_dir=data_dir, environ=environ),
        llm=read.llm.model_copy(update={"api_key": _secret("PARLEY_LLM_API_KEY", environ)}),
        knowledge=read.knowledge,
        sources=read.sources,
        chat=read.chat,
        web=read.web.model_copy(update={"token": _secret("PARLEY_WEB_TOKEN", environ)}),
    )


def _read(text: str, file: Path) -> _File:
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{file} is not valid TOML: {error}.") from error
    for section, key, variable in _SECRETS:
        if isinstance(table := raw.get(section), dict) and key in table:
            raise SettingsError(f"{file}: `{section}.{key}` does not belong here; set {variable} instead.")
    try:
        read = _File.model_validate(raw, context={"folder": file.parent})
    except ValidationError as error:
        # Not chained: the error behind it would show what was given, which may be a secret.
        message = explain(error, model=_File, file=file)
        raise SettingsError(message) from None
    first: dict[str, int] = {}
    for index, source in enumerate(read.sources):
        if (earlier := first.setdefault(source.name, index)) != index:
            raise SettingsError(
                f"{file}: `sources[{index}].name` is {source.name!r}, as is `sources[{earlier}].name`; "
                "each source needs a name of its own."
            )
    return read


def _database_url(read: _File, *, file: Path, data_dir: Path, environ: Mapping[str, str]) -> SecretStr:
    if url := environ.get("PARLEY_DATABASE_URL"):
        origin = "PARLEY_DATABASE_URL"
    elif url := read.database_url:
        origin = f"{file}: `database_url`"
        _, _, rest = url.partition("://")
        login, at, _ = rest.rpartition("@")
        if (at and ":" in login) or "password=" in rest:
            raise SettingsError(f"{origin} holds a password; set PARLEY_DATABASE_URL to the URL instead.")
    else:
        return SecretStr(f"sqlite:///{data_dir / 'parley.db'}")
    scheme, _, rest = url.partition("://")
    if scheme.partition("+")[0] not in {"sqlite", "postgresql"} or not rest:
        raise SettingsError(f"{origin} must begin with sqlite:/// or postgresql+psycopg://.")
    if scheme.startswith("sqlite") and read.database_url == url and rest.strip("/") not in {"", ":memory:"}:
        url = f"{scheme}:///{file.parent / rest.removeprefix('/')}"
    return SecretStr(url)


def _secret(name: str, environ: Mapping[str, str]) -> SecretStr | None:
    """The value of the variable, or the contents of the file that `<name>_FILE` names."""
    value, holder = environ.get(name), environ.get(f"{name}_FILE")
    if value and holder:
        raise SettingsError(f"{name} and {name}_FILE are both set; keep one of them.")
    if holder:
        try:
            value = Path(holder).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{name}_FILE names {holder}, which cannot be read.") from error
        if not value:
            raise SettingsError(f"{name}_FILE names {holder}, which is empty; write the key into it.")
    return SecretStr(value) if value else None
