"""The sources as they are declared, which may change while people ask.

`visible_to` is one object for good: whoever holds it sees a change at once. Two sources may be seen in a mixed state
for a moment, one as before and one as now; a single source never is.
"""

import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bot.config import SourceSettings
from bot.errors import UsageError
from knowledge.sources.folder import FolderSource
from knowledge.sources.git import GitSource
from knowledge.sources.plugins import PluginSource
from knowledge.sources.protocol import Source
from knowledge.sources.website import WebsiteSource


@dataclass(frozen=True, slots=True)
class Declaration:
    """The sources at one moment."""

    settings: tuple[SourceSettings, ...]
    sources: tuple[Source, ...]
    """One for each of the settings, in their order."""

    @property
    def paused(self) -> frozenset[str]:
        """Names of those that are left as they are."""
        return frozenset(source.name for source in self.settings if source.paused)

    def find(self, name: str) -> SourceSettings:
        """The settings of a source; raises `UsageError`."""
        for source in self.settings:
            if source.name == name:
                return source
        names = ", ".join(source.name for source in self.settings)
        raise UsageError(f"There is no source named {name!r}; the sources are: {names or 'none yet'}.")


class Declared:
    """Holds the present `Declaration`; used from any thread."""

    def __init__(
        self,
        settings: Sequence[SourceSettings],
        *,
        data_dir: Path,
        api_urls: Mapping[str, str] | None = None,
        apart: Iterable[Path] = (),
    ) -> None:
        """`data_dir` is where sources keep what they fetch; `api_urls` says by platform where its channels are read.

        A folder with documents holds neither `data_dir` nor what is `apart`, nor what sources are told by a file.
        """
        self._data_dir = data_dir
        self._api_urls = dict(api_urls or {})
        self._apart = tuple(apart)
        self._lock = threading.Lock()
        self._elsewhere: set[str] = set()
        """Sources under whose names the documents of another place are still indexed."""
        self.now = self._declaration(settings)
        self.visible_to: dict[str, frozenset[str]] = {}
        """By source the principals that may see it."""
        self._show()

    def change(self, settings: Sequence[SourceSettings], *, indexed: Collection[str]) -> None:
        """Take up other sources; `indexed` are the names under which documents can be found.

        One that has another place than those documents is shown to nobody until it `was_read`: who may see it says
        nothing about the documents of the old place.
        """
        with self._lock:
            before = self.now
            self.now = self._declaration(settings)
            known = {source.name for source in before.settings}
            same = self._unmoved(before)
            self._elsewhere |= {
                source.name
                for source in settings
                if source.name not in same and (source.name in known or source.name in indexed)
            }
            self._show()

    def was_read(self, names: Iterable[str], *, of: Declaration) -> None:
        """Note that what is indexed under these names is from the places of that declaration."""
        with self._lock:
            self._elsewhere -= set(names) & self._unmoved(of)
            self._show()

    def _declaration(self, settings: Sequence[SourceSettings]) -> Declaration:
        # Questions, if they were found, would answer themselves; a token is a secret.
        files = (file for source in settings for file in (source.evaluation, source.token_file) if file)
        apart = frozenset(path.absolute() for path in (self._data_dir, *self._apart, *files))
        sources = (_source(source, self._data_dir, self._api_urls, apart) for source in settings)
        return Declaration(tuple(settings), tuple(sources))

    def _unmoved(self, before: Declaration) -> set[str]:
        """Names of the sources that have the place that they had."""
        places = {source.name: _place(source) for source in before.settings}
        return {source.name for source in self.now.settings if places.get(source.name) == _place(source)}

    def _show(self) -> None:
        shown = {source.name: source.visible_to for source in self.now.sources}
        self._elsewhere &= shown.keys()
        shown |= dict.fromkeys(self._elsewhere, frozenset())
        for name in self.visible_to.keys() - shown.keys():
            del self.visible_to[name]
        self.visible_to.update(shown)


def _place(settings: SourceSettings) -> tuple[object, ...]:
    """What is the same as long as the documents come from the same place."""
    channels = frozenset(settings.channels)
    return settings.kind, settings.path, settings.url, settings.branch, channels, settings.settings


def _source(
    settings: SourceSettings, data_dir: Path, api_urls: Mapping[str, str], apart: frozenset[Path]
) -> Source:
    name, visible_to = settings.name, frozenset(settings.visible_to)
    include, exclude, url = settings.include, settings.exclude, settings.url or ""
    match settings.kind:
        case "folder":
            return FolderSource(name, settings.path, visible_to, include, exclude, apart)
        case "git":
            return GitSource(
                name,
                url,
                visible_to,
                data_dir,
                branch=settings.branch or "",
                include=include,
                exclude=exclude,
                token_file=settings.token_file,
                web=settings.web or "",
            )
        case "website":
            return WebsiteSource(
                name,
                url,
                visible_to,
                data_dir,
                include=include,
                exclude=exclude,
                sitemap=settings.sitemap,
                depth=settings.depth,
                pages=settings.pages,
                rate=settings.rate,
                allow_private=settings.allow_private,
            )
        case kind if settings.channels:
            api_url = api_urls.get(kind, "")
            history = {
                "channels": settings.channels,
                "days": settings.days,
                "bots": settings.bots,
                "leave_out": settings.leave_out,
                "api_url": api_url,
            }
            # What is kept of a channel is good whatever else the settings say.
            place = f"{kind} {api_url}"
            return PluginSource(name, kind, visible_to, history, data_dir, include, exclude, place)
        case kind:
            return PluginSource(name, kind, visible_to, settings.settings, data_dir, include, exclude)
