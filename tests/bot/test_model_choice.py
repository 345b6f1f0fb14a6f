"""Another model of this machine writes the answers, from now on and after a restart."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bot.administration.model import model_commands
from bot.config import Settings, load_settings
from bot.errors import ModelFileError, UsageError
from bot.llm.local import Unavailable
from bot.llm.protocol import LLM
from bot.llm.switch import SwitchableLLM
from bot.model_choice import ModelChoice
from tests.bot.administration.conftest import Admin
from tests.llm import gguf_factory


class Named(Unavailable):
    """A model that is ready unless its name says otherwise."""

    def __init__(self, name: str) -> None:
        super().__init__("")
        self.model_id = name

    async def ready(self) -> None:
        if "broken" in self.model_id:
            raise ModelFileError("llama.cpp refuses it; download it again.")


@asynccontextmanager
async def open_llm(settings: Settings) -> AsyncIterator[LLM]:
    yield Named(Path(str(settings.llm.model)).name)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    file = tmp_path / "parley.toml"
    file.write_text('[llm]\nurl = "http://gpu:8000/v1"\n', encoding="utf-8")
    models = tmp_path / "data" / "models"
    models.mkdir(parents=True)
    gguf_factory.build(models / "tiny.gguf")
    gguf_factory.build(models / "broken.gguf")
    (models / "cut.gguf").write_bytes(b"GGUF")
    return load_settings(file, {"PARLEY_DATA_DIR": str(tmp_path / "data")})


@pytest.fixture
async def choice(settings: Settings) -> AsyncIterator[ModelChoice]:
    async with SwitchableLLM.open(open_llm(settings)) as llm:
        yield ModelChoice(settings, llm, open_llm=open_llm)


async def test_it_lists_what_there_is_and_what_is_wrong_with_it(choice: ModelChoice) -> None:
    about = {model.name: model.about for model in choice.installed()}
    assert {"tiny", "broken", "cut"} <= about.keys()
    assert "MB" in about["tiny"] or "kB" in about["tiny"]
    assert "cut off" in about["cut"]


async def test_another_one_holds_now_and_after_a_restart(choice: ModelChoice, settings: Settings) -> None:
    assert "http://gpu:8000/v1" in choice.in_use()
    assert await choice.use("tiny") == "`tiny.gguf`"
    assert [model.name for model in choice.installed() if model.is_used] == ["tiny"]
    written = load_settings(settings.file, {}).llm
    assert (written.url, Path(str(written.model)).name) == (None, "tiny.gguf")


async def test_one_that_does_not_work_changes_nothing(choice: ModelChoice, settings: Settings) -> None:
    before = settings.file.read_text(encoding="utf-8")
    with pytest.raises(ModelFileError, match="download it again"):
        await choice.use("broken")
    with pytest.raises(UsageError, match="no model `other`"):
        await choice.use("other")
    assert settings.file.read_text(encoding="utf-8") == before
    assert "http://gpu" in choice.in_use()


async def test_it_is_changed_in_chat(choice: ModelChoice) -> None:
    admin = Admin(model_commands(installed=choice.installed, in_use=choice.in_use, use=choice.use))
    assert "- `tiny`" in await admin.say("model")
    assert await admin.say("model use TINY") == "Answers are written by `tiny.gguf` from now on."
    assert "`tiny` (in use)" in await admin.say("model")
    assert "There is no model `huge`" in await admin.say("model use huge")
