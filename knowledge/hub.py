"""Where a model's files are: in a folder, or in the Hugging Face cache, to which they are downloaded once."""

from collections.abc import Sequence
from pathlib import Path


class NoModelError(Exception):
    """There is no such folder, and nothing by this name can be downloaded."""


def model_folder(name: str, *, weights: Sequence[str]) -> Path:
    """The folder of a model that is named by its path or by its repository; may download.

    Args:
        weights: patterns of the files besides configuration and vocabulary.

    Raises:
        NoModelError: it is neither here nor to be had.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=["*.json", "*.txt", "*.model", *weights]))
    except (LocalEntryNotFoundError, HfHubHTTPError, HFValidationError, OSError, ValueError) as error:
        raise NoModelError(name) from error
