"""What answers look like in Slack: pure functions from answers to Slack's blocks, chunks and views.

Everything here keeps to Slack's documented limits for whatever text it is given, with one exception: the Markdown of
one message has to be cut with `parts` first. Markdown is passed on as it is, so it has to be clean already
(`adapters.render.clean`); everything else that comes from documents or people is escaped here.
"""

import json
import re
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from adapters.render import QUOTED, REASONS, SourceLine, source_lines, split
from bot.messages import Final, Progress
from feedback.records import Score, SourceRecord
from knowledge.markdown import plain_text

Json = dict[str, Any]

VOTE, SHARE, STOP = "parley_vote", "parley_share", "parley_stop"
"""Action ids of the buttons; their values carry the turn id, so that they work after a restart too."""
REASON_MODAL = "parley_reason"
"""The callback id of `reason_modal`."""

PART = 9_000
"""Characters of Markdown in one message. Slack takes 12,000, but refuses messages of about 13,200 in all, sources and
buttons included."""
_SOURCES = 2_000
"""Characters for the list of sources."""
_TEXT = 3_000
"""Slack's limit on one text."""
_URL = 1_000
"""Characters of an address that is still made a link."""
_LABEL = 100
_COMMENT = 2_000
_NOTIFICATION = 300
"""Characters of an answer that a notification shows."""
_TASK = 256

_VOTE = re.compile(r"([0-9a-f]{32}):([+-]1)")


class Reason(NamedTuple):
    """What somebody said about an answer they voted down."""

    turn_id: str
    reason: str
    """One of REASONS, or empty."""
    comment: str


def parts(markdown: str) -> list[str]:
    """Markdown cut so that each piece fits one message; none when there is nothing to show."""
    return split(markdown, limit=PART)


def markdown_blocks(text: str) -> list[Json]:
    """One of `parts` as a message's blocks; none when it is blank."""
    return [{"type": "markdown", "text": text}] if text.strip() else []


def answer_blocks(final: Final, *, text: str, channel_can_share: bool = False) -> list[Json]:
    """The message that ends an answer: its last part, how it came about, the sources and the buttons.

    `text` is empty when the answer itself was streamed. `channel_can_share` adds a button by which the asker
    shows a private answer to the others.
    """
    blocks = markdown_blocks(text)
    remarks = [QUOTED] if final.mode == "quotes" else []
    if final.note:
        remarks.append(final.note)
    if remarks:
        blocks.append(context(escaped(" ".join(remarks))))
    if final.sources:
        blocks.append(sources_block(final.sources))
    if channel_can_share:
        blocks.append(
            {"type": "actions", "elements": [button("Share in channel", SHARE, final.turn_id)]},
        )
    return [*blocks, _vote_buttons(final.turn_id)]


def sources_block(sources: Sequence[SourceRecord]) -> Json:
    """The documents, one in each line; those that do not fit are counted."""
    lines = [_source(line) for line in source_lines(sources)]
    shown: list[str] = []
    room = _SOURCES
    for line in lines:
        room -= len(line) + 1
        if room < 0:
            break
        shown.append(line)
    if hidden := len(lines) - len(shown):
        shown.append(f"and {hidden} more")
    return context("\n".join(shown))


def place_block(channel: str) -> Json:
    """Above what is written to somebody directly about a question that they asked elsewhere."""
    return context(f"About your question in <#{channel}>")


def stopped_blocks(text: str = "") -> list[Json]:
    """An answer that its asker stopped; `text` is what had been shown of it, as in `answer_blocks`."""
    return [*markdown_blocks(text), context("Stopped.")]


def failed_blocks(sentence: str, *, text: str = "") -> list[Json]:
    """Why there is no answer, or no more of it than `text`."""
    return [*markdown_blocks(text), _section(sentence)]


def queue_blocks(standing: str, turn_id: str) -> list[Json]:
    """Where a question stands in the queue, or what is being done for it, and a button to stop that."""
    return [_section(standing) | {"accessory": button("Stop", STOP, turn_id)}]


def task_cards(
    stages: Sequence[Progress], *, last: Literal["in_progress", "complete", "error"] = "in_progress"
) -> list[Json]:
    """What has been done for an answer so far as chunks of a stream; `last` is the state of the last stage.

    Slack changes the card of a stage that it has been sent before.
    """
    return [
        {
            "type": "task_update",
            "id": progress.stage,
            "title": cut(progress.text, _TASK) or progress.stage,
            "status": last if number == len(stages) else "complete",
        }
        for number, progress in enumerate(stages, start=1)
    ]


