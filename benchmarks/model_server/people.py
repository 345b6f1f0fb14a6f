"""People who ask a model server: the client's side of OpenAI's protocol, the same for every server, and its clock.

All that is measured is measured here, in the client, so it includes what HTTP costs. A server that sends several
tokens in one event is measured by its events: their reader sees no more.
"""

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

import httpx

from benchmarks.model_server.words import text

Message = dict[Literal["role", "content"], str]

_PATIENCE = 3600.0
"""Seconds: the last of many people waits long on a small machine, and is to be measured, not given up."""


@dataclass(frozen=True, slots=True)
class Workload:
    """How many tokens there are of what."""

    system: int
    passages: int
    """Retrieved text, in a thread's first question."""
    question: int
    answer: int
    long_prompt: int
    """Arrives while somebody else's answer is being written."""

    @property
    def context(self) -> int:
        """What the longest request may need, as a power of two; words are tokens but for the template's."""
        thread = self.system + self.passages + 2 * (self.question + self.answer)
        need = max(thread, self.long_prompt + self.answer) + 256
        return 1 << need.bit_length()


@dataclass(slots=True)
class Answer:
    """One answer as it came; moments are seconds of `time.perf_counter`."""

    asked: float
    follow_up: bool = False
    arrivals: list[float] = field(default_factory=list)
    """When text came."""
    text: str = ""
    prompt_tokens: int = 0
    cached_tokens: int = 0
    """Those of the prompt that the server says it had not to read."""
    tokens: int = 0

    @property
    def first_token(self) -> float:
        """Seconds until there was something to read."""
        return self.arrivals[0] - self.asked

    @property
    def standstill(self) -> float:
        """The longest time, in seconds, in which nothing came, the wait for the first token left out."""
        return max((after - before for before, after in pairwise(self.arrivals)), default=0.0)


class Client:
    """Asks one server."""

    def __init__(self, url: str, *, tokens_per_word: float = 1.0) -> None:
        # llama-server closes a connection that rests, perhaps at the very moment when it is used again.
        new_each_time = httpx.Limits(max_keepalive_connections=0)
        self._http = httpx.AsyncClient(base_url=url, timeout=_PATIENCE, limits=new_each_time)
        self._tokens_per_word = tokens_per_word

    async def aclose(self) -> None:
        await self._http.aclose()

    async def figures(self) -> dict[str, float]:
        """The server's own counters, from /metrics, without those that have labels; empty when it shows none."""
        response = await self._http.get("/metrics")
        if response.is_error:
            return {}
        lines = [line.split(" ") for line in response.text.splitlines() if line and line[0] != "#"]
        return {name: float(value) for name, value in lines if "{" not in name}

    def words(self, tokens: int, *, seed: str) -> str:
        return text(max(1, round(tokens / self._tokens_per_word)), seed=seed)

    async def ask(
        self,
        messages: list[Message],
        *,
        tokens: int,
        follow_up: bool = False,
        arrived: Callable[[Answer], None] = lambda _: None,
    ) -> Answer:
        """One answer of at most this many tokens, likeliest token first. `arrived` hears of every piece of text.

        Raises:
            RuntimeError: the server refuses, breaks off, or writes nothing.
        """
        body = {
            "messages": messages,
            "max_tokens": tokens,
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        answer = Answer(asked=time.perf_counter(), follow_up=follow_up)
        async with self._http.stream("POST", "/v1/chat/completions", json=body) as response:
            if response.is_error:
                raise RuntimeError(
                    f"the server answered {response.status_code}: {(await response.aread())!r}"
                )
            async for line in response.aiter_lines():
                if line.startswith("data: {"):
                    _take(answer, json.loads(line.removeprefix("data: ")), arrived)
        if not answer.tokens or not answer.arrivals:
            raise RuntimeError("the server broke off, or wrote nothing")
        return answer


def _take(answer: Answer, event: dict[str, object], arrived: Callable[[Answer], None]) -> None:
    match event:
        case {"error": error}:
            raise RuntimeError(f"the server failed: {error}")
        case {"choices": [{"delta": {"content": str(content)}}]} if content:
            answer.arrivals.append(time.perf_counter())
            answer.text += content
            arrived(answer)
    match event:
        case {"usage": {"prompt_tokens": int(prompt), "completion_tokens": int(written)} as usage}:
            answer.prompt_tokens, answer.tokens = prompt, written
            match usage:
                case {"prompt_tokens_details": {"cached_tokens": int(cached)}}:
                    answer.cached_tokens = cached


async def thread(client: Client, work: Workload, *, name: str, follow_up: bool) -> list[Answer]:
    """One person's thread: a question with passages and, when asked for, a question about the answer."""
    asked = client.words(work.passages, seed=f"passages {name}")
    asked += client.words(work.question, seed=f"question {name}")
    messages: list[Message] = [
        {"role": "system", "content": client.words(work.system, seed="system")},
        {"role": "user", "content": asked},
    ]
    answers = [await client.ask(messages, tokens=work.answer)]
    if follow_up:
        messages.append({"role": "assistant", "content": answers[0].text})
        messages.append({"role": "user", "content": client.words(work.question, seed=f"follow-up {name}")})
        answers.append(await client.ask(messages, tokens=work.answer, follow_up=True))
    return answers


async def crowd(client: Client, work: Workload, *, people: int, name: str) -> tuple[list[Answer], float]:
    """That many people who ask at the same moment, every second of them twice: answers, and seconds in all."""
    started = time.perf_counter()
    threads = await asyncio.gather(
        *(
            thread(client, work, name=f"{name} {person}", follow_up=person % 2 == 0)
            for person in range(people)
        )
    )
    return [answer for answers in threads for answer in answers], time.perf_counter() - started
