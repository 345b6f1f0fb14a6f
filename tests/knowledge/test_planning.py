"""What a sync would cost, and whether somebody should look at it first."""

from pathlib import Path

import pytest

from knowledge.loaders import document_id
from knowledge.planning import Plan, SourceReport, SyncReport
from knowledge.sources import FolderSource, SourceFile
from knowledge.versions import Publication, State, Version
from tests.knowledge.fakes import HashingEmbedder
from tests.knowledge.setting import EVERYONE, Setting


@pytest.mark.parametrize(
    ("report", "is_large"),
    [
        (SourceReport("docs", unchanged=100, before=100), False),
        (SourceReport("docs", added=200, to_load=200), False),
        (SourceReport("docs", added=201, to_load=201), True),
        (SourceReport("docs", changed=10, deleted=15, unchanged=75, before=100), False),
        (SourceReport("docs", changed=10, deleted=16, unchanged=74, before=100), True),
    ],
)
def test_a_large_difference(report: SourceReport, *, is_large: bool) -> None:
    assert SyncReport([SourceReport("other", before=5, unchanged=5), report]).is_large() == is_large


def test_a_source_that_would_go_is_a_large_difference() -> None:
    assert SyncReport(removed_sources=["docs"]).is_large()


def test_a_dry_run_tells_what_there_is_to_load_and_how_long_that_takes(
    setting: Setting, tmp_path: Path
) -> None:
    setting.write(a="alpha", b="beta")
    report = setting.sync(dry_run=True)
    assert (report.to_load, report.expected_seconds) == (2, None)
    report = setting.sync()
    spent = report.sources[0].seconds / 2

    other = tmp_path / "other"
    other.mkdir()
    (other / "b.md").write_text("beta")
    setting.sources.append(FolderSource("second", other, EVERYONE))
    setting.write(a="alpha two", c="gamma", d="delta")
    report = setting.sync(dry_run=True)
    assert [source.to_load for source in report.sources] == [3, 1]
    assert [source.before for source in report.sources] == [2, 0]
    assert [source.expected_seconds for source in report.sources] == pytest.approx([3 * spent, spent])
    assert report.expected_seconds == pytest.approx(4 * spent)

    setting.embedder = HashingEmbedder(name="slower")
    assert setting.sync(dry_run=True).expected_seconds is None


def test_thousands_of_files_that_fail_are_planned_at_once(setting: Setting) -> None:
    """Each keeps its version, which is looked up among all."""
    count = 30_000
    files = [SourceFile(f"{n}.md", f"/{n}.md", Path(f"/{n}.md")) for n in range(count)]
    versions = {
        f"v{n}": Version(
            f"v{n}", document_id("docs", f"{n}.md"), "docs", f"{n}.md", f"/{n}.md", "hash", "g", True
        )
        for n in range(count)
    }
    plan = Plan(
        generation="g",
        state=State(),
        versions=versions,
        old_failures={},
        publication=Publication(generation="g", embedder="m", live={"docs": set()}, failures={"docs": []}),
        report=SyncReport([SourceReport("docs")]),
        retry_failed=False,
    )
    for file in files:
        plan.fail(file, source="docs", content_hash="", error="broken")
    assert plan.publication.live["docs"] == versions.keys()
    assert len(plan.report.failed) == count


def test_nothing_to_load_takes_no_time(setting: Setting) -> None:
    assert setting.sync(dry_run=True).expected_seconds == 0
