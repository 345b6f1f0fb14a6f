"""What the messages of an answer show, part by part: pure functions from the answer and its end.

Each takes clean Markdown and gives one `Content` for each message; what stands below an answer is in the last. How
they are cut depends on `fit`: Slack sometimes refuses what keeps to its documented limits.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from adapters.render import plain_source, split
from adapters.slack.blocks import (
    PART,
    Json,
    answer_blocks,
    escaped,
    failed_blocks,
    fallback_text,
    markdown_blocks,
    parts,
    place_block,
    stopped_blocks,
)
from adapters.slack.choices import choice_blocks, choices_in_words
from bot.messages import Final
from bot.notices import Action

Fit = Literal["usual", "short", "plain"]
"""In parts as long as Slack documents, in parts half as long, or as text without blocks."""
FITS: tuple[Fit, ...] = ("usual", "short", "plain")

UNFOLDED = {"unfurl_links": False, "unfurl_media": False}
"""For chat.postMessage: no link unfolds."""

_PLAIN = 2_500
"""Characters of a plain text before it is escaped; chat.update takes 4,000."""
_SUMMARY = 300


@dataclass(frozen=True, slots=True)
class Content:
    """What one message shows. Without `blocks` it is its `text` only."""

    text: str
    """For notifications and screen readers, and for everybody when there are no blocks; in Slack's own markup."""
    markdown: str = ""
    """The part of the answer in it, which a stream can show piece by piece."""
    below: Sequence[Json] = ()
    """The last of the blocks: what is not the answer itself."""
    blocks: Sequence[Json] = ()
    """All of them."""

    @property
    def said(self) -> Json:
        """As Slack's methods take it; no blocks means that earlier ones go."""
        return {"text": self.text, "blocks": list(self.blocks)}


Ending = Callable[[str, Fit], list[Content]]
"""From clean Markdown to the messages that it ends as."""


def written(markdown: str, fit: Fit = "usual") -> list[Content]:
    """An answer without anything below it, as it is while it is being written."""
    return _contents(markdown, fit, below=[], said_plainly="", summary="")


def answered(final: Final, *, can_share: bool) -> Ending:
    """With its sources, how it came about, and the buttons."""

    def contents(markdown: str, fit: Fit) -> list[Content]:
        below = answer_blocks(final, text="", channel_can_share=can_share)
        said = "\n".join([final.note, *(plain_source(source) for source in final.sources)]).strip()
        return _contents(markdown, fit, below=below, said_plainly=said, summary=fallback_text(final))

    return contents


def noticed(actions: Sequence[Action]) -> Ending:
    """What a command has to tell, with what can be done next."""

    def contents(markdown: str, fit: Fit) -> list[Content]:
        words = choices_in_words(actions)
        return _contents(markdown, fit, below=choice_blocks(actions), said_plainly=words, summary="")

    return contents


def failed(sentence: str) -> Ending:
    """With the sentence why there is no more of it."""

    def contents(markdown: str, fit: Fit) -> list[Content]:
        below = failed_blocks(sentence)
        return _contents(markdown, fit, below=below, said_plainly=sentence, summary=escaped(sentence))

    return contents


def stopped() -> Ending:
    """With the remark that its asker stopped it."""

    def contents(markdown: str, fit: Fit) -> list[Content]:
        return _contents(markdown, fit, below=stopped_blocks(), said_plainly="Stopped.", summary="Stopped.")

    return contents


def elsewhere(content: Content, *, asked_in: str) -> Content:
    """The same for a direct message to somebody who asked in that channel."""
    text = f"About your question in <#{asked_in}>:\n{content.text}"
    return replace(content, text=text, blocks=content.blocks and [place_block(asked_in), *content.blocks])


def _contents(
    markdown: str, fit: Fit, *, below: Sequence[Json], said_plainly: str, summary: str
) -> list[Content]:
    if fit == "plain":
        whole = f"{markdown}\n\n{said_plainly}".strip()
        return [Content(escaped(piece)) for piece in split(whole, limit=_PLAIN) or ["…"]]
    pieces = parts(markdown) if fit == "usual" else split(markdown, limit=PART // 2)
    *first, last = pieces or [""]
    return [
        *(_content(piece, below=[], summary="") for piece in first),
        _content(last, below=below, summary=summary),
    ]


def _content(markdown: str, *, below: Sequence[Json], summary: str) -> Content:
    text = summary or escaped(markdown[:_SUMMARY].rstrip())
    return Content(text, markdown, below, [*markdown_blocks(markdown), *below])
