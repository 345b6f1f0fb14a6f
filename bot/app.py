"""The composition root: settings in, a running assistant out.

Everything slow (the embedding model, the index, the language model's process) is started by `start` behind
whatever comes first, so that a prompt can be shown at once.
"""

import asyncio
import getpass
import logging
import threading
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from bot.assistant import Assistant
from bot.config import Settings
from bot.database import migrate, open_database
from bot.errors import ModelFileError
from bot.library import Library
from bot.llm import models
from bot.llm.local import Unavailable, connect
from bot.llm.protocol import LLM
from feedback.store import FeedbackStore

if TYPE_CHECKING:
    from knowledge.planning import Progress, ProgressCallback, SyncReport

log = logging.getLogger(__name__)


class App:
    """What adapters and commands work with."""

    def __init__(self, settings: Settings, *, library: Library, llm: LLM, feedback: FeedbackStore) -> None:
        self.settings = settings
        self.library = library
        self.llm = llm
        self.feedback = feedback
        self.user = getpass.getuser()
        self.assistant = Assistant(
            search=library,
            llm=llm,
            store=feedback,
            visible_to=library.visible_to,
            assistant_name=settings.chat.assistant_name,
            top_k=settings.knowledge.top_k,
            max_tokens=settings.llm.max_tokens,
            temperature=settings.llm.temperature,
            patience=settings.llm.timeout,
        )
        self._warming: list[asyncio.Task[None]] = []

    @property
    def source_names(self) -> list[str]:
        return [source.name for source in self.library.sources]

    def start(self) -> None:
        """Load what answering needs, in the background; a question that comes earlier waits for it."""
        self._warming = [
            asyncio.create_task(asyncio.to_thread(self.library.load), name="load the index"),
            asyncio.create_task(self.llm.ready(), name="start the model"),
        ]
        for task in self._warming:
            task.add_done_callback(_log_failure)

    @property
    def ready(self) -> bool:
        """Whether a question would be answered at once; the model may still be starting, or be missing."""
        return self.library.is_loaded

    async def reindex(
        self, *, only: str | None = None, dry_run: bool = False, on_progress: "ProgressCallback | None" = None
    ) -> "SyncReport":
        """Bring the index up to date while answers go on; when cancelled, the work stops at the next file.

        What was done until then is not lost: the next run continues there.
        """
        stopped = threading.Event()

        def tick(progress: "Progress") -> None:
            if stopped.is_set():
                raise InterruptedError
            if on_progress is not None:
                on_progress(progress)

        try:
            return await asyncio.to_thread(self.library.sync, only=only, dry_run=dry_run, on_progress=tick)
        finally:
            stopped.set()

    async def close(self) -> None:
        for task in self._warming:
            task.cancel()
        await asyncio.gather(*self._warming, return_exceptions=True)


def open_llm(settings: Settings) -> AbstractAsyncContextManager[LLM]:
    """The language model of the settings; one that cannot be used raises `ModelUnavailableError` when asked."""
    llm = settings.llm
    reason = None if llm.enabled else "The language model is switched off (llm.enabled in parley.toml)."
    path = None
    if reason is None and llm.url is None:
        try:
            path = models.resolve(str(llm.model), base=settings.file.parent)
        except ModelFileError as error:
            reason = str(error)
    if reason is not None:
        return nullcontext(Unavailable(reason))
    return connect(
        path=path,
        url=llm.url,
        model=llm.name,
        api_key=llm.api_key.get_secret_value() if llm.api_key else None,
        context=llm.context,
        threads=llm.threads or 0,
        gpu_layers=llm.gpu_layers,
        state_file=quirks_file(settings),
    )


def quirks_file(settings: Settings) -> Path:
    """Where is remembered what llama.cpp cannot do on this machine."""
    return settings.data_dir / "llama-quirks.json"


@asynccontextmanager
async def open_app(settings: Settings) -> AsyncIterator[App]:
    """Database, library and model of the settings; closes all of them at the end.

    Raises `DatabaseError`. A missing or broken model is no error here: answers are then quotes, and say why.
    """
    async with AsyncExitStack() as stack:
        engine = open_database(settings.database_url.get_secret_value())
        stack.callback(engine.dispose)
        await asyncio.to_thread(migrate, engine)
        llm = await stack.enter_async_context(open_llm(settings))
        app = App(settings, library=Library(settings, engine), llm=llm, feedback=FeedbackStore(engine))
        stack.push_async_callback(app.close)
        yield app


def _log_failure(task: asyncio.Task[None]) -> None:
    """Nothing is lost by a failure here: the question that needs the part meets it again and says so."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.info("could not %s: %s", task.get_name(), error)
