"""How well the example handbook is answered, with the starter models and with quotes alone.

    python -m benchmarks.handbook [--half development|holdout|both] [--mode both|written|quotes] [--json] [--show]

Asks every question of examples/handbook/eval.jsonl through the real assistant (index, search, model in its child
process, check) in a data directory of its own, and judges the answers with `feedback.evaluate`. The holdout half
was not looked at while anything was tuned.
"""

import argparse
import asyncio
import json
import os
import tempfile
import time
import uuid
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from bot.app import App, open_app
from bot.config import Settings, load_settings
from bot.messages import Final, IncomingMessage
from feedback.evaluate import EvalAnswer, EvalQuestion, Judgement, Section, judge, load_questions, summarise

ROOT = Path(__file__).resolve().parent.parent
HANDBOOK = ROOT / "examples" / "handbook"
NOTES = Console(stderr=True)


async def ask(app: App, question: str, *, thread: str) -> Final:
    """One question of a thread, answered."""
    message = IncomingMessage(
        platform="benchmark",
        event_id=uuid.uuid4().hex,
        conversation_id="benchmark",
        thread_id=thread,
        user_id="benchmark",
        text=question,
    )
    async with app.assistant.answer(message) as events:
        async for event in events:
            if isinstance(event, Final):
                return event
    raise RuntimeError("the answer had no end")


async def answer(app: App, question: EvalQuestion) -> EvalAnswer:
    """Ask the questions before it first, so that a follow-up has its thread."""
    thread = uuid.uuid4().hex
    for earlier in question.history:
        await ask(app, earlier, thread=thread)
    started = time.monotonic()
    final = await ask(app, question.question, thread=thread)
    seconds = time.monotonic() - started
    turn = await asyncio.to_thread(app.feedback.turn, final.turn_id)
    assert turn is not None  # noqa: S101 - stored before `Final`
    return EvalAnswer(
        mode=final.mode,
        text=final.answer,
        ranked=tuple(_path(source.uri) for source in turn.retrieved),
        sources=tuple(f"{s.title}\n{s.heading}\n{s.text}" for s in final.sources),
        seconds=seconds,
    )


def _path(uri: str) -> str:
    return os.path.relpath(uri.partition("#")[0], HANDBOOK)


async def run(settings: Settings, questions: Sequence[EvalQuestion]) -> list[tuple[Judgement, EvalAnswer]]:
    """Index the handbook and judge the answers to the questions."""
    async with open_app(settings) as app:
        await app.reindex()
        app.start()
        if settings.llm.enabled:
            await app.llm.ready()
        judged = []
        for question in track(questions, "Asking", console=NOTES, disable=not NOTES.is_terminal):
            given = await answer(app, question)
            judged.append((judge(question, given), given))
        return judged


def settings_for(mode: str, folder: Path) -> Settings:
    """The example's settings with a data directory of their own."""
    settings = load_settings(ROOT / "examples" / "parley.toml", {"PARLEY_DATA_DIR": str(folder)})
    return settings.model_copy(update={"llm": settings.llm.model_copy(update={"enabled": mode == "written"})})


def row(name: str, section: Section, seconds: list[float]) -> list[str]:
    """A line of the table; intervals are 95% (Wilson, bootstrap for the mean)."""

    def rate(count: int, total: int, low: float, high: float) -> str:
        return f"{count}/{total} = {count / total:.0%} ({low:.0%}–{high:.0%})" if total else "–"

    def proportion(p: "object") -> str:
        return rate(p.count, p.total, p.interval.low, p.interval.high)  # type: ignore[attr-defined]

    median = sorted(seconds)[len(seconds) // 2] if seconds else 0.0
    return [
        name,
        proportion(section.recall),
        f"{section.mrr.value:.2f}",
        proportion(section.answered),
        proportion(section.shown),
        proportion(section.abstained),
        str(section.unsupported),
        f"{median:.1f} s",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--half", choices=["development", "holdout", "both"], default="both")
    parser.add_argument("--mode", choices=["written", "quotes", "both"], default="both")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--show", action="store_true", help="every answer that is not as it should be")
    args = parser.parse_args()
    questions = [
        question
        for question in load_questions(HANDBOOK / "eval.jsonl")
        if args.half == "both" or question.holdout == (args.half == "holdout")
    ]
    modes = ["written", "quotes"] if args.mode == "both" else [args.mode]
    table = Table("", "recall@5", "MRR", "answered", "fact shown", "declined", "unsupported", "median")
    found: dict[str, object] = {}
    with tempfile.TemporaryDirectory(prefix="parley-bench-") as folder:
        for mode in modes:
            judged = asyncio.run(run(settings_for(mode, Path(folder)), questions))
            report = summarise(judgement for judgement, _ in judged)
            found[mode] = asdict(report)
            for half in ("development", "holdout"):
                section: Section = getattr(report, half)
                if section.questions:
                    wanted = half == "holdout"
                    seconds = [g.seconds for j, g in judged if j.question.holdout == wanted]
                    table.add_row(*row(f"{mode}, {half}", section, seconds))
            if args.show:
                show(judged)
    if args.json:
        print(json.dumps(found, ensure_ascii=False))
    else:
        Console(width=150).print(table)


def show(judged: Sequence[tuple[Judgement, EvalAnswer]]) -> None:
    """What went wrong, on standard error."""
    for judgement, given in judged:
        question = judgement.question
        right = judgement.correct if question.answerable else judgement.declined
        if right and not judgement.unsupported:
            continue
        NOTES.print(f"\n{question.id} {question.question}", style="bold", markup=False)
        NOTES.print(f"{given.mode}, rank {judgement.rank}, unsupported {judgement.unsupported}", markup=False)
        NOTES.print(f"wanted: {question.fact} in {question.documents}", markup=False)
        NOTES.print(given.text, markup=False)


if __name__ == "__main__":
    main()
