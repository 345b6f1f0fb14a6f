"""Sources are listed, added where that is allowed, paused, and removed after asking."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from bot.administration.naming import ELSEWHERE
from bot.administration.sources import Sources
from bot.config import SourceSettings
from tests.bot.administration.conftest import Admin


class Office:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "shared" / "wiki").mkdir(parents=True)
        (folder / "secret").mkdir()
        self.sources = [SourceSettings(name="handbook", path=folder / "handbook")]
        self.addable = [folder / "shared"]
        self.added: list[Mapping[str, str | list[str]]] = []
        self.removed: list[str] = []
        self.paused: dict[str, bool] = {}

    @property
    def admin(self) -> Admin:
        sources = Sources(
            listed=lambda: self.sources,
            counts=lambda: {"handbook": (12, 3456), "gone": (1, 1)},
            addable=self.addable,
            add=self._add,
            pause=self._pause,
            remove=self._remove,
        )
        return Admin(sources.commands())

    async def _add(self, values: Mapping[str, str | list[str]]) -> None:
        self.added.append(values)

    async def _pause(self, name: str, paused: bool) -> None:
        self.paused[name] = paused

    async def _remove(self, name: str) -> None:
        self.removed.append(name)


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


async def test_they_are_listed_with_who_sees_them_and_how_much_there_is(office: Office) -> None:
    told = await office.admin.say("sources")
    assert told == f"- `handbook` (folder, for `everyone`): 12 documents, 3,456 passages\n{ELSEWHERE}"
    office.sources = []
    assert "sources add" in await office.admin.say("sources")


@pytest.mark.parametrize("path", ["wiki", '"wiki"', "{folder}/shared/wiki"])
async def test_an_added_one_is_for_the_channel_where_it_was_added(office: Office, path: str) -> None:
    told = await office.admin.give(f"sources add Notes {path.format(folder=office.folder)}")
    assert office.added == [
        {
            "name": "notes",
            "kind": "folder",
            "path": str(office.folder / "shared" / "wiki"),
            "visible_to": ["slack:C1"],
        }
    ]
    assert [action.command for action in told.actions] == ["reindex go notes"]


async def test_it_can_be_for_others(office: Office) -> None:
    await office.admin.give("sources add notes wiki for everyone")
    await office.admin.give("sources add more wiki for slack:C7, slack:C8")
    assert [added["visible_to"] for added in office.added] == [["everyone"], ["slack:C7", "slack:C8"]]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("notes nowhere", "There is no folder `nowhere` below"),
        ("notes ../secret", "There is no folder `../secret` below"),
        ("notes {folder}/secret", "There is no folder"),
        ("handbook wiki", "There is a source `handbook` already"),
        ("gone wiki", "Documents of an earlier source `gone` are still there"),
        ("notes ~nobody-there/x", "There is no folder"),
        ("notes " + "x" * 300, "There is no folder"),
        ("notes wiki for all of us", "`all of us` names nobody"),
        ("no:tes wiki", "it should be `sources add NAME FOLDER"),
    ],
)
async def test_what_cannot_be_added_says_why(office: Office, text: str, told: str) -> None:
    said = await office.admin.say(f"sources add {text.format(folder=office.folder)}")
    assert told in said
    assert office.added == []


async def test_a_link_out_of_the_allowed_folder_is_no_way_out(office: Office) -> None:
    (office.folder / "shared" / "link").symlink_to(office.folder / "secret")
    assert "There is no folder" in await office.admin.say("sources add notes link")


async def test_nothing_is_added_unless_the_settings_allow_it(office: Office) -> None:
    office.addable = []
    assert "`knowledge.addable`" in await office.admin.say("sources add notes wiki")


async def test_one_is_paused_and_goes_on(office: Office) -> None:
    await office.admin.say("sources pause handbook")
    assert office.paused == {"handbook": True}
    await office.admin.say("sources resume Handbook")
    assert office.paused == {"handbook": False}
    assert "the sources are `handbook`" in await office.admin.say("sources pause wiki")


async def test_removing_asks_first(office: Office) -> None:
    asked = await office.admin.give("sources remove handbook")
    assert office.removed == []
    assert "12 documents" in asked.markdown
    await office.admin.choose(asked, "Forget it")
    assert office.removed == ["handbook"]


async def test_what_is_behind_a_button_is_not_offered(office: Office) -> None:
    assert "drop" not in await office.admin.say("help")
    assert "drop" not in await office.admin.say("sources whatever")
