"""The composition root: settings in, a running assistant out.

Everything slow (the embedding model, the index, the language model's process) is started by `start` behind
whatever comes first, so that a prompt can be shown at once.
"""

import asyncio
import gc
import getpass
import logging
import threading
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Engine

from bot.assistant import Assistant
from bot.commands import Commands, Status, channel_commands, status_command, stop_command
from bot.config import Settings
from bot.database import migrate, open_database
from bot.desk import Desk
from bot.errors import ModelFileError
from bot.inbox import Inbox
from bot.library import Library
from bot.llm import models
from bot.llm.local import Unavailable, connect
from bot.llm.protocol import LLM
from bot.messages import IncomingMessage
from bot.outbox import Outbox
from bot.places import Places
from bot.policy import Policy
from bot.queue import FairQueue
from bot.telemetry import Figure, Telemetry
from bot.thread_files import ThreadFiles
from bot.vault import Vault
from feedback.store import FeedbackStore

if TYPE_CHECKING:
    from knowledge.planning import Progress, ProgressCallback, SyncReport

log = logging.getLogger(__name__)


class App:
    """What adapters and commands work with."""

    def __init__(self, settings: Settings, *, library: Library, llm: LLM, engine: Engine) -> None:
        self.settings = settings
        self.library = library
        self.llm = llm
        self.feedback = FeedbackStore(engine)
        self.places = Places(engine)
        self.thread_files = ThreadFiles(engine)
        self.vault = Vault(engine, settings.slack.secret_key)
        self.user = getpass.getuser()
        self.assistant = Assistant(
            search=library,
            llm=llm,
            store=self.feedback,
            visible_to=library.visible_to,
            assistant_name=settings.chat.assistant_name,
            top_k=settings.knowledge.top_k,
            max_tokens=settings.llm.max_tokens,
            temperature=settings.llm.temperature,
            patience=settings.llm.timeout,
        )
        self.desk = self._make_desk(engine)
        self.telemetry = Telemetry()
        self.telemetry.add(self._figures)
        self._warming: list[asyncio.Task[None]] = []

    def _make_desk(self, engine: Engine) -> Desk:
        limits = self.settings.queue
        inbox = Inbox(engine)
        queue = FairQueue(
            size=limits.size,
            per_person=limits.per_person,
            per_place=limits.per_place,
            parallel=limits.parallel,
        )
        return Desk(
            assistant=self.assistant,
            feedback=self.feedback,
            inbox=inbox,
            outbox=Outbox(engine),
            thread_files=self.thread_files,
            policy=Policy(self.settings.policy, self.places, inbox),
            queue=queue,
            commands=Commands(
                [
                    status_command(self._status),
                    stop_command(self._stop),
                    *channel_commands(self.places, source_names=self.source_names),
                ]
            ),
            read_file=self.library.read_file,
            visible_to=self.library.visible_to,
            prepared=self._loaded,
        )

    def _figures(self) -> list[Figure]:
        answering, waiting = self.desk.load
        about = "Questions that are being answered, and that wait."
        return [
            Figure("questions", about, answering, labels={"state": "answering"}),
            Figure("questions", about, waiting, labels={"state": "waiting"}),
            Figure("ready", "Whether a question would be answered at once.", self.ready),
        ]

    async def _loaded(self) -> None:
        """Return when what `start` loads is there, or could not be loaded: then the question meets that itself."""
        if self._warming:
            await asyncio.wait(self._warming[:1])

    async def _status(self) -> Status:
        running, waiting = self.desk.load
        return Status(
            model=self.llm.model_id or "none; answers are quotes",
            waiting=waiting,
            answering=running,
            sources=dict.fromkeys(self.source_names, (0, 0))
            | await asyncio.to_thread(lambda: self.library.counts),
        )

    async def _stop(self, message: IncomingMessage) -> bool:
        stands_alone = message.addressed == "command" or message.thread_id == message.message_id
        return await self.desk.stop(
            platform=message.platform,
            conversation_id=message.conversation_id,
            thread_id=None if stands_alone else message.thread_id,
            user_id=message.user_id,
        )

    @property
    def source_names(self) -> list[str]:
        return [source.name for source in self.library.sources]

    def start(self) -> None:
        """Load what answering needs, in the background; a question that comes earlier waits for it."""
        self._warming = [
            asyncio.create_task(asyncio.to_thread(self._load), name="load the index"),
            asyncio.create_task(self.llm.ready(), name="start the model"),
        ]
        for task in self._warming:
            task.add_done_callback(_log_failure)

    def _load(self) -> None:
        self.library.load()
        # What is loaded stays: looking through it for garbage again and again would stop the event loop for up to
        # half a second each time (benchmarks/chat_overhead.py).
        gc.freeze()

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
        """End what runs in the background; what is being answered goes on after the next start."""
        await self.desk.close(grace=0)
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
        app = App(settings, library=Library(settings, engine), llm=llm, engine=engine)
        stack.push_async_callback(app.close)
        yield app


def _log_failure(task: asyncio.Task[None]) -> None:
    """Nothing is lost by a failure here: the question that needs the part meets it again and says so."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.info("could not %s: %s", task.get_name(), error)
