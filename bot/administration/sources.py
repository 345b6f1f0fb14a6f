"""`sources …`: where documents come from. They are declared in parley.toml; what is changed here is written there."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from bot.administration.naming import ELSEWHERE, is_alone, nameable, unknown_source
from bot.commands import Command, Request, code, listing
from bot.config import NAME, SourceSettings
from bot.errors import UsageError
from bot.messages import IncomingMessage
from bot.notices import Action, Notice
from bot.policy import CONSOLE
from knowledge.access import EVERYONE

_PATH = r"(?:\"[^\"\n]+\"|“[^”\n]+”|\S+)"
_ADD = rf"(?P<name>{NAME})\s+(?P<path>{_PATH})(?:\s+for\s+(?P<audience>\S.*))?"

_PRINCIPAL = re.compile(r"everyone|[a-z]+:[A-Za-z0-9_:-]+")


class Sources:
    """What the commands do; the changes themselves are given."""

    def __init__(
        self,
        *,
        listed: Callable[[], Sequence[SourceSettings]],
        counts: Callable[[], Mapping[str, tuple[int, int]]],
        addable: Sequence[Path],
        add: Callable[[Mapping[str, str | list[str]]], Awaitable[None]],
        pause: Callable[[str, bool], Awaitable[None]],
        remove: Callable[[str], Awaitable[None]],
    ) -> None:
        """`counts` has documents and passages by name, and blocks; `addable` are folders below which one may be added.

        `add` takes a source's settings, `pause` and `remove` its name; each raises `SettingsError`.
        """
        self._listed = listed
        self._counts = counts
        self._addable = addable
        self._add = add
        self._pause = pause
        self._remove = remove

    def commands(self) -> list[Command]:
        def command(
            name: str,
            about: str,
            run: Callable[[Request], Awaitable[Notice | str]],
            *,
            argument: str = NAME,
            placeholder: str = "SOURCE",
            is_listed: bool = True,
        ) -> Command:
            return Command(
                name=name,
                about=about,
                run=run,
                argument=argument,
                placeholder=placeholder,
                needs_admin=True,
                is_listed=is_listed,
            )

        return [
            Command(
                name="sources",
                about="where documents come from",
                run=self._list,
                needs_admin=True,
                alone="list",
            ),
            command(
                "sources add",
                "read another folder, for the people of this channel or those named",
                self._added,
                argument=_ADD,
                placeholder="NAME FOLDER [for everyone]",
            ),
            command("sources pause", "leave a source as it is", self._paused),
            command("sources resume", "let a source be read again when it is due", self._resumed),
            command("sources remove", "forget a source and its documents", self._asked_to_remove),
            command("sources drop", "forget a source without asking", self._removed, is_listed=False),
        ]

    async def _list(self, request: Request) -> str:
        counts = await asyncio.to_thread(self._counts)
        sources = {source.name: source for source in self._listed()}
        lines = [_line(sources[name], counts.get(name, (0, 0))) for name in self._nameable(request)]
        if sources and not is_alone(request.message):
            lines.append(ELSEWHERE)
        return "\n".join(lines) or "There are no sources yet: `sources add NAME FOLDER`, or edit parley.toml."

    async def _added(self, request: Request) -> Notice:
        given = re.fullmatch(_ADD, request.argument, re.IGNORECASE | re.DOTALL)
        if given is None:
            raise UsageError("Say it as `sources add NAME FOLDER`.")
        name = given["name"].casefold()
        if name in {source.name for source in self._listed()}:
            raise UsageError(f"There is a source `{name}` already; choose another name.")
        if name in await asyncio.to_thread(self._counts):
            raise UsageError(
                f"Documents of an earlier source `{name}` are still there; choose another name, or `reindex` first."
            )
        path = await asyncio.to_thread(self._allowed, given["path"].strip('"“”'))
        message = request.message
        audience = [part.strip() for part in (given["audience"] or _here(message)).split(",") if part.strip()]
        if wrong := [one for one in audience if not _PRINCIPAL.fullmatch(one)]:
            raise UsageError(
                f"{code(wrong[0])} names nobody; who may see a source is `everyone`, or channels and people such as "
                f"{code(message.place)}."
            )
        await self._add({"name": name, "kind": "folder", "path": str(path), "visible_to": audience})
        return Notice(
            f"Source `{name}` is written down, for {listing(audience, 'and')}. Its documents can be found when it "
            "has been read.",
            (Action("Read it now", f"reindex go {name}"),),
        )

    def _allowed(self, given: str) -> Path:
        """The folder, when admins may add it from here: what a chat can name would else be every file there is."""
        if not self._addable:
            raise UsageError(
                "No folder may be added in chat yet: whoever runs me lists the folders below which that is allowed "
                "in `knowledge.addable` of parley.toml, or adds the source there."
            )
        with suppress(OSError, RuntimeError, ValueError):  # no such person in "~person", too long, a null
            path = Path(given).expanduser()
            for place in [path] if path.is_absolute() else [root / path for root in self._addable]:
                resolved = place.resolve()
                if (
                    any(resolved.is_relative_to(root.resolve()) for root in self._addable)
                    and resolved.is_dir()
                ):
                    return resolved
        folders = listing([str(root) for root in self._addable], "or")
        raise UsageError(f"There is no folder {code(given)} below {folders}.")

    async def _paused(self, request: Request) -> str:
        name = self._known(request)
        await self._pause(name, True)
        return f"Source `{name}` stays as it is until `sources resume {name}`; its documents are still found."

    async def _resumed(self, request: Request) -> str:
        name = self._known(request)
        await self._pause(name, False)
        return f"Source `{name}` is read again when it is due; `reindex {name}` reads it now."

    async def _asked_to_remove(self, request: Request) -> Notice:
        name = self._known(request)
        counts = await asyncio.to_thread(self._counts)
        documents, _ = counts.get(name, (0, 0))
        return Notice(
            f"Source `{name}` with {documents:,} documents would be forgotten, here and in parley.toml; the files "
            "themselves stay.",
            (Action("Forget it", f"sources drop {name}", is_dangerous=True),),
        )

    async def _removed(self, request: Request) -> str:
        name = self._known(request)
        await self._remove(name)
        return f"Source `{name}` is forgotten; nobody finds its documents any more."

    def _nameable(self, request: Request) -> list[str]:
        """The sources that all who see the reply may know of."""
        return nameable(self._visible_to, request.message, self._visible_to)

    @property
    def _visible_to(self) -> dict[str, frozenset[str]]:
        return {source.name: frozenset(source.visible_to) for source in self._listed()}

    def _known(self, request: Request) -> str:
        name = request.argument.casefold()
        if name not in self._visible_to:
            raise unknown_source(name, self._visible_to, request.message, self._visible_to)
        return name


def _here(message: IncomingMessage) -> str:
    """Who sees a source that is added without saying so."""
    return EVERYONE if message.platform == CONSOLE else message.place


def _line(source: SourceSettings, counts: tuple[int, int]) -> str:
    documents, passages = counts
    indexed = f"{documents:,} documents, {passages:,} passages" if documents else "not read yet"
    state = ", paused" if source.paused else ""
    return f"- `{source.name}` ({source.kind}, for {listing(source.visible_to, 'and')}{state}): {indexed}"
