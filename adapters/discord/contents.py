"""What the messages of an answer show, part by part: pure functions from the answer and its end.

Each takes clean Markdown and gives one `Content` for each message; what stands below an answer is in the last. How
they are cut depends on `fit`: a server's own rules may refuse what keeps to Discord's limits.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import discord

from adapters.discord.markup import discord_markdown
from adapters.render import QUOTED, SourceLine, source_lines, split
from bot.messages import Final
from bot.notices import Action

Fit = Literal["usual", "short"]
"""In parts as long as Discord takes, or half as long and without the list of sources."""
FITS: tuple[Fit, ...] = ("usual", "short")

PART = 1_900
"""Characters of one message. Discord takes 2,000; some are kept for what people count otherwise, as emoji."""
BELOW = 3_500
"""Characters of what stands below an answer; Discord takes 4,096."""
CUSTOM_ID = 100
"""Characters of a button's id."""
MOST_ACTIONS = 25
"""Buttons of one message."""
_LABEL = 150
_URL = 500
"""Characters of an address that is still made a link."""

Control = Literal["stop", "up", "down", "again", "share"]
"""What a button does."""


@dataclass(frozen=True, slots=True)
class Content:
    """What one message shows."""

    text: str
    """In Discord's Markdown."""
    below: str = ""
    """In an embed: sources and remarks."""
    controls: tuple[Control, ...] = ()
    """Its buttons, which are about the turn `turn_id`."""
    turn_id: str = ""
    actions: tuple[Action, ...] = ()
    """Further buttons, each of which gives a command."""


Ending = Callable[[str, Fit], list[Content]]
"""From clean Markdown to the messages that it ends as."""


def waiting(said: str, turn_id: str) -> Content:
    """What is being done, or the place in the queue, while there is no text yet."""
    return Content(f"-# {said.rstrip('.… ')}…", controls=("stop",), turn_id=turn_id)


def written(markdown: str, turn_id: str) -> list[Content]:
    """An answer as it is while it is being written; empty as long as there is nothing to show."""
    if not markdown.strip():
        return []
    return _contents(markdown, "usual", Content("", controls=("stop",), turn_id=turn_id))


def answered(final: Final, *, can_share: bool, can_embed: bool = True) -> Ending:
    """With its sources, how it came about, and the buttons. Where the bot may not embed, the sources are text."""
    controls: tuple[Control, ...] = ("up", "down", "again", *(("share",) if can_share else ()))

    def contents(markdown: str, fit: Fit) -> list[Content]:
        below = _below(final) if fit == "usual" else _remarks(final)
        if below and not can_embed:
            markdown, below = f"{markdown}\n\n{_small(below)}", ""
        return _contents(markdown, fit, Content("", below, controls, final.turn_id))

    return contents


def failed(sentence: str) -> Ending:
    """With the sentence why there is no more of it."""
    return _with_last_words(_escaped(sentence))


def stopped() -> Ending:
    """With the remark that its asker stopped it."""
    return _with_last_words("-# Stopped.")


def said(actions: Sequence[Action] = ()) -> Ending:
    """What a command has to tell, with a button for each action whose command fits into the button's id."""
    buttons = tuple(action for action in actions if _has_button(action))[:MOST_ACTIONS]
    others = [action for action in actions if action not in buttons]
    to_say = "\n".join(f"- {_escaped(one.label)}: say to me {_code(one.command)}" for one in others)

    def contents(markdown: str, fit: Fit) -> list[Content]:
        return _contents(f"{markdown}\n\n{to_say}".strip(), fit, Content("", actions=buttons))

    return contents


def reported(markdown: str) -> Content:
    """How far a command is: the beginning of it, when it is too long for one message."""
    return _contents(markdown, "usual", Content(""))[0]


def action_id(number: int, command: str) -> str:
    """The id of the button that gives a command; `number` tells two with the same command apart."""
    return f"parley:do:{number}:{command}"


def _has_button(action: Action) -> bool:
    return len(action_id(MOST_ACTIONS, action.command)) <= CUSTOM_ID


def _with_last_words(words: str) -> Ending:
    def contents(markdown: str, fit: Fit) -> list[Content]:
        return _contents(f"{markdown}\n\n{words}".strip(), fit, Content(""))

    return contents


def _contents(markdown: str, fit: Fit, last: Content) -> list[Content]:
    limit = PART if fit == "usual" else PART // 2
    *first, end = split(discord_markdown(markdown), limit=limit) or ["…"]
    return [*map(Content, first), replace(last, text=end)]


def _below(final: Final) -> str:
    lines = [_source(line) for line in source_lines(final.sources)]
    shown: list[str] = []
    room = BELOW
    for line in lines:
        room -= len(line) + 1
        if room < 0:
            break
        shown.append(line)
    if hidden := len(lines) - len(shown):
        shown.append(f"and {hidden} more")
    return "\n".join(filter(None, [_remarks(final), *shown]))


def _remarks(final: Final) -> str:
    remarks = [QUOTED] if final.mode == "quotes" else []
    return _escaped(" ".join([*remarks, *([final.note] if final.note else [])]))[:500]


def _source(line: SourceLine) -> str:
    label = _escaped(_cut(line.label, _LABEL))
    if line.url and len(line.url) <= _URL:
        url = line.url.replace(" ", "%20").replace(")", "%29").replace("<", "%3C").replace(">", "%3E")
        return f"{line.marks} [{label.replace('[', '(').replace(']', ')')}](<{url}>)"
    name = line.name.replace("`", "'")
    return f"{line.marks} {label} · `{_cut(name, 100)}`" if name else f"{line.marks} {label}"


def _code(text: str) -> str:
    return "`" + text.replace("`", "'") + "`"


def _small(below: str) -> str:
    return "\n".join(f"-# {line}" for line in below.splitlines())


def _escaped(text: str) -> str:
    """Text that means nothing to Discord's Markdown."""
    return discord.utils.escape_mentions(discord.utils.escape_markdown(text))


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"
