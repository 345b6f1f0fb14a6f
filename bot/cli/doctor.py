"""`parley doctor`: is everything that answering needs in place?"""

import asyncio
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.context import out, print_json, settings, state, working
from bot.plugins import Finding

if TYPE_CHECKING:
    from bot.config import Settings


def register(app: typer.Typer) -> None:
    app.command()(doctor)


def doctor(*, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Check everything that answering needs, down to the tokens of chat platforms; say what to mend."""
    loaded = settings()
    checks: dict[str, Callable[[Settings], str]] = {
        "data directory": _data_directory,
        "database": _database,
        "sources": _sources,
        "embedding model": _embedding_model,
        "vectors": _vectors,
        "index": _index,
        "language model": _language_model,
    }
    findings = [Finding("settings", ok=True, detail=str(loaded.file))]
    for name, check in checks.items():
        with working(f"Checking the {name}"):
            findings.append(_run(name, check, loaded))
    with working("Checking the chat platforms"):
        findings += _platforms(loaded)
    if as_json:
        print_json([{"check": f.check, "ok": f.ok, "detail": f.detail} for f in findings])
    else:
        for finding in findings:
            mark = "[green]✓[/]" if finding.ok else "[red]✗[/]"
            out().print(f"{mark} [bold]{finding.check:<16}[/]", end=" ")
            out().print(finding.detail, markup=False)
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)


def _run(name: str, check: "Callable[[Settings], str]", loaded: "Settings") -> Finding:
    from bot.errors import EXPLAINED

    try:
        return Finding(name, ok=True, detail=check(loaded))
    except EXPLAINED as error:
        return Finding(name, ok=False, detail=str(error))
    except Exception as error:
        if state.debug:
            raise
        return Finding(name, ok=False, detail=f"{type(error).__name__}; see `parley --debug doctor`")


def _data_directory(loaded: "Settings") -> str:
    from bot.errors import ParleyError

    try:
        loaded.data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ParleyError(
            f"{loaded.data_dir} cannot be made ({error.strerror}); set PARLEY_DATA_DIR."
        ) from error
    if not os.access(loaded.data_dir, os.W_OK):
        raise ParleyError(f"{loaded.data_dir} cannot be written; check who owns it, or set PARLEY_DATA_DIR.")
    return str(loaded.data_dir)


def _database(loaded: "Settings") -> str:
    from bot.database import migrate, open_database
    from feedback.store import FeedbackStore

    engine = open_database(loaded.database_url.get_secret_value())
    try:
        migrate(engine)
        counts = FeedbackStore(engine).counts()
    finally:
        engine.dispose()
    return f"{counts.turns} answers, {counts.up} 👍, {counts.down} 👎"


def _sources(loaded: "Settings") -> str:
    from bot.errors import SettingsError
    from bot.library import open_library

    if not loaded.sources:
        raise SettingsError(f"{loaded.file} has no [[sources]]; add one, or run `parley init`.")
    with open_library(loaded) as library:
        return ", ".join(
            f"{source.name}: {sum(1 for _ in source.files())} files" for source in library.sources
        )


def _embedding_model(loaded: "Settings") -> str:
    from bot.library import open_library

    with open_library(loaded) as library:
        vector = library.embedder.embed_queries(["a question"])
        return f"{library.embedder.fingerprint}, {vector.shape[1]} dimensions"


def _vectors(loaded: "Settings") -> str:
    from bot.library import vector_server

    server = vector_server(loaded)
    if server is None:
        return f"in {loaded.data_dir / 'chroma'}"
    return f"in the database '{server.database}' of Chroma {server.prepare()} at {server.url}"


def _index(loaded: "Settings") -> str:
    from bot.library import open_library
    from knowledge.errors import KnowledgeError

    with open_library(loaded) as library:
        documents = sum(documents for documents, _ in library.counts.values())
        if not documents:
            raise KnowledgeError("Nothing is indexed yet; run `parley reindex`.")
        report = library.sync(dry_run=True)
        pending = sum(source.added + source.changed + source.deleted for source in report.sources)
        stale = f"{pending} files changed since: run `parley reindex`" if pending else "up to date"
        failures = f", {len(report.failed)} files cannot be read" if report.failed else ""
        return f"{documents} documents, {stale}{failures}"


def _language_model(loaded: "Settings") -> str:
    from bot.app import open_llm, quirks_file
    from bot.llm.protocol import ChatMessage
    from bot.llm.quirks import without_extra_bufts

    if not loaded.llm.enabled:
        return "switched off: answers are quotes"

    async def ask() -> str:
        async with open_llm(loaded) as llm:
            await llm.ready()
            messages = [ChatMessage("user", "Say hello.")]
            async with llm.stream(messages, max_tokens=8) as deltas:
                text = "".join([delta.content async for delta in deltas])
            found = f"{llm.model_id}, context {llm.context_window}, says {text.strip()!r}"
            if not loaded.llm.url and without_extra_bufts(quirks_file(loaded)):
                found += "; without AMX, with which llama.cpp died here (see docs/models.md)"
            return found

    return asyncio.run(ask())


def _platforms(loaded: "Settings") -> list[Finding]:
    """What the configured chat platforms find out about themselves."""
    from bot.app import open_app
    from bot.errors import EXPLAINED
    from bot.plugins import Checkable, adapters

    async def ask() -> list[Finding]:
        async with open_app(loaded) as app:
            able = [one for one in adapters(app) if one.configured and isinstance(one, Checkable)]
            return [finding for adapter in able for finding in await adapter.check()]

    try:
        return asyncio.run(ask())
    except EXPLAINED as error:
        return [Finding("chat platforms", ok=False, detail=str(error))]
