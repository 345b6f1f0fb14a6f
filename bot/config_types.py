"""The types of the keys of `parley.toml`: what a value must be like, and what it becomes."""

from pathlib import Path
from typing import Annotated, Literal, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo

from bot import schedule

STARTER: Literal["starter"] = "starter"
"""The small model that comes as a package."""
DISCORD_API = "https://discord.com/api/v10"
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


def as_embedding_model(value: object, info: ValidationInfo) -> object:
    """A folder beside the file becomes a path; anything else is a model's name."""
    if not isinstance(value, str) or not value or "\0" in value:
        return value
    folder = cast("Path", (info.context or {})["folder"]) / Path(value).expanduser()
    return str(folder.resolve()) if folder.is_dir() else value


def _url(value: object) -> object:
    return _address(value, example="http://localhost:8080/v1", key="the key into PARLEY_LLM_API_KEY")


def as_chroma_url(value: object) -> object:
    return _address(value, example="http://localhost:8000", key="the token into PARLEY_CHROMA_TOKEN")


def _address(value: object, *, example: str, key: str) -> object:
    if not isinstance(value, str):
        return value
    scheme, _, rest = value.partition("://")
    host = rest.partition("/")[0]
    if scheme not in {"http", "https"} or not host:
        raise ValueError(f'an address such as "{example}"')
    if "@" in host:
        raise ValueError(f"an address without a user or password; put {key}")
    return value


def _schedule(value: object) -> object:
    if isinstance(value, str) and value.strip():
        schedule.parse(value)
    return value


def as_time_zone(value: object) -> object:
    return schedule.check_timezone(value) if isinstance(value, str) else value


def _urls(value: object) -> object:
    if isinstance(value, str):
        return _url(value)
    if isinstance(value, list | tuple) and value and all(isinstance(one, str) for one in value):
        return tuple(_url(one) for one in value)
    raise ValueError('an address such as "http://localhost:8080/v1", or a list of them')


def as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


Text = Annotated[str, Field(min_length=1)]
Times = Annotated[str, BeforeValidator(_schedule), Field(description=schedule.ALLOWED)]
"""A schedule as `bot.schedule.parse` reads it; empty: never, or as something else says."""
FilePath = Annotated[Path, BeforeValidator(_path), Field(description="a path")]
ModelPath = Annotated[
    Literal["starter"] | Path,
    BeforeValidator(_model),
    Field(description='"starter" or the path of a GGUF file'),
]
Url = Annotated[
    str, BeforeValidator(_url), Field(description='an address such as "http://localhost:8080/v1"')
]
Urls = Annotated[
    str | tuple[str, ...],
    BeforeValidator(_urls),
    Field(description='an address such as "http://localhost:8080/v1", or a list of them'),
]
Texts = Annotated[
    tuple[Text, ...], BeforeValidator(as_tuple), Field(description='a list of texts, such as ["a", "b"]')
]


Snowflake = Annotated[str, Field(pattern=r"^\d{15,20}$")]
"""An id of Discord's. A text, as many programs cannot hold it as a number."""
Ids = Annotated[
    tuple[Annotated[str, Field(pattern=r"^[a-z]+:[A-Za-z0-9_:-]+$")], ...],
    BeforeValidator(as_tuple),
    Field(description='a list of ids with their platform, such as ["slack:U024BE7LH"]'),
]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)
