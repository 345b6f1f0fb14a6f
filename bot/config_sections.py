"""The sections of `parley.toml`: their keys, defaults and limits. `bot.config` reads the file."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from bot import schedule
from bot.config_types import (
    DISCORD_API,
    NAME,
    STARTER,
    FilePath,
    Ids,
    ModelPath,
    Section,
    Snowflake,
    Text,
    Texts,
    Times,
    Url,
    Urls,
    as_chroma_url,
    as_embedding_model,
    as_time_zone,
    as_tuple,
)
from bot.errors import SettingsError
from bot.llm.lora import parse_lora
from bot.source_keys import (
    OWN_KEYS,
    audience,
    branch_name,
    channel_ids,
    key_of_its_kind,
    known_kind,
    source_address,
    web_address,
)


class LLMSettings(Section):
    """`[llm]`: what writes the answers."""

    enabled: bool = True
    """False: answers are quotes from the documents."""
    model: ModelPath = STARTER
    url: Urls | None = None
    """A server that speaks OpenAI's protocol, instead of `model`; or several, which share the work."""
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
    parallel: int | None = Field(default=None, ge=1, le=64)
    """Answers that are written at once, each with a context of its own. None: as many as memory allows."""
    lora: Texts = ()
    """LoRA adapters for `model`, GGUF files with or without a scale: "style.gguf", "style.gguf=0.5"."""
    speculation: bool = True
    """Guess words from the prompt and have several verified at once; the answers are the same."""
    timeout: float = Field(default=120.0, ge=1, le=3600)
    """Seconds for a whole answer."""
    api_key: SecretStr | None = Field(default=None, exclude=True)
    """From the environment only."""

    @model_validator(mode="after")
    def _leave_room_for_the_question(self) -> Self:
        if self.max_tokens > self.context // 2:
            raise ValueError("max_tokens at most half of context, or there is no room for passages")
        return self

    @field_validator("lora")
    @classmethod
    def _name_adapters(cls, lora: tuple[str, ...]) -> tuple[str, ...]:
        try:
            for text in lora:
                parse_lora(text)
        except SettingsError as error:
            raise ValueError(
                'a list of paths, each with a scale if need be, as in ["style.gguf=0.5"]'
            ) from error
        return lora

    @property
    def urls(self) -> tuple[str, ...]:
        """The servers, none if `model` is used."""
        return (self.url,) if isinstance(self.url, str) else self.url or ()


class KnowledgeSettings(Section):
    """`[knowledge]`: how documents are cut, embedded and found."""

    embedding_model: Annotated[Text, BeforeValidator(as_embedding_model)] | None = None
    """A folder with a sentence-transformers model, or a model's name on the hub. None: the one that comes as a
    package."""
    embedding_device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where it computes. "auto": on a GPU if torch finds one."""
    chroma_url: Annotated[str, BeforeValidator(as_chroma_url)] | None = Field(
        default=None, description='an address such as "http://localhost:8000"'
    )
    """A Chroma server for the vectors. None: they are in the data directory."""
    chroma_database: Annotated[str, Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_-]{2,62}$")] = Field(
        default="parley", description='3 to 63 letters, digits, "-" and "_", such as "parley"'
    )
    """On that server. Each installation needs its own: what is not in its manifest is deleted."""
    chroma_token: SecretStr | None = Field(default=None, exclude=True)
    """From the environment only."""
    top_k: int = Field(default=8, ge=1, le=50)
    """Passages that retrieval returns."""
    reranker: Annotated[Text, BeforeValidator(as_embedding_model)] | None = None
    """A cross-encoder that reads the best candidates once more: a folder, or a model's name on the hub. None: off."""
    recency: float = Field(default=0.0, ge=0, le=36_500)
    """Days after which the preference for younger documents is half of what it is for new ones. 0: there is none."""
    rewrite: Literal["rule", "model"] = "rule"
    """What makes a question of its own of one that leans on its thread, for the search."""
    context_tokens: int = Field(default=500, ge=100, le=100_000)
    """Tokens of passages that the model reads, counted by the embedding model."""
    chunk_tokens: int = Field(default=200, ge=50, le=2000)
    max_file_mb: int = Field(default=50, ge=1, le=2000)
    """The largest file that is read, in megabytes."""
    file_timeout: float = Field(default=60.0, ge=1, le=3600)
    """Seconds that reading one file may take."""
    refresh_minutes: int = Field(default=15, ge=0, le=10_080)
    """How often a serving process reads a source again that has no `schedule`. 0: never."""
    addable: Annotated[
        tuple[FilePath, ...], BeforeValidator(as_tuple), Field(description="a list of paths")
    ] = ()
    """Folders below which admins may add sources in chat. Empty: they may not."""


