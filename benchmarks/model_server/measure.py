"""What is asked of one server, and the figures that come of it."""

import asyncio
import statistics
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise

from benchmarks.model_server.people import Answer, Client, Message, Workload, crowd, thread

Figures = dict[tuple[int, str], float]
"""By number of people and name; times in seconds."""
Phase = Callable[[Client], Awaitable[Figures]]

ALONE_THREADS = 3
SHORT_PROMPT = 16
"""Words of a prompt where only writing is measured."""


async def tokens_per_word(url: str) -> float:
    """Of the benchmark's made-up language, by the server's own counting."""
    client = Client(url)
    counts = []
    for words in (50, 250):
        messages: list[Message] = [{"role": "user", "content": client.words(words, seed="length")}]
        counts.append((await client.ask(messages, tokens=1)).prompt_tokens)
    await client.aclose()
    return (counts[1] - counts[0]) / 200


def phases(work: Workload, *, people: Sequence[int]) -> Iterator[tuple[str, Phase]]:
    """What is measured of a server, in order, with a word for each."""
    for number in people:
        phase = partial(_alone, work=work) if number == 1 else partial(_together, work=work, people=number)
        yield f"{number} at once", phase
    yield "a long prompt beside a running answer", partial(_long_prompt, work=work)
    yield f"writing alone, {max(people)} at once", partial(_writing, work=work, people=max(people))


async def warm_up(client: Client, work: Workload) -> None:
    """Let the server read the shared system prompt."""
    await client.ask(_warm_up(client, work), tokens=8)


def _warm_up(client: Client, work: Workload) -> list[Message]:
    """The shared system prompt has been read when people come, as on any but the first day."""
    return [
        {"role": "system", "content": client.words(work.system, seed="system")},
        {"role": "user", "content": client.words(work.question, seed="warm-up")},
    ]


async def _alone(client: Client, work: Workload) -> Figures:
    """Threads one after the other, each with a follow-up; the median of each figure."""
    threads = [
        await thread(client, work, name=f"alone {number}", follow_up=True) for number in range(ALONE_THREADS)
    ]
    firsts, follow_ups = [answers[0] for answers in threads], [answers[1] for answers in threads]
    answers = [*firsts, *follow_ups]
    seconds = sum(answer.arrivals[-1] - answer.asked for answer in answers)
    return {
        (1, "throughput"): sum(answer.tokens for answer in answers) / seconds,
        (1, "first"): statistics.median(answer.first_token for answer in firsts),
        (1, "follow_up"): statistics.median(answer.first_token for answer in follow_ups),
        (1, "follow_up_cached"): statistics.median(answer.cached_tokens for answer in follow_ups),
        **_what_was_asked(1, answers, work),
    }


async def _together(client: Client, work: Workload, *, people: int) -> Figures:
    answers, seconds = await crowd(client, work, people=people, name=f"{people} people")
    waits = [answer.first_token for answer in answers]
    return {
        (people, "throughput"): sum(answer.tokens for answer in answers) / seconds,
        (people, "first_median"): statistics.median(waits),
        (people, "first_p95"): statistics.quantiles(waits, n=20, method="inclusive")[-1],
        (people, "standstill"): max(answer.standstill for answer in answers),
        **_what_was_asked(people, answers, work),
    }


def _what_was_asked(people: int, answers: list[Answer], work: Workload) -> Figures:
    """To see that both servers had the same to do."""
    return {
        (people, "prompt_tokens"): sum(answer.prompt_tokens for answer in answers),
        (people, "cached_tokens"): sum(answer.cached_tokens for answer in answers),
        (people, "answers"): len(answers),
        (people, "short_answers"): sum(answer.tokens < work.answer for answer in answers),
    }


async def _long_prompt(client: Client, work: Workload) -> Figures:
    """A long prompt arrives while one answer is being written: the longest gap in that answer from then on.

    A slice is what the server reads of the prompt before it goes on with the answer: the time to the long prompt's
    first token, by the steps the server counts in it; left out for a server that does not count.
    """
    underway = asyncio.Event()

    def several(answer: Answer) -> None:
        if len(answer.arrivals) >= 8:
            underway.set()

    async with asyncio.TaskGroup() as group:
        short = group.create_task(client.ask(_warm_up(client, work), tokens=2 * work.answer, arrived=several))
        await underway.wait()
        before = await client.figures()
        read = asyncio.Event()
        messages: list[Message] = [
            {"role": "user", "content": client.words(work.long_prompt, seed="long prompt")}
        ]
        long = group.create_task(client.ask(messages, tokens=4, arrived=lambda _: read.set()))
        await read.wait()
        after = await client.figures()
    asked = long.result().asked
    gaps = (later - earlier for earlier, later in pairwise(short.result().arrivals) if later > asked)
    figures: Figures = {(1, "gap"): max(gaps, default=0.0)}
    if steps := _grown("parley_model_steps_total", before, after):
        figures[1, "slice"] = long.result().first_token / steps
        figures[1, "slices"] = steps
    return figures


async def _writing(client: Client, work: Workload, *, people: int) -> Figures:
    """Everybody has a short prompt: the rate of writing while all of them are being answered, and Python's share."""
    begun: set[int] = set()
    all_begun = asyncio.Event()

    def arrived(answer: Answer) -> None:
        begun.add(id(answer))
        if len(begun) == people:
            all_begun.set()

    async with asyncio.TaskGroup() as group:
        tasks = []
        for person in range(people):
            text = client.words(SHORT_PROMPT, seed=f"short {person}")
            messages: list[Message] = [{"role": "user", "content": text}]
            tasks.append(group.create_task(client.ask(messages, tokens=work.answer, arrived=arrived)))
        await all_begun.wait()
        before = await client.figures()
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        after = await client.figures()
    answers = [task.result() for task in tasks]
    arrivals = sorted(moment for answer in answers for moment in answer.arrivals)
    since = max(answer.arrivals[0] for answer in answers)
    until = min(answer.arrivals[-1] for answer in answers)
    if until <= since:  # the server took one after the other
        since, until = arrivals[0], arrivals[-1]
    tokens_per_event = sum(answer.tokens for answer in answers) / len(arrivals)
    events = sum(since < moment <= until for moment in arrivals)
    figures: Figures = {(people, "writing"): events * tokens_per_event / (until - since)}
    python = _grown("parley_model_python_seconds_total", before, after)
    llama = _grown("parley_model_decode_seconds_total", before, after)
    if python and llama:
        figures[people, "python_share"] = python / (python + llama)
    return figures


def _grown(name: str, before: dict[str, float], after: dict[str, float]) -> float:
    return after.get(name, 0.0) - before.get(name, 0.0)
