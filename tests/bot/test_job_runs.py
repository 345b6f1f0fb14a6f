"""Every run has one row, one beginning and one end, whatever became of its process."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from bot.job_runs import DIED, JobRuns, Run, news

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Hands:
    """A clock that goes on by a second whenever it is looked at."""

    def __init__(self) -> None:
        self.at = START

    def __call__(self) -> datetime:
        self.at += timedelta(seconds=1)
        return self.at


@pytest.fixture
def runs(engine: sa.Engine) -> JobRuns:
    return JobRuns(engine, now=Hands())


def _begin(runs: JobRuns, job: str = "collect", *, due_at: datetime | None = None) -> datetime:
    began_at = runs.begin(job, due_at=due_at or datetime.now(UTC))
    assert began_at is not None
    return began_at


def test_a_run_and_what_became_of_it(runs: JobRuns) -> None:
    began_at = _begin(runs, due_at=START)
    running = Run(
        job="collect",
        due_at=START,
        began_at=began_at,
        ended_at=None,
        outcome="running",
        told="",
        failures=0,
    )
    assert runs.all() == {"collect": running}
    assert runs.end("collect", began_at, failed=False, told="Deleted 3 answers.\0") == running
    (ended,) = runs.all().values()
    assert (ended.outcome, ended.told, ended.failures) == ("done", "Deleted 3 answers.\ufffd", 0)
    assert ended.ended_at == began_at + timedelta(seconds=1)


def test_what_was_due_is_begun_once(runs: JobRuns, engine: sa.Engine) -> None:
    other = JobRuns(engine)
    assert runs.begin("collect", due_at=START)
    assert other.begin("collect", due_at=START) is None
    assert other.begin("read docs", due_at=START)
    assert other.begin("collect", due_at=START + timedelta(microseconds=1))


def test_who_was_overtaken_ends_nothing(runs: JobRuns) -> None:
    first = _begin(runs)
    second = _begin(runs)
    assert runs.end("collect", first, failed=True, told="The database cannot be reached.") is None
    runs.stop("collect", first)
    assert (runs.all()["collect"].began_at, runs.all()["collect"].outcome) == (second, "running")
    assert runs.end("collect", second, failed=False, told="Nothing to do.") is not None
    assert runs.end("collect", second, failed=True, told="Once more.") is None


def test_failures_are_counted_in_a_row(runs: JobRuns) -> None:
    for expected in (1, 2):
        runs.end("collect", _begin(runs), failed=True, told="The disk is full.")
        assert runs.all()["collect"].failures == expected
    began_at = _begin(runs)
    assert runs.all()["collect"].failures == 2
    runs.stop("collect", began_at)
    assert (runs.all()["collect"].outcome, runs.all()["collect"].told) == ("stopped", "The disk is full.")
    runs.end("collect", _begin(runs), failed=False, told="Deleted 3 answers.")
    assert runs.all()["collect"].failures == 0


def test_what_died_is_interrupted_and_dying_again_is_a_failure(runs: JobRuns) -> None:
    runs.end("digest", _begin(runs, "digest"), failed=False, told="Sent.")
    for expected in (0, 1, 2):
        _begin(runs)
        (before,) = runs.recover()
        assert (before.job, before.told == DIED) == ("collect", expected > 0)
        assert runs.recover() == []
        row = runs.all()["collect"]
        assert (row.outcome, row.told, row.failures, row.ended_at) == ("interrupted", DIED, expected, None)
    assert runs.all()["digest"].outcome == "done"


def test_jobs_that_are_no_more_are_forgotten(runs: JobRuns) -> None:
    for job in ("collect", "read docs", "read old"):
        _begin(runs, job)
    runs.keep(["collect", "read docs", "never begun"])
    assert set(runs.all()) == {"collect", "read docs"}
    runs.keep([])
    assert runs.all() == {}


def test_admins_hear_of_a_trouble_once_and_of_its_end(runs: JobRuns) -> None:
    heard = []
    for failed, told in (
        (False, "Fine."),
        (True, "The folder is missing."),
        (True, "The folder is missing."),
        (True, "The disk is full."),
        (False, "3 documents."),
        (False, "Fine."),
        (True, "The disk is full."),
    ):
        before = runs.end("read docs", _begin(runs, "read docs"), failed=failed, told=told)
        heard.append(news(before, failed=failed, told=told))
    assert heard == [
        None,
        "The job `read docs` failed: The folder is missing.",
        None,
        "The job `read docs` failed: The disk is full.",
        "The job `read docs` works again: 3 documents.",
        None,
        "The job `read docs` failed: The disk is full.",
    ]
    assert news(None, failed=True, told="Overtaken.") is None