class SourceSettings(Section):
    """`[[sources]]`: where documents come from, and who may see them."""

    name: str = Field(
        pattern=f"^{NAME}$", description='up to 64 of a-z, 0-9, "-" and "_", such as "handbook"'
    )
    kind: Annotated[str, AfterValidator(known_kind)] = Field(
        default="folder",
        description='"folder", "git", "website", "slack", "discord", or a kind that a plugin brings',
    )
    path: FilePath = Field(default=Path(), validate_default=True)
    """Of a folder; only with that kind does it mean anything."""
    url: Annotated[str, BeforeValidator(source_address)] | None = Field(
        default=None, validate_default=True, description="an address"
    )
    """Of a git repository, or of a website."""
    branch: Annotated[str, AfterValidator(branch_name)] | None = None
    """Or tag. None: the one that the repository shows first."""
    token_file: FilePath | None = None
    """Holds what git logs in with over HTTP: a token, or name:token."""
    web: Annotated[str, AfterValidator(web_address)] | None = None
    """Where people read a repository's files in a browser. None: as the name of its host tells."""
    sitemap: bool = True
    """Whether a website's sitemap says which pages there are, when it has one; else links do."""
    depth: int = Field(default=5, ge=0, le=100)
    """Links from `url` to the furthest page."""
    pages: int = Field(default=1000, ge=1, le=100_000)
    """The most pages of a website."""
    rate: float = Field(default=2.0, ge=0.01, le=100)
    """The most requests to a website in a second."""
    allow_private: bool = False
    """Whether a website may be at an address of this machine or of a private network."""
    channels: Annotated[tuple[Text, ...], BeforeValidator(channel_ids)] = Field(
        default=(), validate_default=True, description="a list of the ids of channels"
    )
    """Of Slack or Discord, whose history is read."""
    days: int = Field(default=365, ge=1, le=36_500)
    """How far back the history is read; what is older is left out."""
    bots: bool = False
    """Whether what other bots wrote counts as history."""
    leave_out: Texts = ()
    """Ids of people whose messages do not count as history."""
    settings: dict[str, Any] = Field(default_factory=dict, description="a table")
    """Of a plugin, which checks them itself."""
    visible_to: Annotated[Texts, BeforeValidator(audience)] = Field(
        default=(),
        validate_default=True,
        min_length=1,
        description='a list such as ["everyone"]',
    )
    """Left out: everyone; of a channel's history those who are in the channel."""
    include: Texts = ()
    """Patterns of the files to take. Empty: every kind of file that can be read."""
    exclude: Texts = ()
    tags: Annotated[
        tuple[Annotated[Text, Field(pattern=r"^[^\s,\"“”<>`]+( [^\s,\"“”<>`]+)*$", max_length=60)], ...],
        BeforeValidator(as_tuple),
        Field(description='a list of words such as ["policy", "hr"], without commas and quotation marks'),
    ] = ()
    """All its documents have them, beside their own; people ask for them with `tag:policy`."""
    schedule: Times = ""
    """When it is read again: "15m", "6h", "1d", or a line of cron such as "0 3 * * mon-fri". Empty: as
    `knowledge.refresh_minutes` says."""
    paused: bool = False
    """Whether it is left as it is: searched, and not read again."""
    evaluation: FilePath | None = None
    """Questions with the documents that answer them (`feedback.evaluate`); the source is searched for these before
    a new state of it becomes visible, and every night."""
    tolerance: float = Field(default=0.05, ge=0, le=1)
    """The share of those questions that a new state may find no more."""

    @field_validator("name")
    @classmethod
    def _leave_the_name_of_files(cls, name: str) -> str:
        if name == "attachment":  # what people attach to questions goes by this name, see bot.attachments
            raise ValueError('another name than "attachment"')
        return name

    @field_validator(*OWN_KEYS, mode="before")
    @classmethod
    def _keep_to_the_kind(cls, value: object, info: ValidationInfo) -> object:
        field = cls.model_fields[str(info.field_name)]
        return key_of_its_kind(value, info, default=field.get_default(call_default_factory=True))

    @property
    def place(self) -> str:
        """Where its documents come from, for people."""
        if self.kind == "folder":
            return str(self.path)
        if self.channels:
            return f"{self.kind} {', '.join(self.channels)}"
        return " ".join(part for part in (self.url or self.kind, self.branch and f"({self.branch})") if part)


class ChatSettings(Section):
    """`[chat]`: how the assistant appears."""

    assistant_name: str = Field(
        default="Parley", min_length=1, max_length=80, description="a text of 1 to 80 characters"
    )


