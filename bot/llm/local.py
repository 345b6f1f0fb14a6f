"""The model that the settings name, as an `LLM`: a file in a child process, servers by URL, or none."""

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path

from bot.errors import ModelFileError, ModelUnavailableError
from bot.llm.balance import Balanced
from bot.llm.client import OpenAIClient
from bot.llm.protocol import LLM, ChatMessage, Delta
from bot.llm.supervisor import Load, ModelProcess

_log = logging.getLogger(__name__)


class LocalLLM:
    """An `LLM` over a `ModelProcess`, which must have been started."""

    def __init__(self, process: ModelProcess, *, context: int = 0) -> None:
        self.process = process
        self._context = context
        self._client = OpenAIClient(
            socket=process.socket, model=process.model_id, called="The model's own process"
        )

    @property
    def model_id(self) -> str:
        return self.process.model_id

    @property
    def context_window(self) -> int:
        info = self.process.info
        if info is None:
            return self._client.context_window
        return min(self._context or info.default_context(), info.context_length or info.default_context())

    async def ready(self) -> None:
        await self.process.ready()

    async def count_tokens(self, messages: Sequence[ChatMessage]) -> int:
        self._check_up()
        return await self._client.count_tokens(messages)

    @asynccontextmanager
    async def stream(
        self,
        messages: Sequence[ChatMessage],
        *,
        max_tokens: int,
        temperature: float = 0.0,
        stop: Sequence[str] = (),
    ) -> AsyncIterator[AsyncIterator[Delta]]:
        """See `LLM.stream`; raises at once when the model is down, and does not wait for it."""
        self._check_up()
        async with self._client.stream(
            messages, max_tokens=max_tokens, temperature=temperature, stop=stop
        ) as deltas:
            yield deltas

    async def warnings(self) -> list[str]:
        """What an operator should know about the loaded model, as sentences."""
        self._check_up()
        return await self._client.warnings()

    async def aclose(self) -> None:
        """Close the connections; the process belongs to whoever started it."""
        await self._client.aclose()

    def _check_up(self) -> None:
        self.process.revive()
        if self.process.state.name != "ready":
            raise ModelUnavailableError(self.process.state.reason)


class Unavailable:
    """An `LLM` that is not there: every call raises `ModelUnavailableError` with the reason."""

    model_id = "none"
    context_window = 0

    def __init__(self, reason: str) -> None:
        self.reason = reason

    async def ready(self) -> None:
        raise ModelUnavailableError(self.reason)

    async def count_tokens(self, messages: Sequence[ChatMessage]) -> int:  # noqa: ARG002
        raise ModelUnavailableError(self.reason)

    def stream(
        self,
        messages: Sequence[ChatMessage],  # noqa: ARG002
        *,
        max_tokens: int,  # noqa: ARG002
        temperature: float = 0.0,  # noqa: ARG002
        stop: Sequence[str] = (),  # noqa: ARG002
    ) -> AbstractAsyncContextManager[AsyncIterator[Delta]]:
        raise ModelUnavailableError(self.reason)


@asynccontextmanager
async def connect(
    *,
    path: Path | None = None,
    urls: Sequence[str] = (),
    model: str | None = None,
    api_key: str | None = None,
    load: Load | None = None,
    state_file: Path | None = None,
) -> AsyncIterator[LLM]:
    """The model by URL if there is one, else the file in a child process of its own, else `Unavailable`.

    Does not wait for the model: `LLM.ready` does. A file that cannot be used gives `Unavailable` with the
    reason, so that the bot starts and quotes.

    Args:
        path: a GGUF file; see `bot.llm.models.resolve`.
        urls: servers' bases, as in `http://gpu:8000/v1`; several share the work.
        model: the name that the servers know the model by; None takes the first that each lists.
        api_key: for the servers.
        load: how to load the file; of a server only its `context` counts, 0 takes what the server says.
        state_file: where to remember what this machine's llama.cpp cannot do.
    """
    load = load or Load()
    if urls:
        async with AsyncExitStack() as stack:
            clients = [
                await stack.enter_async_context(
                    OpenAIClient(url=url, model=model, api_key=api_key, context=load.context)
                )
                for url in urls
            ]
            yield clients[0] if len(clients) == 1 else Balanced(clients)
        return
    if path is None:
        yield Unavailable("No model is set: set llm.model to a GGUF file, or llm.url to a server.")
        return
    process = ModelProcess(path, load=load, state_file=state_file)
    try:
        await process.start()
    except ModelFileError as error:
        _log.warning("%s", error)
        yield Unavailable(str(error))
        return
    llm = LocalLLM(process, context=load.context)
    try:
        yield llm
    finally:
        await llm.aclose()
        await process.aclose()
