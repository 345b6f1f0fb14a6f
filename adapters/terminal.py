"""One answer, or one command's work, as a terminal shows it.

In a terminal what grows or moves is one place that is drawn again; in a file or a pipe there are only lines, and of a
command's reports only those that tell of something else than the one before.
"""

import re
from collections.abc import Sequence

from rich.console import Console, Group
from rich.live import Live
from rich.markdown import Markdown
from rich.spinner import Spinner
from rich.text import Text as Styled

from adapters.render import plain_source
from bot.messages import Final, Progress
from bot.notices import Action

_FPS = 12


class ConsoleReply:
    """Satisfies `bot.delivery.Reply`: a spinner, then the text as it grows, then the sources."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        if console.is_terminal:
            self._live = Live(console=console, refresh_per_second=_FPS, vertical_overflow="visible")
            self._live.start()
        self._text = ""
        self._stage = ""

    async def progress(self, progress: Progress) -> None:
        if self._live and not self._text:
            self._live.update(Spinner("dots", text=Styled(f" {progress.text} …", style="dim")))

    async def text(self, content: str) -> None:
        self._text += content
        if self._live:
            self._live.update(Markdown(self._text))
        else:
            self._console.out(content, end="", highlight=False)

    async def finish(self, final: Final) -> None:
        self._end_text()
        if final.mode == "quotes":
            self._console.print("In the documents' own words.", style="dim")
        if final.note:
            self._console.print(final.note, style="dim")
        for source in final.sources:
            self._console.print(plain_source(source), style="dim", soft_wrap=True)
        self._console.print(f"{final.mode} in {final.total_ms / 1000:.1f} s", style="dim")

    async def fail(self, sentence: str) -> None:
        self._end_text()
        self._console.print(sentence, style="red")

    async def report(self, markdown: str) -> None:
        """Its first paragraph: what follows says how to go on in chat, and here that is Ctrl-C."""
        line = markdown.strip().partition("\n\n")[0]
        if self._live:
            self._live.update(Group(Markdown(line), Styled("Ctrl-C stops it", style="dim")))
        elif (stage := stage_of(line)) != self._stage:
            self._stage = stage
            self._console.print(Markdown(line))

    async def say(self, markdown: str, *, actions: Sequence[Action] = ()) -> None:
        self._end_text()
        choices = "\n".join(f"- `/{action.command}`: {action.label}" for action in actions)
        self._console.print(Markdown(f"{markdown}\n\n{choices}"))

    async def stopped(self) -> None:
        self._end_text()
        self._console.print("Stopped.", style="dim")

    async def withdraw(self) -> None:
        self._end_text()

    def _end_text(self) -> None:
        if self._live:
            if not self._text:
                self._live.update("")
            self._live.stop()
        elif self._text:
            self._console.out("")


def stage_of(line: str) -> str:
    """What a report is about: its words, without names in code, figures and bars."""
    return " ".join(re.findall(r"[^\W\d_]+", re.sub(r"`[^`]*`", " ", line)))