class PolicySettings(Section):
    """`[policy]`: who may ask, where and how often. People and places are named as in `visible_to`: "slack:U42"."""

    workspaces: Ids = ()
    """Slack workspaces and Discord servers where it answers. Empty: all that installed it."""
    channels: Ids = ()
    """Empty: all that it was invited to."""
    people: Ids = ()
    """Empty: everyone there."""
    admins: Ids = ()
    """Beside those whom the platform calls admins."""
    bots: Ids = ()
    """Bots that are answered; no others are."""
    person_per_hour: int = Field(default=60, ge=1, le=100_000)
    place_per_hour: int = Field(default=600, ge=1, le=100_000)


class QueueSettings(Section):
    """`[queue]`: how questions wait for the model."""

    parallel: int = Field(default=4, ge=1, le=64)
    """Answers that are worked on at once."""
    size: int = Field(default=200, ge=1, le=100_000)
    """Questions that may wait in all."""
    per_person: int = Field(default=5, ge=1, le=1000)
    per_place: int = Field(default=50, ge=1, le=10_000)


class InboxSettings(Section):
    """`[inbox]`: the record of what came in and what became of it."""

    keep: int = Field(default=30, ge=1, le=3650)
    """Days after which what has an outcome is deleted."""


class SchedulesSettings(Section):
    """`[schedules]`: what is done by the clock. Times are lines of cron or intervals, see `sources.schedule`."""

    timezone: Annotated[str, BeforeValidator(as_time_zone), Field(description=schedule.ZONE)] = "UTC"
    """Of the lines of cron, such as "Europe/Berlin"."""
    evaluate: Times = "0 2 * * *"
    """When the sources with questions are evaluated. Empty: never."""
    collect: Times = "0 4 * * *"
    """When is deleted what is too old. Empty: never."""
    digest: Times = "0 9 * * mon"
    """When the week is summed up in `digest_channel`. Empty: never."""
    digest_channel: Annotated[str, Field(pattern=r"^[a-z]+:[A-Za-z0-9_:-]+$")] | None = Field(
        default=None, description='a channel with its platform, such as "slack:C024BE7LH"'
    )
    keep_turns: int = Field(default=365, ge=1, le=36_500)
    """Days after which an answer and its votes are deleted."""


class SlackSettings(Section):
    """`[slack]`: the Slack app; it is on when its tokens are in the environment."""

    mode: Literal["socket", "http"] = "socket"
    """How events come: over a connection that Parley opens, or as requests from Slack to `http_host`."""
    api_url: Url = "https://slack.com/api/"
    http_host: Text = "127.0.0.1"
    http_port: int = Field(default=3000, ge=1, le=65_535)
    admin_channel: Text | None = None
    """Id of the channel that is told what an admin should know."""
    suggested_prompts: Annotated[Texts, Field(max_length=4)] = ()
    """Shown to a person who opens the conversation with the bot; at most 4."""
    bot_token: SecretStr | None = Field(default=None, exclude=True)
    app_token: SecretStr | None = Field(default=None, exclude=True)
    signing_secret: SecretStr | None = Field(default=None, exclude=True)
    client_id: SecretStr | None = Field(default=None, exclude=True)
    client_secret: SecretStr | None = Field(default=None, exclude=True)
    secret_key: SecretStr | None = Field(default=None, exclude=True)
    """All from the environment only."""


class DiscordSettings(Section):
    """`[discord]`: the Discord bot; it is on when its token is in the environment."""

    api_url: Url = DISCORD_API
    shards: int | None = Field(default=None, ge=1, le=1000)
    """Connections among which the servers are divided. None: as many as Discord advises."""
    open_threads: bool = True
    """Whether a long talk in a channel goes on in a thread."""
    forums: Annotated[
        tuple[Snowflake, ...],
        BeforeValidator(as_tuple),
        Field(description='a list of ids in quotes, such as ["112233445566778899"]'),
    ] = ()
    """Ids of the forums whose new posts are answered."""
    admin_channel: Snowflake | None = Field(
        default=None, description='an id in quotes, such as "112233445566778899"'
    )
    """Id of the channel that is told what an admin should know."""
    token: SecretStr | None = Field(default=None, exclude=True)
    """From the environment only."""


class WebSettings(Section):
    """`[web]`: the HTTP interface; it is off without a port."""

    host: Text = "127.0.0.1"
    port: int | None = Field(default=None, ge=1, le=65_535)
    token: SecretStr | None = Field(default=None, exclude=True)
    """From the environment only."""
