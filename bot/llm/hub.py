"""Files from the Hugging Face hub: downloaded with progress, resumed where they broke off, and checked.

huggingface_hub knows the addresses, the headers and how to go on after a dropped connection. What it does not do in
this way is done here: a download that was interrupted, or whose process was killed, goes on where it was the next
time, and the finished file must have the SHA-256 that the hub names, or it is removed. Private and gated models need
the token that huggingface_hub finds by itself (`HF_TOKEN`); `HF_ENDPOINT` names another hub.
"""

import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Self
from urllib.parse import urlsplit

from filelock import FileLock, Timeout

from bot.errors import ModelError, ModelFileError, ModelUnavailableError, UsageError
from bot.llm.catalogue import CATALOGUE, offer_of
from bot.llm.models import PART, human_size

OnProgress = Callable[[int, int], None]
"""Bytes that are here, bytes in all."""

_REPO_AND_FILE = re.compile(r"([\w.-]+/[\w.-]+):([\w./ +-]+\.gguf)", re.ASCII | re.IGNORECASE)
_REPO = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_TIMEOUT = 20.0
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file on the hub."""

    repo: str
    file: str

    @property
    def parts(self) -> list[str]:
        """All files of a model that was cut up, by the name of one; else the file itself."""
        found = PART.search(self.file)
        if found is None:
            return [self.file]
        count = int(found[2])
        return [PART.sub(f"-{n:05}-of-{count:05}.gguf", self.file) for n in range(1, count + 1)]


def wanted(text: str, *, endpoint: str | None = None) -> Wanted:
    """What `parley model pull` is asked for: a name of the catalogue, or `repository:file`.

    Raises:
        UsageError: it is neither; for a repository alone, the message lists its files.
        ModelError: the hub cannot be asked for that list.
    """
    if offer := offer_of(text):
        return Wanted(offer.repo, offer.file)
    if (found := _REPO_AND_FILE.fullmatch(text)) and ".." not in PurePosixPath(found[2]).parts:
        return Wanted(found[1], found[2])
    if _REPO.fullmatch(text):
        files = files_of(text, endpoint=endpoint)
        listed = ", ".join(files[:20]) if files else "no GGUF files"
        raise UsageError(f"Which file of {text}? Write {text}:FILE; there are: {listed}.")
    names = ", ".join(offer.name for offer in CATALOGUE)
    raise UsageError(
        f"There is no model {text!r} in the list ({names}); write repository:file for any other on the hub,"
        " as in Qwen/Qwen2.5-0.5B-Instruct-GGUF:qwen2.5-0.5b-instruct-q8_0.gguf."
    )


def files_of(repo: str, *, endpoint: str | None = None) -> list[str]:
    """The GGUF files of a repository."""
    from huggingface_hub import HfApi

    endpoint = endpoint or os.environ.get("HF_ENDPOINT") or None
    with _explained(repo, "", endpoint):
        names = HfApi(endpoint=endpoint).list_repo_files(repo)
    return sorted(name for name in names if name.lower().endswith(".gguf"))


def pull(
    file: Wanted,
    folder: Path,
    *,
    endpoint: str | None = None,
    on_progress: OnProgress = lambda _have, _of: None,
) -> Path:
    """Download a model into a folder; what is there already and whole is not downloaded again. Blocks.

    Args:
        endpoint: the hub's address; None: `HF_ENDPOINT`, or huggingface.co.
        on_progress: called as bytes come, for each part of a model anew.

    Returns:
        The file, or the first part of a model that was cut up.

    Raises:
        ModelUnavailableError: the hub cannot be reached, or the connection broke off for good.
        ModelFileError: there is no such file, no room for it, its checksum is wrong, or another repository's file
            has its name.
        ModelError: another process is downloading it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    endpoint = endpoint or os.environ.get("HF_ENDPOINT") or None
    paths = [_pull_one(file.repo, name, folder, endpoint, on_progress) for name in file.parts]
    return paths[0]


