"""A reindex answers at once, asks when it would change much, shows how far it is, and says what it did."""

import re
import threading

import pytest

from bot.administration.naming import ELSEWHERE
from bot.administration.reindex import Reindex, rollback_commands
from bot.notices import Notice
from bot.reindexing import Reindexing
from knowledge.errors import EvaluationDropError, KnowledgeError, RollbackError, SourceError
from knowledge.planning import Progress, ProgressCallback, SourceReport, SyncReport
from knowledge.rollback import Rollback, SourceRollback
from tests.bot.administration.conftest import Admin

SMALL = SourceReport("handbook", added=1, unchanged=30, before=30, to_load=1, expected_seconds=2_820)
LARGE = SourceReport("handbook", deleted=20, unchanged=10, before=30)
FAILED = SourceReport(
    "handbook",
    added=2,
    unchanged=30,
    failed=[("old.pdf", "old.pdf: it is encrypted; save it without a password.")],
    chunks=120,
)
DROP = EvaluationDropError(
    source="handbook", before=(19, 20), after=(12, 20), tolerance=0.05, missed=["Where is the key?"]
)


class Library:
    """Would change `difference`; does `done`, or fails with `error` unless it is forced."""

    def __init__(self) -> None:
        self.difference = SMALL
        self.done = FAILED
        self.error: KnowledgeError | None = None
        self.forced: list[bool] = []
        self.visible_to = {"handbook": frozenset({"slack:C1"})}
        self.total = 2
        self.gate = threading.Event()
        self.gate.set()

    def sync(
        self,
        *,
        only: str | None,
        dry_run: bool = False,
        retry_failed: bool = False,
        force: bool = False,
        on_progress: ProgressCallback | None = None,
    ) -> SyncReport:
        if dry_run:
            return SyncReport(sources=[self.difference], dry_run=True)
        self.forced.append(force)
        for done in range(2):
            if on_progress:
                on_progress(Progress("index", done, self.total, f"{done}.md"))
            self.gate.wait()
        if self.error and not force:
            raise self.error
        return SyncReport(sources=[self.done], embedded=7, seconds=3.21)


@pytest.fixture
def library() -> Library:
    return Library()


@pytest.fixture
def admin(library: Library, monkeypatch: pytest.MonkeyPatch) -> Admin:
    monkeypatch.setattr("bot.administration.reindex.EVERY", 0.01)
    reindexing = Reindexing(library.sync, names=lambda: ["handbook"])
    reindex = Reindex(reindexing, source_names=lambda: ["handbook"], visible_to=library.visible_to)
    return Admin(reindex.commands())


async def test_it_says_what_it_did_with_what_it_could_not_read(library: Library, admin: Admin) -> None:
    told = await admin.say("reindex handbook")
    assert admin.reports[0] == "Looking for what has changed in `handbook` …"
    assert told == (
        "- `handbook`: 2 added, 30 unchanged\n"
        "    - not read: old.pdf: it is encrypted; save it without a password.\n\n"
        "Done in 3.2 s, 7 passages embedded."
    )


async def test_it_shows_how_far_it_is(library: Library, admin: Admin) -> None:
    library.gate.clear()
    threading.Timer(0.3, library.gate.set).start()
    await admin.say("reindex")
    assert any("░" in report and "0 of 2 files read · in `0.md`" in report for report in admin.reports)
    assert any("`reindex cancel` stops it" in report for report in admin.reports)


async def test_files_of_a_source_are_not_named_where_not_everybody_may_see_it(
    library: Library, admin: Admin
) -> None:
    library.visible_to["handbook"] = frozenset({"slack:C9"})
    library.gate.clear()
    threading.Timer(0.3, library.gate.set).start()
    told = await admin.say("reindex handbook")
    assert "1 not read; `parley reindex` in the terminal names all" in told
    assert any("░ 0%\n" in report for report in admin.reports)
    library.error = DROP
    told += await admin.say("reindex handbook")
    shown = told + "".join(admin.reports)
    assert "old.pdf" not in shown
    assert "0.md" not in shown
    assert "Where is the key?" not in shown


