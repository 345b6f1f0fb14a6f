"""The model that the settings name, as an `LLM`: a file in a child process, a server by URL, or none."""

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from bot.errors import ModelFileError, ModelUnavailableError
from bot.llm.client import OpenAIClient
from bot.llm.protocol import LLM, ChatMessage, Delta
from bot.llm.supervisor import ModelProcess

_log = logging.getLogger(__name__)


class LocalLLM:
    """An `LLM` over a `ModelProcess`, which must have been started."""

    def __init__(self, process: ModelProcess, *, context: int = 0) -> None:
        self.process = process
        self._context = context
        self._client = OpenAIClient(socket=process.socket, model=process.path.name)

    @property
    def model_id(self) -> str:
        return self.process.path.name

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
    url: str | None = None,
    model: str | None = None,
    api_key: str | None = None,
    context: int = 0,
    threads: int = 0,
    gpu_layers: int = 0,
    state_file: Path | None = None,
) -> AsyncIterator[LLM]:
    """The model by URL if there is one, else the file in a child process of its own, else `Unavailable`.

    Does not wait for the model: `LLM.ready` does. A file that cannot be used gives `Unavailable` with the
    reason, so that the bot starts and quotes.

    Args:
        path: a GGUF file; see `bot.llm.models.resolve`.
        url: a server's base, as in `http://gpu:8000/v1`.
        model: the name that the server knows the model by; None takes the first that it lists.
        context: tokens; 0 takes what the model was trained on (at most 8192), or what the server says.
        threads: 0 takes the physical cores.
        gpu_layers: -1 puts all on the GPU.
        state_file: where to remember what this machine's llama.cpp cannot do.
    """
    if url is not None:
        async with OpenAIClient(url=url, model=model, api_key=api_key, context=context) as client:
            yield client
        return
    if path is None:
        yield Unavailable("No model is set: set llm.model to a GGUF file, or llm.url to a server.")
        return
    process = ModelProcess(
        path, context=context, threads=threads, gpu_layers=gpu_layers, state_file=state_file
    )
    try:
        await process.start()
    except ModelFileError as error:
        _log.warning("%s", error)
        yield Unavailable(str(error))
        return
    llm = LocalLLM(process, context=context)
    try:
        yield llm
    finally:
        await llm.aclose()
        await process.aclose()
