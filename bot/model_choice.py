"""Which of the models on this machine writes the answers, changed while Parley runs; parley.toml is told too."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from bot.administration.model import Installed
from bot.config import STARTER, Settings
from bot.config_file import set_model
from bot.errors import ModelFileError, SettingsError, UsageError
from bot.llm import models
from bot.llm.protocol import LLM
from bot.llm.switch import SwitchableLLM

Open = Callable[[Settings], AbstractAsyncContextManager[LLM]]


class ModelChoice:
    """The models by the names that people use: `starter`, and each file without its ending."""

    def __init__(self, settings: Settings, llm: SwitchableLLM, *, open_llm: Open) -> None:
        """`open_llm` opens the model of some settings."""
        self._settings = settings
        self._llm = llm
        self._open_llm = open_llm
        self._lock = asyncio.Lock()

    def in_use(self) -> str:
        """What writes the answers now, for people."""
        llm = self._settings.llm
        if not llm.enabled:
            return "nobody (llm.enabled is false in parley.toml), so they are quotes"
        where = f" at {', '.join(llm.urls)}" if llm.urls else ""
        return f"`{self._llm.model_id}`{where}"

    def installed(self) -> list[Installed]:
        """What is on this machine; blocks."""
        used = self._used()
        return [Installed(name, _about(path), is_used=path == used) for name, path in self._files().items()]

    async def use(self, name: str) -> str:
        """Let that one of `installed` write the answers; returns it for people.

        It is loaded and tested first, and written down last: one that does not work changes nothing. Raises
        `ModelError`, `SettingsError` and `UsageError`.
        """
        async with self._lock:
            path = (await asyncio.to_thread(self._files)).get(name)
            if path is None:
                raise UsageError(
                    f"There is no model `{name}` on this machine any more; `model` lists what there is."
                )
            model = STARTER if name == STARTER else path
            llm = self._settings.llm.model_copy(update={"model": model, "url": None, "enabled": True})
            changed = self._settings.model_copy(update={"llm": llm})
            await self._llm.switch(self._open_llm(changed))
            self._settings = changed
            try:
                await asyncio.to_thread(set_model, self._settings.file, str(model))
            except SettingsError as error:
                raise SettingsError(
                    f"{self.in_use()} writes the answers, but only until the next start: {error}"
                ) from error
            return self.in_use()

    def _files(self) -> dict[str, Path]:
        starter = models.starter_model()
        return {
            STARTER if path == starter else path.stem: path
            for path in models.installed(self._settings.data_dir / "models")
        }

    def _used(self) -> Path | None:
        llm = self._settings.llm
        if llm.url or not llm.enabled:
            return None
        try:
            return models.resolve(str(llm.model), base=self._settings.file.parent)
        except ModelFileError:
            return None


def _about(path: Path) -> str:
    try:
        info = models.inspect(path)
    except ModelFileError as error:
        return str(error)
    return f"{info.name}, {info.file_type}, {models.human_size(info.size_bytes)}"
