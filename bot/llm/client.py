"""A model behind OpenAI's chat completions: the local child by its Unix socket, or any server by its URL.

Errors of openai and httpx end here and become `bot.errors`. Nothing is asked a second time: whether a
question is worth repeating is for the caller to say.
"""

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Literal, Self

import httpx

from bot.errors import ModelBusyError, ModelError, ModelUnavailableError, QuestionTooLongError
from bot.llm.protocol import ChatMessage, Delta

UNKNOWN_CONTEXT = 4096
"""Tokens, where neither the settings nor the server say."""
TIMEOUT = httpx.Timeout(connect=5.0, write=30.0, pool=5.0, read=300.0)
"""Seconds. A long prompt on a CPU, behind others in the queue, may take minutes until its first token."""

_BYTES_PER_TOKEN = 2
_TOKENS_PER_MESSAGE = 16
_TOO_LONG = (
    "context_length_exceeded",
    "exceed_context_size_error",
    "maximum context length",
    "context window",
)


class OpenAIClient:
    """An `LLM` (see `bot.llm.protocol`). Close it with `aclose`, or use it as an async context manager."""

    def __init__(
        self,
        *,
        url: str = "http://model/v1",
        socket: Path | None = None,
        model: str | None = None,
        api_key: str | None = None,
        context: int = 0,
        timeout: httpx.Timeout = TIMEOUT,
        called: str | None = None,
    ) -> None:
        """
        Args:
            url: the server's base, as in `http://gpu:8000/v1`.
            socket: talk to this Unix socket instead of to the host in `url`.
            model: the name the server knows the model by; None takes the first that it lists.
            context: tokens; 0 asks the server, and takes 4096 where it does not say.
            called: what sentences about it begin with; None: "The model at" and its address.
        """
        self._url = url.rstrip("/")
        self._called = called or f"The model at {socket or self._url}"
        self._model = model
        self._api_key = api_key
        self._context = context
        self._served_context = 0
        self._counts = True
        self._timeout = timeout
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        # Without TLS there, reading the certificates of this machine would only hold up the loop (30 ms).
        transport = httpx.AsyncHTTPTransport(uds=str(socket), verify=False) if socket else None
        self._http = httpx.AsyncClient(transport=transport, timeout=timeout, headers=headers)
        self._openai: Any = None

    @property
    def model_id(self) -> str:
        return self._model or self._url

    @property
    def context_window(self) -> int:
        return self._context or self._served_context or UNKNOWN_CONTEXT

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._http.aclose()

    async def ready(self) -> None:
        """See `LLM.ready`: asks the server which models it has."""
        with _translated(self._called):
            response = await self._http.get(f"{self._url}/models", timeout=10.0)
            _check(response)
            models = [entry for entry in response.json().get("data") or [] if isinstance(entry, dict)]
        known = next(
            (entry for entry in models if entry.get("id") == self._model), models[0] if models else {}
        )
        if self._model is None:
            if "id" not in known:
                raise ModelUnavailableError(f"{self._called} lists no model: set llm.name.")
            self._model = str(known["id"])
        self._served_context = _context_of(known)

    async def warnings(self) -> list[str]:
        """What Parley's own server has to say about its model; nothing from other servers."""
        with _translated(self._called):
            response = await self._http.get(f"{self._url.removesuffix('/v1')}/health", timeout=10.0)
            said = response.json().get("warnings", []) if response.is_success else []
            return [str(sentence) for sentence in said]

    async def count_tokens(self, messages: Sequence[ChatMessage]) -> int:
        """See `LLM.count_tokens`: exact where the server has vLLM's /tokenize, as the local child does.

        Elsewhere an estimate from above for European languages: a token for two bytes, 16 for each message.
        """
        if self._counts:
            root = self._url.removesuffix("/v1")
            body = {"model": self._model, "messages": _plain(messages)}
            with _translated(self._called):
                response = await self._http.post(f"{root}/tokenize", json=body)
                if response.status_code not in {404, 405, 501}:
                    _check(response)
                    count = response.json().get("count")
                    if isinstance(count, int):  # llama-server has a /tokenize of another shape
                        return count
            self._counts = False
        return sum(estimate(message) for message in messages)

    @asynccontextmanager
    async def stream(
        self,
        messages: Sequence[ChatMessage],
        *,
        max_tokens: int,
        temperature: float = 0.0,
        stop: Sequence[str] = (),
    ) -> AsyncIterator[AsyncIterator[Delta]]:
        """See `LLM.stream`."""
        if self._model is None:
            await self.ready()
        client = await self._client()
        with _translated(self._called):
            response = await client.chat.completions.create(
                model=self._model,
                messages=_plain(messages),
                max_tokens=max_tokens,
                temperature=temperature,
                stream=True,
                **({"stop": list(stop)} if stop else {}),
            )
        try:
            async with aclosing(self._deltas(response)) as deltas:
                yield deltas
        finally:
            await response.close()

    async def _deltas(self, response: Any) -> AsyncGenerator[Delta]:
        finished = False
        with _translated(self._called):
            async for chunk in response:
                for choice in (chunk.choices or [])[:1]:
                    reason = _reason(choice.finish_reason)
                    content = (choice.delta and choice.delta.content) or ""
                    finished = finished or reason is not None
                    if content or reason:
                        yield Delta(content, reason)
        if not finished:
            raise ModelUnavailableError(f"{self._called} broke its answer off; ask again.")

    async def _client(self) -> Any:
        """openai's client; the import takes a second, so it happens late and beside the event loop."""
        if self._openai is None:
            openai = await asyncio.to_thread(_import_openai)
            self._openai = openai.AsyncOpenAI(
                base_url=self._url,
                api_key=self._api_key or "none",
                http_client=self._http,
                timeout=self._timeout,
                max_retries=0,
            )
        return self._openai


