"""Chat platforms, found through entry points; the core imports none of them.

parley.adapters   a platform: a class that is made with the app
parley.commands   a group of commands: a `typer.Typer`
parley.setup      what `parley init` offers to prepare: a function that is given the folder of parley.toml, and
                  returns what is left to do
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, cast, runtime_checkable

from bot.errors import SettingsError

if TYPE_CHECKING:
    import typer

    from bot.app import App

GROUP, COMMANDS, SETUP = "parley.adapters", "parley.commands", "parley.setup"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check of `parley doctor`."""

    check: str
    ok: bool
    detail: str


class RunningAdapter(Protocol):
    """The part of `adapters.protocol.Adapter` that starting and stopping needs."""

    name: ClassVar[str]
    interactive: ClassVar[bool]

    @property
    def configured(self) -> bool: ...

    async def run(self) -> None: ...


class AdapterClass(Protocol):
    """Makes an adapter; only the console takes options."""

    def __call__(self, app: "App", **options: Any) -> Any: ...


def adapter_class(name: str) -> AdapterClass:
    """The adapter of that name; raises `SettingsError` when no installed package has it."""
    found = entry_points(group=GROUP)
    if name not in found.names:
        raise SettingsError(
            f"There is no chat platform named {name!r}; installed are: {', '.join(sorted(found.names)) or 'none'}. "
            "Reinstall parley-bot, or install the package that brings it."
        )
    return _loaded(found[name])


def _loaded(entry: EntryPoint) -> AdapterClass:
    try:
        return cast("AdapterClass", entry.load())
    except (ImportError, AttributeError) as error:
        raise SettingsError(
            f"The chat platform {entry.name!r} cannot be loaded ({error}); install the package that brings it anew."
        ) from error


def adapters(app: "App") -> Iterator[RunningAdapter]:
    """Every installed chat platform that `parley serve` can run."""
    for entry in entry_points(group=GROUP):
        adapter: RunningAdapter = _loaded(entry)(app)
        if not adapter.interactive:
            yield adapter


@runtime_checkable
class Checkable(Protocol):
    """An adapter that can say whether its platform will work."""

    async def check(self) -> list[Finding]:
        """One finding for each thing that is needed; raises nothing that is explained by a finding."""


def command_groups() -> list[str]:
    """Names of the groups of commands that platforms bring along; loads none of them."""
    return sorted(entry_points(group=COMMANDS).names)


def command_group(name: str) -> "typer.Typer":
    """The commands of that group."""
    return cast("typer.Typer", entry_points(group=COMMANDS)[name].load())


def setups() -> Iterator[tuple[str, Callable[[Path], str]]]:
    """Names of platforms that `parley init` can prepare, and how; loads none of them."""
    for entry in entry_points(group=SETUP):
        yield entry.name, _Setup(entry)


@dataclass(frozen=True, slots=True)
class _Setup:
    entry: EntryPoint

    def __call__(self, folder: Path) -> str:
        return cast("str", self.entry.load()(folder))
