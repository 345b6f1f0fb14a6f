"""When each file of a repository was last changed, by its commits: one pass of `git log`, without the files' contents.

Dates are known as far back as `COMMITS`; a file that has not been changed since then has none. The dates are those that
the committers' machines gave; a commit that touches every file makes every file young.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

COMMITS = 1000
"""How many of the newest are looked through: what they changed, without contents, is a few megabytes at most."""

Run = Callable[..., str]
"""Runs git in the repository with these arguments, and gives what it prints."""


def hands_out_history_alone(run: Run, ref: str) -> bool:
    """Whether the server that `ref` was just fetched from left out the contents of files, as it was asked to.

    One that cannot would send every version of every file along with the history.
    """
    listed = run("rev-list", "--objects", "--no-object-names", "--missing=print", "--max-count=1", ref)
    return any(line.startswith("?") for line in listed.splitlines())


def last_changes(run: Run, ref: str, *, repository: Path) -> dict[str, str]:
    """By path within the repository the moment of its last commit, ISO 8601 with an offset.

    Of a history that was cut off, the first commit seems to add every file that there was: it says nothing.
    """
    shallow = repository / "shallow"
    cut = set(shallow.read_text().split()) if shallow.is_file() else set()
    printed = run(
        "log", "-z", "--no-renames", "--name-only", "--format=%x01%H %cI", f"--max-count={COMMITS}", ref
    )
    found: dict[str, str] = {}
    for commit in printed.split("\x01")[1:]:
        head, *paths = commit.split("\0")
        name, _, moment = head.strip().partition(" ")
        if name not in cut:
            for path in _cleaned(paths):
                found.setdefault(path, moment)
    return found


def _cleaned(paths: Sequence[str]) -> list[str]:
    """git puts a line break before the first path of a commit."""
    return [path.removeprefix("\n") for path in paths if path.strip("\n")]
