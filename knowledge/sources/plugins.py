"""Kinds of sources that other packages bring, found through the entry-point group `parley.sources`.

An entry point has the name of its kind and names a `Factory`. What it makes only lists files: name, principals and
patterns of the source are held here, whatever the plugin does.
"""

import errno
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path, PurePosixPath
from typing import Any, Protocol, cast

from knowledge.errors import KnowledgeError, SourceError
from knowledge.sources.patterns import Patterns
from knowledge.sources.protocol import SourceFile
from knowledge.sources.storage import fetching

GROUP = "parley.sources"
_OF_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})


class Lister(Protocol):
    """The part of `Source` that a plugin's source needs."""

    def files(self) -> Iterable[SourceFile]:
        """As `Source.files`."""


Factory = Callable[[str, Mapping[str, Any], Path], Lister]
"""Is given the source's name, what stands in its `settings`, and a folder where it may keep what it fetches. The folder
stays from one reading to the next as long as the settings do; nobody else uses it meanwhile."""


def installed_kinds() -> list[str]:
    """Names of the kinds; loads none of them."""
    return sorted(entry_points(group=GROUP).names)


@dataclass(frozen=True)
class PluginSource:
    """A source of another package's kind."""

    name: str
    kind: str
    visible_to: frozenset[str]
    settings: Mapping[str, Any]
    data_dir: Path
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    place: str = ""
    """What says where its documents come from; empty: all of its settings do."""

    def files(self) -> Iterator[SourceFile]:
        """What the plugin lists and the patterns want; SourceError for whatever goes wrong in it.

        What has a problem may stand for all that is below it, so only `exclude` can leave it out.
        """
        place = self.place or f"{self.kind} {json.dumps(self.settings, sort_keys=True, default=str)}"
        with fetching(self.data_dir, source=self.name, place=place) as folder:
            files = self._listed(folder)
        patterns = Patterns(self.include, self.exclude)
        for file in files:
            path = PurePosixPath(file.path)
            if patterns.want(path) or (file.problem and not patterns.leave_out(path)):
                yield file

    def _listed(self, folder: Path) -> list[SourceFile]:
        found = entry_points(group=GROUP, name=self.kind)
        if not found:
            raise SourceError(
                f"Source '{self.name}': no installed package brings sources of kind {self.kind!r}; install it, or "
                f"remove the source (installed are: {', '.join(installed_kinds()) or 'none'})."
            )
        try:
            factory = cast("Factory", next(iter(found)).load())
            return list(factory(self.name, self.settings, folder).files())
        except SourceError:
            raise
        except KnowledgeError as error:  # says what it is
            raise SourceError(f"Source '{self.name}': {error}") from error
        except Exception as error:  # a plugin may raise anything; this is its boundary
            if isinstance(error, OSError) and _is_of(folder, error):
                raise  # `fetching` says what it is
            raise SourceError(
                f"Source '{self.name}': its plugin for {self.kind!r} failed ({type(error).__name__}); check its "
                "`settings`, or bring the plugin up to date."
            ) from error


def _is_of(folder: Path, error: OSError) -> bool:
    """Whether it is the folder that cannot be written; networks have such errors as well."""
    if isinstance(error.filename, str | os.PathLike):
        return Path(error.filename).is_relative_to(folder)
    return error.errno in _OF_DISK