def estimate(message: ChatMessage) -> int:
    """Tokens of a message where nobody can count them; see `OpenAIClient.count_tokens`."""
    return math.ceil(len(message.content.encode()) / _BYTES_PER_TOKEN) + _TOKENS_PER_MESSAGE


def _import_openai() -> Any:
    import openai

    return openai


def _plain(messages: Sequence[ChatMessage]) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in messages]


def _reason(given: str | None) -> Literal["stop", "length"] | None:
    if given is None:
        return None
    return "length" if given == "length" else "stop"


def _context_of(entry: dict[str, Any]) -> int:
    """Tokens that a server's list of models gives: vLLM's key and ours, llama-server's, or 0."""
    meta = entry.get("meta")
    given = entry.get("max_model_len") or (meta.get("n_ctx") if isinstance(meta, dict) else None)
    return given if isinstance(given, int) else 0


def _check(response: httpx.Response) -> None:
    if response.is_error:
        raise httpx.HTTPStatusError(response.text, request=response.request, response=response)


@contextmanager
def _translated(called: str) -> Iterator[None]:
    """Turn what openai and httpx raise into `bot.errors`."""
    try:
        yield
    except (ModelError, QuestionTooLongError):
        raise
    except httpx.HTTPStatusError as error:
        raise _of_status(error.response.status_code, str(error), called) from error
    except httpx.TimeoutException as error:
        raise ModelUnavailableError(f"{called} did not answer in time.") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ModelUnavailableError(f"{called} cannot be reached ({error}).") from error
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise ModelError(f"{called} answers, but not as OpenAI's API does: check llm.url.") from error
    except Exception as error:
        translated = _of_openai(error, called)
        if translated is None:
            raise
        raise translated from error


def _of_openai(error: Exception, called: str) -> ModelError | QuestionTooLongError | None:
    openai = _import_openai()
    if isinstance(error, openai.APITimeoutError):
        return ModelUnavailableError(f"{called} did not answer in time.")
    if isinstance(error, openai.APIConnectionError):
        return ModelUnavailableError(f"{called} cannot be reached or went away.")
    if isinstance(error, openai.APIError):
        in_stream = 429 if error.code == "queue_full" else 500  # an error event of a stream has no status
        status = getattr(error, "status_code", in_stream)
        return _of_status(status, f"{error} {error.code} {error.type}", called)
    return None


def _of_status(status: int, text: str, called: str) -> ModelError | QuestionTooLongError:
    if any(sign in text.lower() for sign in _TOO_LONG):
        return QuestionTooLongError(
            "The question and its context do not fit the model: ask a shorter question."
        )
    if status == 429:  # noqa: PLR2004
        return ModelBusyError("The model's queue is full; try again in a moment.")
    if status in {401, 403}:
        return ModelUnavailableError(f"{called} refuses the key: set PARLEY_LLM_API_KEY.")
    if status == 404:  # noqa: PLR2004
        return ModelUnavailableError(
            f"{called} does not know the model or the address: check llm.url and its model."
        )
    if status >= 500:  # noqa: PLR2004
        return ModelUnavailableError(f"{called} failed (status {status}); try again in a moment.")
    return ModelError(f"{called} refused the request (status {status}): {text}")
