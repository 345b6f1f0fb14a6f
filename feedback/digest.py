"""A week in a channel: what was asked, what was not known, what people disliked, and what the answers rest on.

A digest is read by people who did not ask the questions, so what it may show is decided before anything is read:

    A question's text, or the title of a document that an answer cites, is taken from a turn only when everybody in
    the digest's channel could have seen that turn where it was asked: when one of the turn's `audience` is among the
    channel's own principals, as with sources of documents. A title is shown only when the channel may see the
    document's source as well. All other turns, direct messages among them, are counted and nothing else of them is
    read.

So a channel is shown its own questions, and those of places that are open to all who are in it. Who asked is never
shown, nor what somebody wrote below a vote. What people write about others in an open question is not recognised.
"""

from collections import Counter
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from feedback.report import (
    Figures,
    ended_otherwise,
    figures_json,
    questions,
    reasons,
    share,
    stretch,
    summary,
)
from feedback.schema import turns
from feedback.similar import Group, grouped
from feedback.store import FeedbackStore

LISTED = 5
"""Documents, and questions without an answer, that are shown."""
_LONGEST = 160
"""Characters that are shown of a question or title."""


@dataclass(frozen=True, slots=True)
class Cited:
    """A document that answers rest on."""

    title: str
    answers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """Of the questions asked from `since` until before `until`."""

    since: datetime
    until: datetime
    total: Figures
    cited: tuple[Cited, ...]
    """The documents most cited, at most `LISTED`."""
    unanswered: tuple[Group, ...]
    """What the documents do not answer, asked most often first, at most `LISTED`."""
    unanswered_more: int
    """Further questions of that kind that could be shown."""
    unanswered_elsewhere: int
    """Those asked where not everybody here could see it."""


def digest(
    store: FeedbackStore,
    *,
    since: datetime,
    until: datetime,
    principals: AbstractSet[str],
    sources: AbstractSet[str],
) -> Digest:
    """Sum up for a channel whose people all have `principals` and may see the documents of `sources`, by name.

    Raises `StoreError`.
    """
    total = summary(store, since=since, until=until).total
    answered = (turns.c.started_at >= since) & (turns.c.started_at < until) & (turns.c.outcome == "answered")
    is_unknown = turns.c.mode == "unknown"
    with store.transaction() as connection:
        audiences = connection.execute(
            sa.select(turns.c.audience).where(answered, turns.c.audience.is_not(None)).distinct()
        ).scalars()
        open_here = turns.c.audience.in_([one for one in audiences if not principals.isdisjoint(one)])
        unknown = connection.execute(
            sa.select(turns.c.question)
            .where(answered, is_unknown, open_here)
            .order_by(turns.c.started_at, turns.c.id)
        ).scalars()
        groups = grouped(unknown)
        cited: Counter[tuple[str, str, str]] = Counter()
        for records in connection.execute(
            sa.select(turns.c.sources).where(answered, ~is_unknown, open_here)
        ).scalars():
            cited.update({_document(record) for record in records if record["source"] in sources})
        elsewhere = connection.execute(
            sa.select(sa.func.count()).where(answered, is_unknown, turns.c.audience.is_(None) | ~open_here)
        ).scalar_one()
    return Digest(
        since=since,
        until=until,
        total=total,
        cited=tuple(Cited(title, n) for (_, _, title), n in cited.most_common(LISTED)),
        unanswered=tuple(groups[:LISTED]),
        unanswered_more=sum(group.times for group in groups[LISTED:]),
        unanswered_elsewhere=elsewhere,
    )


def as_markdown(found: Digest) -> str:
    """For a chat: short lines."""
    total, span = found.total, stretch(found.since, found.until)
    if not total.asked:
        return f"Nothing was asked {span}."
    lines = [f"**What was asked {span}**", "", f"- {questions(total.asked)}, {total.answered} answered"]
    lines.append(f"- not known: {share(total.not_known)}")
    if aside := ended_otherwise(total):
        lines.append(f"- besides: {aside}")
    if total.liked.total:
        lines.append(f"- 👍 {share(total.liked, of=' votes')}")
    if total.down:
        lines.append(f"- 👎 {total.down}: {reasons(total.reasons)}")
    if found.cited:
        lines += ["", "**Documents cited most**", ""]
        lines += [
            f"- {_shown(one.title)}: {one.answers} answer{'s' * (one.answers != 1)}" for one in found.cited
        ]
    if total.unknown:
        lines += ["", "**What the documents do not say**", ""]
        lines += [
            f"- {_shown(one.question)}" + (f", {one.times} times" if one.times > 1 else "")
            for one in found.unanswered
        ]
        if found.unanswered_more:
            lines.append(f"- and {found.unanswered_more} more")
        if found.unanswered_elsewhere:
            # "and" only follows something.
            joined = "and " if found.unanswered else ""
            lines.append(f"- {joined}{found.unanswered_elsewhere} asked in private or in other places")
    return "\n".join(lines)


def as_json(found: Digest) -> dict[str, Any]:
    """For programs."""
    record = asdict(found) | {"total": figures_json(found.total)}
    return record | {name: getattr(found, name).isoformat(timespec="seconds") for name in ("since", "until")}


def _document(record: dict[str, Any]) -> tuple[str, str, str]:
    """What makes passages those of one document, and its title."""
    uri = str(record["uri"]).partition("#")[0]
    return str(record["source"]), uri, str(record["title"]) or uri


def _shown(text: str) -> str:
    """As code, in which no platform sees markup or a mention; on one line, and not too long."""
    line = " ".join(text.replace("`", "'").split())
    return f"`{line if len(line) <= _LONGEST else line[: _LONGEST - 1] + '…'}`"
