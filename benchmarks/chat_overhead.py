"""What Parley adds to a message beside retrieval and model, and how long its event loop is ever blocked.

    python -m benchmarks.chat_overhead [--messages N] [--seconds N]

The first table: the time from a message in Slack to its finished answer, with an assistant that answers at once, so
that all that is measured lies around it: the event, inbox, queue, replies, pacing. The bot is a process of its own
on the real slack-bolt; Slack is the local one of the tests, whose own work is part of the figures. One conversation at
a time, then 100 at once, each in a channel of its own.

The second: the longest time in which nothing else could run on the bot's event loop, where heartbeats and
acknowledgements are, while questions are answered by the starter model and the handbook is indexed from nothing.
"""

import argparse
import asyncio
import contextlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from rich.console import Console
from rich.table import Table

from bot.app import App, open_app
from bot.assistant import Assistant
from bot.config import load_settings, parse_settings
from bot.messages import IncomingMessage
from tests.bot.fakes import FakePlatform
from tests.contract.scripted import ScriptedAssistant
from tests.platforms.slack import Channel, LocalSlack, Message, User

ROOT = Path(__file__).resolve().parent.parent
TICK = 0.005
"""Seconds between two looks at the loop."""
SETTINGS = """
[llm]
enabled = false
[queue]
size = 1000
parallel = {parallel}
[policy]
person_per_hour = 100000
place_per_hour = 100000
[slack]
api_url = "{api_url}"
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=50, help="one at a time (default: 50)")
    parser.add_argument("--seconds", type=float, default=60.0, help="to watch the loop (default: 60)")
    parser.add_argument("--serve", metavar="FOLDER", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(serve(Path(arguments.serve)))
        return
    console = Console()
    console.print(asyncio.run(overhead(arguments.messages)))
    console.print(asyncio.run(blocks(arguments.seconds)))


# Overhead


async def serve(folder: Path) -> None:
    """The bot's process: everything is real but the assistant."""
    from adapters.slack.adapter import SlackAdapter

    async with open_app(load_settings(folder / "parley.toml")) as app:
        app.desk._serving._assistant = cast("Assistant", ScriptedAssistant(app.feedback))  # noqa: SLF001
        await SlackAdapter(app).run()


async def overhead(messages: int) -> Table:
    with tempfile.TemporaryDirectory(prefix="parley-overhead-") as folder:
        async with LocalSlack() as slack:
            people = [slack.add_user(f"person{n}") for n in range(100)]
            channels = [slack.add_channel(f"channel{n}", members=[user]) for n, user in enumerate(people)]
            settings = SETTINGS.format(api_url=slack.api_url, parallel=8)
            await asyncio.to_thread(Path(folder, "parley.toml").write_text, settings, encoding="utf-8")
            async with bot(folder, slack):
                places = list(zip(channels, people, strict=True))
                for channel, user in places[:3]:
                    await asked(
                        slack, channel, user
                    )  # what is loaded by the first message is no overhead of others
                alone = [await asked(slack, *places[n % 100]) for n in range(messages)]
                together = await asyncio.gather(*(asked(slack, *place) for place in places))
    table = Table("conversations at once", "messages", "p50 ms", "p95 ms", title="Overhead of a message")
    for label, seconds in (("1", alone), ("100", together)):
        p50, p95 = percentiles(seconds)
        table.add_row(label, str(len(seconds)), f"{p50:.0f}", f"{p95:.0f}")
    return table


@contextlib.asynccontextmanager
async def bot(folder: str, slack: LocalSlack) -> AsyncIterator[None]:
    environ = os.environ | {
        "PARLEY_SLACK_BOT_TOKEN": slack.bot_token,
        "PARLEY_SLACK_APP_TOKEN": slack.app_token,
    }
    command = (sys.executable, "-m", "benchmarks.chat_overhead", "--serve", folder)
    process = await asyncio.create_subprocess_exec(*command, env=environ, cwd=ROOT)
    try:
        await slack.wait_for(lambda: slack.connections, 60)
        yield
    finally:
        process.terminate()
        await process.wait()


async def asked(slack: LocalSlack, channel: Channel, user: User) -> float:
    """Seconds from a question to its finished answer."""
    started = time.perf_counter()
    ts = await slack.post(channel, user, f"{slack.mention} Within how many days must receipts be handed in?")

    def finished() -> list[Message]:
        return [m for m in slack.answers(channel, ts) if m.buttons and not m.streaming]

    await slack.wait_for(finished, 300)
    return time.perf_counter() - started


# Blocks of the loop


@dataclass
class Watch:
    """Looks at the loop all the time, and notes how late each look came."""

    late: list[float] = field(default_factory=list)
    """Seconds."""

    async def run(self) -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(TICK)
            self.late.append(time.perf_counter() - before - TICK)

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        task = asyncio.create_task(self.run())
        try:
            yield
        finally:
            task.cancel()


async def blocks(seconds: float) -> Table:
    idle, busy = Watch(), Watch()
    with tempfile.TemporaryDirectory(prefix="parley-loop-") as folder:
        file = ROOT / "examples" / "parley.toml"
        environ = {"PARLEY_DATA_DIR": folder}
        settings = parse_settings(file.read_text(encoding="utf-8"), file=file, environ=environ)
        async with open_app(settings) as app:
            app.start()
            await asyncio.gather(app.llm.ready(), *app._warming)  # noqa: SLF001
            with idle.watching():
                await asyncio.sleep(5)
            with busy.watching():
                indexing = asyncio.create_task(app.reindex())
                answers = await ask_on(app, seconds)
                await indexing
    title = f"How late the loop was, with {answers} answers and a reindex ({TICK * 1000:.0f} ms ticks)"
    table = Table("", "looks", "p95 ms", "longest ms", title=title)
    for label, watch in (("nothing going on", idle), ("model and reindex", busy)):
        late = [1000 * value for value in watch.late]
        table.add_row(label, str(len(late)), f"{percentiles(late, scale=1)[1]:.1f}", f"{max(late):.1f}")
    return table


async def ask_on(app: App, seconds: float) -> int:
    """Ask one question after the other; returns how many were answered."""
    platform, until, count = FakePlatform(), time.monotonic() + seconds, 0
    questions = [
        line for line in (ROOT / "examples" / "tour.txt").read_text().splitlines() if line[:1].isalpha()
    ]
    while time.monotonic() < until:
        text = questions[count % len(questions)]
        message = IncomingMessage(
            platform="benchmark",
            event_id=f"{count}",
            conversation_id="benchmark",
            thread_id=f"{count}",
            user_id="benchmark",
            text=text,
        )
        await app.desk.ask(platform, message, platform.reply(message))
        count += 1
    return count


def percentiles(values: Sequence[float], *, scale: float = 1000) -> tuple[float, float]:
    """Median and 95th percentile, in milliseconds when the values are seconds."""
    cuts = statistics.quantiles(values, n=20)
    return scale * statistics.median(values), scale * cuts[-1]


if __name__ == "__main__":
    main()
