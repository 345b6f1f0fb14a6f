"""What Prometheus reads."""

import math

from bot.telemetry import Figure, Telemetry


def test_figures_are_taken_when_they_are_asked_for() -> None:
    telemetry, waiting = Telemetry(), 1
    telemetry.add(lambda: [Figure("questions", "Questions.", waiting, labels={"state": "waiting"})])
    telemetry.add(lambda: [Figure("questions", "Questions.", 2, labels={"state": "answering"})])
    telemetry.add(
        lambda: [Figure("resumed", "Sessions.", 3, "counter"), Figure("late", "Not yet.", math.nan)]
    )
    waiting = 5
    lines = telemetry.text().splitlines()
    assert 'parley_questions{state="waiting"} 5.0' in lines
    assert 'parley_questions{state="answering"} 2.0' in lines
    assert "# TYPE parley_resumed_total counter" in lines
    assert "parley_resumed_total 3.0" in lines
    assert "late" not in telemetry.text()
