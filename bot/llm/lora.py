"""LoRA adapters as settings and commands name them: a path, or a path and how strongly it counts."""

from collections.abc import Sequence
from pathlib import Path

from bot.errors import SettingsError


def parse_lora(text: str, *, base: Path = Path()) -> tuple[Path, float]:
    """`adapter.gguf` or `adapter.gguf=0.5`: the file, relative to `base`, and its scale, 1 unless given.

    Raises:
        SettingsError: what follows the last `=` is no number.
    """
    name, given, scale = text.rpartition("=")
    try:
        return (
            (base / Path(name).expanduser(), float(scale)) if given else (base / Path(text).expanduser(), 1.0)
        )
    except ValueError:
        raise SettingsError(
            f"{text!r} is no LoRA adapter: write the path of a GGUF file, or path=scale as in 'style.gguf=0.5'."
        ) from None


def lora_options(adapters: Sequence[tuple[Path, float]]) -> list[str]:
    """The same as options of `bot.llm.server`."""
    return [word for path, scale in adapters for word in ("--lora", f"{path}={scale:g}")]
