"""The settings: `parley.toml`, read once, checked as a whole, frozen.

Paths in the file are relative to its folder. Secrets come from the environment and never from the file:

    PARLEY_CONFIG         the file, when it is not parley.toml in the current folder
    PARLEY_DATA_DIR       instead of `data_dir`; relative to the current folder
    PARLEY_DATABASE_URL   instead of `database_url`; the place for a URL with a password
    PARLEY_LLM_API_KEY    for `llm.url`; or PARLEY_LLM_API_KEY_FILE, a file that holds it
    PARLEY_CHROMA_TOKEN   for `knowledge.chroma_url`; or PARLEY_CHROMA_TOKEN_FILE
    PARLEY_WEB_TOKEN      what programs show to the `[web]` service; or PARLEY_WEB_TOKEN_FILE
    PARLEY_SLACK_BOT_TOKEN, PARLEY_SLACK_APP_TOKEN, PARLEY_SLACK_SIGNING_SECRET, PARLEY_SLACK_CLIENT_ID,
    PARLEY_SLACK_CLIENT_SECRET
                          from the page of the Slack app; each also with _FILE
    PARLEY_DISCORD_TOKEN  from the page of the Discord application; or PARLEY_DISCORD_TOKEN_FILE
    PARLEY_SECRET_KEY     encrypts the tokens of workspaces that installed the Slack app; or PARLEY_SECRET_KEY_FILE
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, SecretStr, ValidationError

from bot.config_errors import explain
from bot.config_file import new_settings_text, set_key
from bot.config_sections import (
    ChatSettings,
    DiscordSettings,
    InboxSettings,
    KnowledgeSettings,
    LLMSettings,
    PolicySettings,
    QueueSettings,
    SchedulesSettings,
    SlackSettings,
    SourceSettings,
    WebSettings,
)
from bot.config_types import (
    DISCORD_API,
    NAME,
    STARTER,
    FilePath,
    Section,
    Text,
    as_tuple,
)
from bot.errors import SettingsError

__all__ = [
    "DISCORD_API",
    "NAME",
    "STARTER",
    "ChatSettings",
    "DiscordSettings",
    "InboxSettings",
    "KnowledgeSettings",
    "LLMSettings",
    "PolicySettings",
    "QueueSettings",
    "SchedulesSettings",
    "Settings",
    "SlackSettings",
    "SourceSettings",
    "WebSettings",
    "find_file",
    "load_settings",
    "new_settings_text",
    "parse_settings",
    "set_key",
]

FILE_NAME = "parley.toml"


class _File(Section):
    """What the file may hold."""

    data_dir: FilePath | None = None
    database_url: Text | None = None
    shutdown_grace: float = Field(default=20.0, ge=0, le=3600)
    """Seconds that running answers get to come to their end when `parley serve` is stopped."""
    llm: LLMSettings = LLMSettings()
    knowledge: KnowledgeSettings = KnowledgeSettings()
    sources: Annotated[tuple[SourceSettings, ...], BeforeValidator(as_tuple)] = Field(
        default=(), description="tables, each begun by [[sources]]"
    )
    chat: ChatSettings = ChatSettings()
    policy: PolicySettings = PolicySettings()
    queue: QueueSettings = QueueSettings()
    inbox: InboxSettings = InboxSettings()
    schedules: SchedulesSettings = SchedulesSettings()
    slack: SlackSettings = SlackSettings()
    discord: DiscordSettings = DiscordSettings()
    web: WebSettings = WebSettings()


class Settings(Section):
    """The settings as the program uses them: every path absolute, secrets filled in."""

    file: Path
    data_dir: Path
    database_url: SecretStr
    llm: LLMSettings
    knowledge: KnowledgeSettings
    sources: tuple[SourceSettings, ...]
    chat: ChatSettings
    policy: PolicySettings
    queue: QueueSettings
    inbox: InboxSettings
    schedules: SchedulesSettings
    slack: SlackSettings
    discord: DiscordSettings
    web: WebSettings
    shutdown_grace: float


_SECRETS = (
    ("llm", "api_key", "PARLEY_LLM_API_KEY"),
    ("knowledge", "chroma_token", "PARLEY_CHROMA_TOKEN"),
    ("web", "token", "PARLEY_WEB_TOKEN"),
    ("slack", "bot_token", "PARLEY_SLACK_BOT_TOKEN"),
    ("slack", "app_token", "PARLEY_SLACK_APP_TOKEN"),
    ("slack", "signing_secret", "PARLEY_SLACK_SIGNING_SECRET"),
    ("slack", "client_id", "PARLEY_SLACK_CLIENT_ID"),
    ("slack", "client_secret", "PARLEY_SLACK_CLIENT_SECRET"),
    ("slack", "secret_key", "PARLEY_SECRET_KEY"),
    ("discord", "token", "PARLEY_DISCORD_TOKEN"),
)
"""Section, key and variable of what never stands in the file."""


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
    secrets: dict[str, dict[str, SecretStr | None]] = {}
    for section, key, variable in _SECRETS:
        secrets.setdefault(section, {})[key] = _secret(variable, environ)
    return Settings(
        file=file,
        data_dir=data_dir,
        database_url=_database_url(read, file=file, data_dir=data_dir, environ=environ),
        llm=read.llm.model_copy(update=secrets["llm"]),
        knowledge=read.knowledge.model_copy(update=secrets["knowledge"]),
        sources=read.sources,
        chat=read.chat,
        policy=read.policy,
        queue=read.queue,
        inbox=read.inbox,
        schedules=read.schedules,
        slack=read.slack.model_copy(update=secrets["slack"]),
        discord=read.discord.model_copy(update=secrets["discord"]),
        web=read.web.model_copy(update=secrets["web"]),
        shutdown_grace=read.shutdown_grace,
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
