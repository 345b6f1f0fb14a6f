"""A git repository: cloned into the data folder, and brought up to date on each reading.

Only files that can be documents are fetched where the server supports it, and then also what the last commits changed,
for the days of the documents; else only the newest state, and no days. A branch whose history was rewritten is taken as
it is. A clone that is damaged is made again. Submodules and files that Git LFS
keeps elsewhere are not fetched; links are treated as `FolderSource` treats them, within what was fetched.
"""

import logging
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from knowledge.errors import SourceError
from knowledge.sources.folder import LISTED_TYPES, FolderSource
from knowledge.sources.forges import file_address, folder_address
from knowledge.sources.git_dates import COMMITS, hands_out_history_alone, last_changes
from knowledge.sources.git_program import (
    Git,
    GitError,
    GitMissingError,
    GitTimeoutError,
    login,
    without_login,
)
from knowledge.sources.protocol import SourceFile
from knowledge.sources.storage import fetching

log = logging.getLogger(__name__)

_NOW = "refs/parley/now"
_SPARING = ("--depth=1", "--filter=blob:none")
"""Without history, and files only when they are written. Most servers can; those that know no filter ignore it."""
_WITH_HISTORY = (f"--depth={COMMITS}", "--filter=blob:none")
_LOCKED_OUT = (
    r"could not read (Username|Password)|Authentication failed|Permission denied|access denied|error: 40[13]"
)
_FIXES = (
    (
        _LOCKED_OUT,
        "give the user that runs Parley a credential helper or an SSH key for it, or name a `token_file`",
    ),
    (
        r"Host key verification failed",
        "add the host's key to the `known_hosts` of the user that runs Parley, after checking it",
    ),
    (
        r"dubious ownership",
        "let the user that runs Parley own the repository, or add it to `safe.directory` of git",
    ),
    (r"transport '.*' not allowed", "give an address of https, ssh or git, or a path"),
    (
        r"not found|does not exist|does not appear to be a git repository",
        "correct `url`; one that needs a login may also look as if it did not exist",
    ),
)


