"""What monitoring can ask: figures of the running process, in the text format of Prometheus.

Figures are taken when they are asked for; nothing is counted here.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure as it is now; a counter only grows while the process lives."""

    name: str
    """Without `parley_` in front, and without `_total` behind a counter."""
    about: str
    value: float
    kind: Literal["gauge", "counter"] = "gauge"
    labels: Mapping[str, str] = field(default_factory=dict)


Take = Callable[[], Iterable[Figure]]


class Telemetry:
    """Where the parts of the program say how they do."""

    def __init__(self) -> None:
        self._takes: list[Take] = []

    def add(self, take: Take) -> None:
        """Ask `take` for its figures each time; it must not block."""
        self._takes.append(take)

    def text(self) -> str:
        """All figures that are known now."""
        from prometheus_client import CollectorRegistry, generate_latest

        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        return generate_latest(registry).decode()

    def collect(self) -> Iterator["Metric"]:
        """What `prometheus_client` asks of a collector."""
        from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

        families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
        for figure in (figure for take in self._takes for figure in take()):
            if math.isnan(figure.value):
                continue
            made = CounterMetricFamily if figure.kind == "counter" else GaugeMetricFamily
            family = families.setdefault(
                figure.name, made(f"parley_{figure.name}", figure.about, labels=list(figure.labels))
            )
            family.add_metric(list(figure.labels.values()), figure.value)
        yield from families.values()