def markdown_chunks(text: str) -> list[Json]:
    """A piece of Markdown as chunks of a stream; at most 12,000 characters."""
    return [{"type": "markdown_text", "text": text}] if text else []


def fallback_text(final: Final) -> str:
    """The answer as a notification and a screen reader tell it; goes into `text` beside the blocks."""
    words = plain_text(re.sub(r"^[\s>#|]+", "", final.answer, flags=re.MULTILINE))
    return escaped(cut(words, _NOTIFICATION)) or "The answer is here."


def vote_value(turn_id: str, score: Score) -> str:
    return f"{turn_id}:{score:+d}"


def parse_vote(value: str) -> tuple[str, Score] | None:
    """Turn id and score of a pressed button; None when Parley did not make it."""
    found = _VOTE.fullmatch(value)
    if found is None:
        return None
    return found[1], 1 if found[2] == "+1" else -1


def reason_modal(turn_id: str, *, channel: str = "") -> Json:
    """The question what was wrong with an answer. `channel` is where it was given, for `modal_channel`."""
    reasons = [{"text": _plain(reason.capitalize()), "value": reason.replace(" ", "_")} for reason in REASONS]
    return {
        "type": "modal",
        "callback_id": REASON_MODAL,
        "private_metadata": json.dumps({"turn_id": turn_id, "channel": channel}),
        "title": _plain("What was wrong?"),
        "submit": _plain("Send"),
        "close": _plain("Cancel"),
        "blocks": [
            {
                "type": "input",
                "block_id": "reason",
                "optional": True,
                "label": _plain("The answer was"),
                "element": {"type": "radio_buttons", "action_id": "reason", "options": reasons},
            },
            {
                "type": "input",
                "block_id": "comment",
                "optional": True,
                "label": _plain("What should it have said?"),
                "element": {
                    "type": "plain_text_input",
                    "action_id": "comment",
                    "multiline": True,
                    "max_length": _COMMENT,
                },
            },
        ],
    }


def parse_reason(view: Json) -> Reason:
    """What was chosen and written in `reason_modal`, from the `view` of the event that says it was sent."""
    values = view["state"]["values"]
    chosen = (values["reason"]["reason"].get("selected_option") or {}).get("value", "")
    reason = chosen.replace("_", " ")
    comment = (values["comment"]["comment"].get("value") or "").strip()
    return Reason(_metadata(view)["turn_id"], reason if reason in REASONS else "", comment)


def modal_channel(view: Json) -> str:
    """Where the answer stands about which `reason_modal` asked."""
    return _metadata(view)["channel"]


def escaped(text: str) -> str:
    """Text that means nothing to Slack's mrkdwn: it can notify nobody and holds no link."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _metadata(view: Json) -> dict[str, str]:
    found: dict[str, str] = json.loads(view["private_metadata"])
    return found


def _source(line: SourceLine) -> str:
    label = escaped(cut(line.label, _LABEL))
    url = escaped(line.url.replace("|", "%7C").replace(" ", "%20"))
    if url and len(url) <= _URL:
        return f"{line.marks} <{url}|{label}>"
    return (
        f"{line.marks} {label} · {escaped(cut(line.name, _LABEL))}" if line.name else f"{line.marks} {label}"
    )


def context(mrkdwn: str) -> Json:
    # Verbatim: Slack would otherwise take `setup.py` for an address, and look for names after `@` and `#`.
    element = {"type": "mrkdwn", "text": _cut_escaped(mrkdwn), "verbatim": True}
    return {"type": "context", "elements": [element]}


def _section(text: str) -> Json:
    return {"type": "section", "text": _plain(cut(text, _TEXT) or "…")}


def _vote_buttons(turn_id: str) -> Json:
    return {
        "type": "context_actions",
        "elements": [
            {
                "type": "feedback_buttons",
                "action_id": VOTE,
                "positive_button": {
                    "text": _plain("Good answer"),
                    "accessibility_label": "This answer was good",
                    "value": vote_value(turn_id, 1),
                },
                "negative_button": {
                    "text": _plain("Bad answer"),
                    "accessibility_label": "This answer was bad; say what was wrong",
                    "value": vote_value(turn_id, -1),
                },
            }
        ],
    }


def button(label: str, action_id: str, value: str) -> Json:
    return {"type": "button", "text": _plain(label), "action_id": action_id, "value": value}


def _plain(text: str) -> Json:
    return {"type": "plain_text", "text": text}


def cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


def _cut_escaped(mrkdwn: str) -> str:
    """Never in the middle of an escape: half of `&amp;` would show."""
    if len(mrkdwn) <= _TEXT:
        return mrkdwn
    return re.sub(r"&\w*$", "", mrkdwn[: _TEXT - 1]) + "…"