async def test_nothing_is_told_of_a_source_that_not_everybody_may_see_and_nobody_named(
    library: Library, admin: Admin
) -> None:
    library.visible_to["handbook"] = frozenset({"slack:C9"})
    library.total = 4711
    library.gate.clear()
    threading.Timer(0.3, library.gate.set).start()
    told = [await admin.say("reindex"), await admin.say("reindex --dry-run")]
    assert any("░ 0%" in report for report in admin.reports)
    assert all(ELSEWHERE in one for one in told)
    library.error = DROP
    told.append(await admin.say("reindex"))
    library.error = SourceError("handbook: the folder /srv/merger is not there; correct `path`.")
    told.append(await admin.say("reindex"))
    shown = "".join([*told, *admin.reports])
    assert not {"handbook", "merger", "7", "30", "12", "19", "4711", "47"} & set(re.findall(r"\w+", shown))


async def test_a_large_difference_is_shown_first(library: Library, admin: Admin) -> None:
    library.difference = LARGE
    asked = await admin.give("reindex")
    assert "20 to be removed" in asked.markdown
    assert library.forced == []
    assert "Done in" in (await admin.choose(asked, "Go on")).markdown


@pytest.mark.parametrize("text", ["reindex --dry-run", "reindex —dry-run handbook", "reindex dry-run"])
async def test_a_dry_run_changes_nothing(library: Library, admin: Admin, text: str) -> None:
    assert "1 to be added, 30 unchanged" in await admin.say(text)
    assert library.forced == []


async def test_a_state_that_finds_less_is_not_shown_unless_somebody_wants_it(
    library: Library, admin: Admin
) -> None:
    library.error = DROP
    stopped = await admin.give("reindex handbook")
    assert "finds 12 of 20 questions" in stopped.markdown
    assert "- Where is the key?" in stopped.markdown
    (anyway,) = stopped.actions
    assert anyway.is_dangerous
    assert "Done in" in (await admin.choose(stopped, "Show it anyway")).markdown
    assert library.forced == [False, True]


async def test_it_can_be_cancelled(library: Library, admin: Admin) -> None:
    assert await admin.say("reindex cancel") == "No source is being read."
    library.gate.clear()

    async def cancel() -> None:
        await admin.say("reindex cancel")
        library.gate.set()

    admin.meanwhile = cancel
    told: Notice = await admin.give("reindex go")
    assert "Stopped" in told.markdown


async def test_an_unknown_source_is_named(admin: Admin) -> None:
    assert await admin.say("reindex wiki") == "There is no source `wiki`; the sources are `handbook`."


class TestRollback:
    async def test_it_asks_with_what_would_change(self) -> None:
        done: list[int | None] = []

        async def roll_back(revision: int | None) -> Rollback:
            done.append(revision)
            return Rollback((SourceRollback("handbook", added=3, changed=0, deleted=1),), revision=7)

        visible_to = {"handbook": frozenset({"everyone"})}
        admin = Admin(rollback_commands(roll_back, visible_to=visible_to))
        asked = await admin.give("rollback")
        assert "`handbook`: of its documents 3 come back, 1 go" in asked.markdown
        assert done == [None]
        told = await admin.choose(asked, "Roll back")
        assert "people see the state before" in told.markdown
        assert done == [None, 7]
        visible_to["handbook"] = frozenset({"slack:C9"})
        hidden = await admin.say("rollback") + await admin.say("rollback yes 7")
        assert "handbook" not in hidden
        assert ELSEWHERE in hidden

    async def test_without_an_earlier_state_it_says_so(self) -> None:
        async def roll_back(_: int | None) -> Rollback:
            raise RollbackError("There is no earlier state.")

        assert (
            await Admin(rollback_commands(roll_back, visible_to={})).say("rollback")
            == "There is no earlier state."
        )
