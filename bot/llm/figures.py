"""What monitoring can ask of the model server: figures in the text format of Prometheus.

The engine counts its own work and is asked when somebody looks; counted here is what only the server sees: how
requests end, and how long people wait for the first token.
"""

import math
import time
from collections.abc import AsyncIterator, Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from bot.llm.generation import EngineStats, Generation, Piece

_GAUGES = {
    "parallel": "Answers that may be written at once.",
    "running": "Answers that are being written.",
    "queued": "Requests that wait.",
    "batch_tokens": "Tokens in the last step.",
    "cells": "Tokens that the key-value cache can hold.",
    "cells_used": "Tokens that the key-value cache holds.",
    "cached_sequences": "Beginnings of prompts that are kept for requests to come.",
}
_COUNTERS = {
    "steps": "Steps of the model.",
    "batch_tokens_total": "Tokens in all steps.",
    "prompt_tokens": "Tokens of prompts, those found in the cache included.",
    "cached_tokens": "Tokens of prompts that did not have to be read.",
    "completion_tokens": "Tokens written.",
    "draft_tokens": "Tokens that were guessed and verified.",
    "accepted_tokens": "Guessed tokens that turned out right.",
    "decode_seconds": "Time spent in llama.cpp.",
    "python_seconds": "Time spent by the engine between two steps.",
}
"""Fields of `EngineStats`; their names with `parley_model_` in front are those of the figures."""
_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300)
_WEIGHT = 0.2
"""Of the newest request in the mean duration."""


class Figures:
    """Counts the requests of one engine."""

    def __init__(self, stats: Callable[[], EngineStats | None]) -> None:
        """`stats` gives None while the model is being loaded."""
        self._stats = stats
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        self._requests = Counter(
            "parley_model_requests", "Requests by how they ended.", ["outcome"], registry=self._registry
        )
        self._first_token = Histogram(
            "parley_model_first_token_seconds",
            "From a request to its first token, the queue included.",
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._mean_seconds = 0.0

    def text(self) -> bytes:
        return generate_latest(self._registry)

    def refused(self) -> None:
        """A request found the queue full."""
        self._requests.labels("refused").inc()

    async def counted(self, generation: Generation) -> AsyncIterator[Piece]:
        """The generation's pieces; its time and its end are noted."""
        started, first = time.monotonic(), True
        outcome = "cancelled"
        try:
            async for piece in generation:
                if first:
                    first = False
                    self._first_token.observe(time.monotonic() - started)
                outcome = "completed" if piece.finish_reason else outcome
                yield piece
        except Exception:
            outcome = "failed"
            raise
        finally:
            self._requests.labels(outcome).inc()
            if outcome == "completed":
                took = time.monotonic() - started
                self._mean_seconds += (took - self._mean_seconds) * (_WEIGHT if self._mean_seconds else 1.0)

    def seconds_until_a_place(self) -> int:
        """After how long a full queue is likely to have room again, 1 to 60 seconds."""
        stats = self._stats()
        return max(1, min(60, math.ceil(self._mean_seconds / (stats.parallel if stats else 1))))

    def collect(self) -> Iterator[Metric]:
        """What `prometheus_client` asks of a collector."""
        stats = self._stats()
        if stats is None:
            return
        for field, about in _GAUGES.items():
            yield GaugeMetricFamily(f"parley_model_{field}", about, value=getattr(stats, field))
        for field, about in _COUNTERS.items():
            name = f"parley_model_{field.removesuffix('_total')}"
            # A gauge of the last batch has this name already.
            name = "parley_model_step_tokens" if field == "batch_tokens_total" else name
            yield CounterMetricFamily(name, about, value=getattr(stats, field))
