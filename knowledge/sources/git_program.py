"""Running the `git` program so that it never asks, never hangs and never says a secret.

The program, and not a library: it knows the credential helpers, SSH settings, proxies and rewritten addresses that the
machine's user has, and fetches without history and without the files that nobody wants, which dulwich cannot.

Hooks, submodules and `ext::` addresses are off, and what Git LFS keeps elsewhere is not fetched, because the address of
that place stands in the repository itself. Settings of the user that runs Parley hold otherwise.
"""

import os
import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_KEPT = re.compile(r"GIT_(SSH|SSL|PROXY|EXEC_PATH|CONFIG_GLOBAL|CONFIG_SYSTEM|CONFIG_NOSYSTEM)")
"""Of git's variables, those that say how to reach others; the rest belongs to some other repository."""
_LOGIN = re.compile(r"(?<=://)[^/\s'\"]*@")
_HELPER = (
    '!f() { test "$1" = get && '
    'printf "username=%s\\npassword=%s\\n" "$PARLEY_GIT_NAME" "$PARLEY_GIT_TOKEN"; }; f'
)
"""A credential helper of git that answers from its environment."""
_CHATTER = ("warning:", "hint:", "Warning:", "Please make sure", "and the repository exists")
_SETTINGS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.autocrlf=false",
    "core.askPass=",
    "core.sparseCheckout=true",
    "core.sparseCheckoutCone=false",
    "credential.interactive=false",
    "fetch.recurseSubmodules=false",
    "gc.autoDetach=false",
    "maintenance.autoDetach=false",
    "protocol.ext.allow=never",
    "submodule.recurse=false",
    "http.lowSpeedLimit=100",
    "http.lowSpeedTime=60",
    "advice.detachedHead=false",
)


class GitError(Exception):
    """git failed; the message is what it said last, without logins."""


class GitTimeoutError(GitError):
    """git did not end in time."""


class GitMissingError(GitError):
    """There is no git program."""


@dataclass(frozen=True)
class Git:
    """Runs git; `timeout_s` is for one command."""

    timeout_s: float
    settings: Sequence[str] = ()
    """More settings, as `key=value`; seen by every user of the machine while git runs."""
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Variables for git's environment, whose values are never shown."""

    def run(self, *arguments: str, given: str = "") -> str:
        """What git prints; raises GitError."""
        command = ["git"]
        for setting in (*_SETTINGS, *self.settings):
            command += ["-c", setting]
        try:
            environment = self._environment()
            process = subprocess.Popen(
                [*command, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
                encoding="utf-8",
                errors="surrogateescape",
                cwd="/",  # not in some repository that has settings of its own
                start_new_session=True,  # no terminal to ask on, and its helpers can be ended with it
            )
        except FileNotFoundError as error:
            raise GitMissingError("the program `git` is not installed") from error
        with process:
            try:
                printed, said = process.communicate(given, timeout=self.timeout_s)
            except subprocess.TimeoutExpired as error:
                raise GitTimeoutError(f"git did not end within {self.timeout_s:g} s") from error
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
        if process.returncode:
            raise GitError(self._reason(said) or f"git ended with status {process.returncode}")
        return printed

    def _environment(self) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("GIT_", "SSH_ASKPASS")) or _KEPT.match(name)
        }
        if not kept.keys() & {"GIT_SSH", "GIT_SSH_COMMAND"} and not self._has_own_ssh(kept):
            kept["GIT_SSH_COMMAND"] = "ssh -o BatchMode=yes -o ConnectTimeout=30"
        return kept | {
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_LFS_SKIP_SMUDGE": "1",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "SSH_ASKPASS_REQUIRE": "never",
            "GCM_INTERACTIVE": "never",
            "LC_ALL": "C.UTF-8",
            **self.secrets,
        }

    def _has_own_ssh(self, environment: Mapping[str, str]) -> bool:
        """Whether the user that runs Parley has told git which ssh to take, which a variable would overrule."""
        command = ["git", "config", "--get", "core.sshCommand"]
        return not subprocess.run(
            command, cwd="/", env=environment, capture_output=True, check=False
        ).returncode

    def _reason(self, said: str) -> str:
        """The telling lines of what git said."""
        for secret in self.secrets.values():
            said = said.replace(secret, "…")
        said = without_login(said).encode("utf-8", "replace").decode()
        lines = [" ".join(line.split()) for line in said.splitlines() if line.strip()]
        telling = [line for line in lines if not line.startswith(_CHATTER)] or lines
        return "; ".join(re.sub("^(fatal|error|remote): ", "", line) for line in telling[:3])[:300].rstrip(
            "."
        )


def without_login(text: str) -> str:
    """The text without the names and passwords in its addresses."""
    return _LOGIN.sub("", text)


def login(file: Path, *, address: str) -> tuple[list[str], dict[str, str]]:
    """Settings and secrets with which git logs in at `address` with the token in `file`, and nowhere else.

    The file holds a token, or a name and a token with a colon between them. Raises OSError, and ValueError when it
    holds neither.
    """
    name, colon, token = file.read_text(encoding="utf-8").strip().rpartition(":")
    if not token or not (name or not colon) or not f"{name}{token}".isprintable():
        raise ValueError("no token")
    key = f"credential.{address}.helper"
    # The empty one makes git forget the helpers of the machine for this address.
    return [f"{key}=", f"{key}={_HELPER}"], {
        "PARLEY_GIT_NAME": name or "x-access-token",
        "PARLEY_GIT_TOKEN": token,
    }