@dataclass(frozen=True)
class GitSource:
    """Files of the repository at `url` that match `include` and not `exclude`, as in `FolderSource`."""

    name: str
    url: str
    """Whatever `git clone` takes; without a password."""
    visible_to: frozenset[str]
    data_dir: Path
    branch: str = ""
    """Or tag; empty: the one that the repository shows first."""
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    token_file: Path | None = None
    """Holds what logs in over HTTP, see `login`."""
    web: str = ""
    """Where people read the files in a browser; empty: as the host's name tells, else no web address."""
    timeout_s: float = 900.0
    """For each command of git."""

    def files(self) -> Iterator[SourceFile]:
        """Bring the clone up to date and list it; raises SourceError when that fails, however far it came."""
        with fetching(self.data_dir, source=self.name, place=f"git {self.url} {self.branch}") as folder:
            try:
                git = self._git()
                ref, commit = self._newest(git)
                self._bring(git, folder, ref, commit)
                dates = self._dates(git, folder)
            except GitMissingError as error:
                raise SourceError(
                    f"Source '{self.name}': the program `git` is not installed; install it, then try again."
                ) from error
            except GitError as error:
                raise SourceError(self._sentence(str(error))) from error
        root = folder / "clone" / "files"
        web = f"{self.web.rstrip('/')}/" if self.web else folder_address(self.url, ref)
        listed = FolderSource(self.name, root, self.visible_to, self.include, self.exclude).files()
        for file in listed:
            path = os.fspath(file.local.relative_to(root.resolve()))
            known = {"date": dates[path]} if path in dates else {}
            yield replace(
                file,
                uri=file_address(web, path) if web else file.uri,
                metadata={**file.metadata, **known},
            )

    def _git(self) -> Git:
        if self.token_file is None:
            return Git(self.timeout_s)
        parts = urlsplit(self.url)
        try:
            settings, secrets = login(self.token_file, address=f"{parts.scheme}://{parts.netloc}")
        except (OSError, ValueError) as error:
            raise SourceError(
                f"Source '{self.name}': {self.token_file} holds no token that can be read; write the token into it, "
                "alone or as name:token."
            ) from error
        return Git(self.timeout_s, settings, secrets)

    def _newest(self, git: Git) -> tuple[str, str]:
        """The full name of the branch or tag, and the id of what it points to now."""
        wanted = [f"refs/heads/{self.branch}", f"refs/tags/{self.branch}"] if self.branch else []
        links, ids = {}, {}
        for line in git.run("ls-remote", "--symref", "--", self.url, "HEAD", *wanted).splitlines():
            value, _, ref = line.partition("\t")
            if value.startswith("ref: "):
                links[ref] = value.removeprefix("ref: ")
            else:
                ids[ref] = value
        for ref in wanted or ["HEAD"]:
            if ref in ids:
                return links.get(ref, ref), ids[ref]
        if self.branch:
            raise SourceError(
                f"Source '{self.name}': {self._shown} has no branch or tag named {self.branch!r}; correct `branch`, "
                "or leave it out to take the first one."
            )
        raise SourceError(
            f"Source '{self.name}': {self._shown} has no commit on its first branch; push one, or name another "
            "`branch`."
        )

    def _bring(self, git: Git, folder: Path, ref: str, commit: str) -> None:
        """Let `clone` in the folder be what the repository holds now; raises GitError, and the old clone stays."""
        clone, fresh, plain = folder / "clone", folder / "fresh", folder / "plain"
        if clone.is_dir():
            try:
                self._update(git, clone, ref, commit, plain=plain.exists())
            except GitTimeoutError:
                raise
            except GitError as error:
                log.warning("Source '%s' is cloned anew: %s.", self.name, error)
            else:
                return
        shutil.rmtree(fresh, ignore_errors=True)
        try:
            self._update(git, fresh, ref, commit, plain=plain.exists())
        except GitError as error:
            if "shallow" not in str(error) or plain.exists():
                raise
            # A server that only hands out files. It is told from the start, as git does not forget a failed attempt.
            plain.touch()
            shutil.rmtree(fresh, ignore_errors=True)
            self._update(git, fresh, ref, commit, plain=True)
        shutil.rmtree(clone, ignore_errors=True)
        fresh.rename(clone)

    def _update(self, git: Git, clone: Path, ref: str, commit: str, *, plain: bool = False) -> None:
        repository, files = clone / "repository", clone / "files"
        files.mkdir(parents=True, exist_ok=True)

        def run(*arguments: str) -> str:
            # Apart from the files, so that no link among them can lead into it.
            return git.run(f"--git-dir={repository}", f"--work-tree={files}", *arguments)

        if not repository.is_dir():
            git.run("init", "--quiet", "--bare", "--template=", str(repository))
            run("config", "remote.origin.url", self.url)
        if commit not in run("for-each-ref", "--format=%(objectname)", _NOW):
            fetch = ("fetch", "--quiet", "--force", "--no-tags", "--no-write-fetch-head")
            history = repository / "parley-history"  # the mark of a server that hands it out alone
            if plain:
                run(*fetch, "origin", f"+{ref}:{_NOW}")
            else:
                run(*fetch, *(_WITH_HISTORY if history.exists() else _SPARING), "origin", f"+{ref}:{_NOW}")
                if not history.exists() and hands_out_history_alone(run, _NOW):
                    run(*fetch, *_WITH_HISTORY, "origin", f"+{ref}:{_NOW}")
                    history.touch()
        (repository / "info").mkdir(exist_ok=True)
        (repository / "info" / "sparse-checkout").write_text(wanted_by_git(self.include), encoding="utf-8")
        run("read-tree", "--reset", "-u", _NOW)
        run("clean", "--quiet", "-ffdx")

    def _dates(self, git: Git, folder: Path) -> dict[str, str]:
        """See `last_changes`; a history that cannot be read costs the days and nothing else."""
        repository = folder / "clone" / "repository"

        def run(*arguments: str) -> str:
            return git.run(f"--git-dir={repository}", *arguments)

        try:
            return last_changes(run, _NOW, repository=repository)
        except (GitError, OSError, ValueError) as error:
            log.warning("Source '%s': its documents have no days: %s.", self.name, error)
            return {}

    @property
    def _shown(self) -> str:
        return without_login(self.url)

    def _sentence(self, reason: str) -> str:
        fix = next(
            (fix for pattern, fix in _FIXES if re.search(pattern, reason)),
            "check `url` and the network, then try again",
        )
        return f"Source '{self.name}': {self._shown} cannot be read ({reason}); {fix}."


def wanted_by_git(include: Sequence[str]) -> str:
    """Patterns for git of the files to fetch: at least those that `Patterns` would include."""
    if any(set(pattern) & set("\\[]!#") or pattern != pattern.strip() for pattern in include):
        return "/*\n"  # such signs mean something else to git
    if not include:
        return "".join(
            "*" + "".join(f"[{sign}{sign.upper()}]" if sign.isalpha() else sign for sign in suffix) + "\n"
            for suffix in sorted(LISTED_TYPES)
        )
    lines = []
    for pattern in include:
        parts = [part for part in pattern.split("/") if part]
        lines.append("/" * ("/" in pattern) + "/".join(parts))
        while len(parts) > 1 and parts[-1] == "**":  # which may stand for nothing at all, but not to git
            parts.pop()
            lines.append("/" + "/".join(parts))
    return "\n".join(lines) + "\n"