def _pull_one(repo: str, name: str, folder: Path, endpoint: str | None, on_progress: OnProgress) -> Path:
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    with _explained(repo, name, endpoint):
        address = hf_hub_url(repo, name, endpoint=endpoint)
        found = get_hf_file_metadata(address, timeout=_TIMEOUT, endpoint=endpoint)
    if not found.etag or found.size is None:
        raise ModelUnavailableError(f"{address} does not say what the file is: is it a Hugging Face hub?")
    target = folder / PurePosixPath(name).name
    part = folder / f".{target.name}.{found.etag[:16]}.part"
    with _alone(part):
        if target.is_file():
            if target.stat().st_size == found.size and _matches(target, found.etag):
                return target
            _check_origin(target, repo)
        have = part.stat().st_size if part.exists() else 0
        if shutil.disk_usage(folder).free < found.size - have:
            raise ModelFileError(
                f"{target.name} has {human_size(found.size)}, and there is not so much room in {folder}: free some."
            )
        headers = build_hf_headers()
        if urlsplit(found.location).netloc != urlsplit(address).netloc:
            headers.pop("authorization", None)  # the token is the hub's, not its file server's
        with _explained(repo, name, endpoint), part.open("ab") as stream:
            http_get(
                found.location,
                stream,
                resume_size=have,
                headers=headers,
                expected_size=found.size,
                tqdm_class=_bar_class(on_progress, found.size),
            )
        if not _matches(part, found.etag):
            part.unlink()
            raise ModelFileError(
                f"{target.name} does not have the checksum that the hub names, so it was removed: pull it again."
            )
        # Before the file itself: a note without its file says nothing, a file without its note is a stranger's.
        _note_of(target).write_text(repo, encoding="utf-8")
        part.replace(target)
    return target


def _note_of(target: Path) -> Path:
    """Where it is written which repository a file is from: many give their files the same names."""
    return target.with_name(f".{target.name}.repository")


def _check_origin(target: Path, repo: str) -> None:
    """Raise unless a file that would be replaced is an older one of the same repository."""
    try:
        origin = _note_of(target).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        origin = ""
    if origin != repo:
        raise ModelFileError(
            f"{target} is there already with other contents, {f'from {origin}' if origin else 'not known from where'}:"
            " move it away, or pull into another folder with --to."
        )


def _matches(path: Path, etag: str) -> bool:
    """Whether a file has the SHA-256 that its etag is; an etag of another kind says nothing."""
    if not _SHA256.fullmatch(etag):
        return True
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest() == etag


@contextmanager
def _alone(part: Path) -> Iterator[None]:
    lock = FileLock(f"{part}.lock")
    try:
        with lock.acquire(timeout=0):
            try:
                yield
            finally:
                Path(lock.lock_file).unlink(missing_ok=True)
    except Timeout:
        raise ModelError(f"{part.name[1:]} is being downloaded by another process: wait for it.") from None


@contextmanager
def _explained(repo: str, name: str, endpoint: str | None) -> Iterator[None]:
    """Turn what huggingface_hub raises into sentences."""
    from huggingface_hub import errors

    hub = endpoint or "https://huggingface.co"
    what = f"{name} of {repo}" if name else repo
    try:
        yield
    except ModelError:
        raise
    except errors.GatedRepoError as error:
        raise ModelFileError(
            f"{repo} asks for consent to its licence: give it on {hub}/{repo}, and set HF_TOKEN to a token of yours."
        ) from error
    except (errors.RepositoryNotFoundError, errors.HFValidationError) as error:
        raise ModelFileError(
            f"There is no repository {repo} on {hub}, or it is private (HF_TOKEN)."
        ) from error
    except (errors.EntryNotFoundError, errors.RevisionNotFoundError) as error:
        raise ModelFileError(
            f"There is no file {name} in {repo}: `parley model pull {repo}` lists what there is."
        ) from error
    except errors.OfflineModeIsEnabled as error:
        raise ModelUnavailableError(f"HF_HUB_OFFLINE is set: unset it to download {what}.") from error
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        raise ModelUnavailableError(
            f"{hub} cannot give {what} now (status {status}): try again later."
        ) from error
    except Exception as error:
        if not (isinstance(error, OSError) or type(error).__module__.startswith("httpx")):
            raise
        raise ModelUnavailableError(
            f"{hub} cannot be reached, or the connection broke off ({type(error).__name__}): pull again to go on, or"
            " copy the GGUF file here by other means and name it in `parley model use`."
        ) from error


def _bar_class(on_progress: OnProgress, total: int) -> Any:
    """What huggingface_hub takes for a progress bar: it is told how many bytes came."""

    class Bar:
        def __init__(self, *_: Any, initial: int = 0, **__: Any) -> None:
            self._have = initial
            on_progress(initial, total)

        def update(self, count: int) -> None:
            self._have += count
            on_progress(self._have, total)

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *exc: object) -> None:
            return None

    return Bar
