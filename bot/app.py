"""The composition root: settings in, a running assistant out.

Everything slow (the embedding model, the index, the language model's process) is started by `start` behind
whatever comes first, so that a prompt can be shown at once.
"""

import asyncio
import gc
import getpass
import logging
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Engine

from bot.administration.assembly import all_commands
from bot.assistant import Assistant
from bot.audit import Audit
from bot.commands import AuditOutcome, Commands
from bot.config import Settings, SourceSettings
from bot.database import migrate, open_database
from bot.desk import Desk
from bot.errors import ModelFileError
from bot.inbox import Inbox
from bot.jobs import Jobs
from bot.library import Library
from bot.llm import models
from bot.llm.capacity import MOST_PARALLEL
from bot.llm.local import Unavailable, connect
from bot.llm.lora import parse_lora
from bot.llm.protocol import LLM
from bot.llm.supervisor import QUEUE_SIZE, Load
from bot.llm.switch import SwitchableLLM
from bot.messages import IncomingMessage
from bot.model_choice import ModelChoice
from bot.outbox import Outbox
from bot.places import Places
from bot.policy import Policy
from bot.queue import FairQueue
from bot.reindexing import Reindexing
from bot.source_editing import SourceEditing
from bot.telemetry import Figure, Telemetry
from bot.thread_files import ThreadFiles
from bot.upkeep import Upkeep
from bot.vault import Vault
from feedback.store import FeedbackStore

if TYPE_CHECKING:
    from knowledge.planning import ProgressCallback, SyncReport

log = logging.getLogger(__name__)


class App:
    """What adapters and commands work with."""

    def __init__(self, settings: Settings, *, library: Library, llm: SwitchableLLM, engine: Engine) -> None:
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
            context_tokens=settings.knowledge.context_tokens,
            rewrite=settings.knowledge.rewrite == "model",
        )
        self.audit = Audit(engine)
        self.reindexing = Reindexing(library.sync, names=self._read_names)
        self.sources = SourceEditing(settings, take_up=self._take_up)
        self.models = ModelChoice(settings, llm, open_llm=open_llm)
        self._upkeep = Upkeep(self)
        self.jobs = Jobs(engine, self._upkeep.entries(), tell=self._tell_admins)
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
            commands=Commands(all_commands(self, engine), record=self._record),
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

    async def _record(
        self, message: IncomingMessage, command: str, outcome: AuditOutcome, detail: str
    ) -> None:
        await asyncio.to_thread(self.audit.record, message, command, outcome, detail)

    async def _take_up(self, sources: tuple[SourceSettings, ...]) -> None:
        """Work with these sources from now on."""
        await asyncio.to_thread(self.library.set_sources, sources)
        await self.jobs.reload(self._upkeep.entries())

    def _read_names(self) -> list[str]:
        """Of the sources that are read when all are."""
        return [source.name for source in self.sources() if not source.paused]

    async def _tell_admins(self, sentence: str) -> None:
        await self.desk.tell_admins(sentence)

    @property
    def source_names(self) -> list[str]:
        return self.sources.names

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
        self, *, only: str | None = None, on_progress: "ProgressCallback | None" = None
    ) -> "SyncReport":
        """Bring the index up to date while answers go on; when cancelled, the work stops at the next file."""
        return await self.reindexing.run(only, on_progress=on_progress)

    async def close(self) -> None:
        """End what runs in the background; what is being answered goes on after the next start."""
        await self.jobs.aclose()
        await self.desk.close(
            grace=0
        )  # before the work that its commands follow, so that they are taken up again
        await self.reindexing.close()
        for task in self._warming:
            task.cancel()
        await asyncio.gather(*self._warming, return_exceptions=True)


def open_llm(settings: Settings) -> AbstractAsyncContextManager[LLM]:
    """The language model of the settings; one that cannot be used raises `ModelUnavailableError` when asked."""
    llm = settings.llm
    reason = None if llm.enabled else "The language model is switched off (llm.enabled in parley.toml)."
    path = None
    if reason is None and not llm.urls:
        try:
            path = models.resolve(str(llm.model), base=settings.file.parent)
        except ModelFileError as error:
            reason = str(error)
    if reason is not None:
        return nullcontext(Unavailable(reason))
    return connect(
        path=path,
        urls=llm.urls,
        model=llm.name,
        api_key=llm.api_key.get_secret_value() if llm.api_key else None,
        load=load_of(settings),
        state_file=quirks_file(settings),
    )


def load_of(settings: Settings) -> Load:
    """How to load the model of the settings."""
    llm = settings.llm
    return Load(
        context=llm.context,
        # What is worked on at once may reach the model at once.
        parallel=llm.parallel or (settings.queue.parallel if settings.queue.parallel > MOST_PARALLEL else 0),
        queue_size=max(settings.queue.parallel, QUEUE_SIZE),
        threads=llm.threads or 0,
        gpu_layers=llm.gpu_layers,
        lora=tuple(parse_lora(text, base=settings.file.parent) for text in llm.lora),
        speculation=llm.speculation,
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
        llm = await stack.enter_async_context(SwitchableLLM.open(open_llm(settings)))
        app = App(settings, library=Library(settings, engine), llm=llm, engine=engine)
        stack.push_async_callback(app.close)
        yield app


def _log_failure(task: asyncio.Task[None]) -> None:
    """Nothing is lost by a failure here: the question that needs the part meets it again and says so."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.info("could not %s: %s", task.get_name(), error)
