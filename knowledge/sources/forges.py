"""Addresses at which people read the files of a git repository in a browser, pure.

Known are the layouts of GitHub, GitLab, Bitbucket and Gitea (with Forgejo, and so Codeberg), by the host's name: of a
host that has none of these in its name, nothing is known.
"""

import os
import re
from urllib.parse import quote, urlsplit

_SHORT = re.compile(r"(?:[^@/:]+@)?(?P<host>[^/:]+):(?P<path>[^/].*)")
"""How ssh addresses are mostly written: git@github.com:team/handbook.git."""
_LAYOUTS = {
    "github": "/blob/{ref}/",
    "gitlab": "/-/blob/{ref}/",
    "bitbucket": "/src/{ref}/",
    "codeberg": "/src/{kind}/{ref}/",
    "forgejo": "/src/{kind}/{ref}/",
    "gitea": "/src/{kind}/{ref}/",
}


def folder_address(url: str, ref: str) -> str | None:
    """Where the files of `refs/heads/…` or `refs/tags/…` are shown, with a slash at the end; None when not known."""
    if "://" in url:
        parts = urlsplit(url)
        is_web = parts.scheme in {"http", "https"}
        host, path = parts.hostname or "", parts.path
        root = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if is_web else f"https://{host}"
        if parts.scheme not in {"http", "https", "ssh", "git"}:
            return None
    elif match := _SHORT.fullmatch(url):
        host, path, root = match["host"], match["path"], f"https://{match['host']}"
    else:
        return None
    layout = next((_LAYOUTS[label] for label in host.lower().split(".") if label in _LAYOUTS), None)
    path = path.strip("/").removesuffix(".git")
    if layout is None or not path:
        return None
    _, kind, name = ref.split("/", 2)
    shown = layout.format(kind="tag" if kind == "tags" else "branch", ref=quote(name))
    return f"{root}/{quote(path, safe='/%~')}{shown}"


def file_address(folder: str, path: str) -> str:
    """`path` may hold bytes that are no UTF-8, as `os.fsdecode` gives them."""
    return folder + quote(os.fsencode(path))
