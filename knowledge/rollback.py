"""Taking the last revision of the index back: what that would change, and whether it can be done.

The documents come back as they were indexed, under the names of their sources. Who may see them is what the settings
say now: a source that has been given another folder since shows the old folder's documents to those who may see it now.
"""

from collections.abc import Collection
from dataclasses import dataclass

from knowledge.errors import RollbackError
from knowledge.versions import State, Version


@dataclass(frozen=True, slots=True)
class SourceRollback:
    """What a rollback does to one source; numbers of documents."""

    name: str
    added: int
    """Come back."""
    changed: int
    """Have their earlier content again."""
    deleted: int
    """Go away."""


@dataclass(frozen=True, slots=True)
class Rollback:
    """What a rollback does, or would do."""

    sources: tuple[SourceRollback, ...]
    """Those that change, by name."""
    revision: int
    """Of the index, that is or would be taken back."""
    dry_run: bool = False


def plan_rollback(
    state: State,
    versions: Collection[Version],
    *,
    generation: str,
    embedder: str,
    expected: int | None,
    dry_run: bool,
) -> Rollback:
    """What taking back the last revision changes.

    `generation` and `embedder` are what the settings make of documents: an index of another generation could not be
    searched, or the next sync would build it anew. `expected` is the revision that is meant, None for whichever.

    Raises:
        RollbackError: there is no earlier state, the settings must be changed back first, or another revision is
            there now.
    """
    if expected is not None and expected != state.revision:
        raise RollbackError("The documents have changed since that was asked; give `rollback` again.")
    going = {
        version.id: version for version in versions if version.live and version.live_since == state.revision
    }
    coming = {version.id: version for version in versions if version.retired_in == state.revision}
    if not state.previous_generation or not (going or coming):
        raise RollbackError(
            "There is no earlier state of the index to go back to: only the last reindex that changed anything can "
            "be taken back."
        )
    if state.previous_embedder != embedder:
        raise RollbackError(
            f"The earlier state of the index was built with the embedding model {state.previous_embedder}: set "
            "`knowledge.embedding_model` back to it, restart Parley, and give the command again."
        )
    if state.previous_generation != generation:
        raise RollbackError(
            "The earlier state of the index was cut with another `knowledge.chunk_tokens`, or by another version of "
            "Parley: go back to that first, restart Parley, and give the command again."
        )
    names = sorted({version.source for version in (*going.values(), *coming.values())})
    return Rollback(
        tuple(
            _source(
                name,
                going={id_ for id_, version in going.items() if version.source == name},
                coming={id_ for id_, version in coming.items() if version.source == name},
            )
            for name in names
        ),
        revision=state.revision,
        dry_run=dry_run,
    )


def _source(name: str, *, going: set[str], coming: set[str]) -> SourceRollback:
    return SourceRollback(
        name, added=len(coming - going), changed=len(coming & going), deleted=len(going - coming)
    )
