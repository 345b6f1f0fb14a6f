"""Chat platforms, found through the entry-point group `parley.adapters`; the core imports none of them."""

from collections.abc import Iterator
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, cast

from bot.errors import SettingsError

if TYPE_CHECKING:
    from bot.app import App

GROUP = "parley.adapters"


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
    return cast("AdapterClass", found[name].load())


def adapters(app: "App") -> Iterator[RunningAdapter]:
    """Every installed chat platform that `parley serve` can run."""
    for entry in entry_points(group=GROUP):
        adapter: RunningAdapter = entry.load()(app)
        if not adapter.interactive:
            yield adapter
