"""One request that is being served: how far its prompt is read, what it has written, what it may still need."""

from typing import Literal

from bot.llm.generation import Piece, TokenLogprob, Usage
from bot.llm.lookup import Lookup
from bot.llm.sampler import Candidates, Logits, likeliest, log_probabilities
from bot.llm.text import TextDecoder
from bot.llm.vocabulary import Vocabulary
from bot.llm.waiting import Request


class Running:
    """The request with its sequence. `tokens` is the prompt and what was written; `evaluated` of them are in
    the cache. The last token is never evaluated before another one is wanted."""

    def __init__(self, request: Request, *, sequence: int, cached: int, vocabulary: Vocabulary) -> None:
        """
        Args:
            sequence: llama.cpp's number for it.
            cached: tokens of the prompt that are in the cache already.
        """
        self.request = request
        self.sequence = sequence
        self.tokens = list(request.tokens)
        self.prompt = len(self.tokens)
        self.evaluated = self.cached = cached
        self.limit = self.prompt + request.max_tokens
        """Tokens that it may have in the end."""
        self.mark = 0
        """Length of the beginning that should be kept for others as soon as it is read; 0: none."""
        self.drafted = self.accepted = 0
        self.finish_reason: Literal["stop", "length"] | None = None
        self._lookup: Lookup | None = None
        self._vocabulary = vocabulary
        self._text = TextDecoder(request.sampling.stop)
        self._ready: list[str] = []
        self._logprobs: list[TokenLogprob] = []

    @property
    def reading(self) -> int:
        """Tokens of the prompt that are still to be read; 0 while it writes."""
        return self.prompt - self.evaluated if self.evaluated < self.prompt else 0

    @property
    def written(self) -> int:
        return len(self.tokens) - self.prompt

    @property
    def beyond_prompt(self) -> int:
        """Cells of the cache that it has behind its prompt."""
        return max(self.evaluated - self.prompt, 0)

    def guess(self, *, price: float, most: int) -> list[int]:
        """The next tokens as they stood earlier, where verifying them pays."""
        if self._lookup is None:
            self._lookup = Lookup(self.tokens)
        room = self.limit - len(self.tokens) - 1  # the step writes one token more than were guessed
        return self._lookup.propose(min(room, most), price=price) if room > 0 else []

    def choose(self, logits: Logits, candidates: Candidates) -> int | None:
        """Write the next token from its logits; None when that ended the answer before it."""
        token = self.request.sampler.choose(logits, candidates)
        if token is None or self._vocabulary.ends(token):
            self.finish_reason = "stop"
            return None
        self.request.sampler.accept(token)
        self.tokens.append(token)
        if self._lookup is not None:
            self._lookup.append(token)
        if self.request.sampling.logprobs is not None:
            self._logprobs.append(self._logprob(token, logits))
        if text := self._text.feed(self._vocabulary.bytes_of(token)):
            self._ready.append(text)
        if self._text.stopped:
            self.finish_reason = "stop"
        elif len(self.tokens) >= self.limit:
            self.finish_reason = "length"
        return token

    def piece(self) -> Piece | None:
        """What became certain since the last call; the last piece has the reason it ended and what it cost."""
        text = "".join(self._ready)
        self._ready.clear()
        if self.finish_reason is not None:
            return Piece(text + self._text.end(), self.finish_reason, self._usage(), self._certain())
        return Piece(text, logprobs=self._certain()) if text else None

    def _certain(self) -> tuple[TokenLogprob, ...]:
        logprobs = tuple(self._logprobs)
        self._logprobs.clear()
        return logprobs

    def _usage(self) -> Usage:
        return Usage(
            prompt_tokens=self.prompt,
            cached_tokens=self.cached,
            completion_tokens=self.written,
            draft_tokens=self.drafted,
            accepted_tokens=self.accepted,
        )

    def _logprob(self, token: int, logits: Logits) -> TokenLogprob:
        logs = log_probabilities(logits)

        def shown(token: int) -> tuple[str, float, bytes]:
            data = self._vocabulary.bytes_of(token)
            return data.decode(errors="replace"), float(logs[token]), data

        text, value, data = shown(token)
        top = likeliest(logits, self.request.sampling.logprobs or 0)
        return TokenLogprob(text, value, data, tuple(shown(other) for other in top))
