"""The JSON of one completion in OpenAI's shapes: whole, or as the chunks of a stream."""

import json
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from bot.llm.generation import Piece, TokenLogprob, Usage

DONE = "data: [DONE]\n\n"


def event(data: Mapping[str, Any]) -> str:
    """One server-sent event."""
    return f"data: {json.dumps(data, ensure_ascii=False, separators=(',', ':'))}\n\n"


def comment(text: str) -> str:
    """A line of a stream that clients pass over; it keeps the connection alive."""
    return f": {text}\n\n"


class ChatCompletion:
    """`chat.completion` and `chat.completion.chunk`."""

    prefix, whole_object, chunk_object = "chatcmpl", "chat.completion", "chat.completion.chunk"

    def __init__(self, model: str, *, with_usage: bool = False) -> None:
        """`with_usage`: the stream ends with a chunk that says what it cost; the others then say `null`."""
        self.id = f"{self.prefix}-{uuid.uuid4().hex}"
        self._common: Mapping[str, Any] = {"id": self.id, "created": int(time.time()), "model": model}
        self._in_chunks: Mapping[str, Any] = {"usage": None} if with_usage else {}

    def whole(self, pieces: Sequence[Piece]) -> dict[str, Any]:
        text = "".join(piece.text for piece in pieces)
        last = pieces[-1]
        choice = {
            "index": 0,
            **self._content(text),
            "finish_reason": last.finish_reason,
            "logprobs": self._logprobs([token for piece in pieces for token in piece.logprobs]),
        }
        return {
            **self._common,
            "object": self.whole_object,
            "choices": [choice],
            "usage": _usage(last.usage),
        }

    def opening(self) -> dict[str, Any] | None:
        """What comes before the first piece, at once."""
        return self._chunk(
            [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]
        )

    def chunk(self, piece: Piece) -> dict[str, Any]:
        choice = {"index": 0, **self._delta(piece), "finish_reason": piece.finish_reason}
        if piece.logprobs:
            choice["logprobs"] = self._logprobs(piece.logprobs)
        return self._chunk([choice])

    def usage(self, usage: Usage | None) -> dict[str, Any]:
        return {**self._chunk([]), "usage": _usage(usage)}

    def _chunk(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {**self._common, "object": self.chunk_object, "choices": choices, **self._in_chunks}

    def _content(self, text: str) -> dict[str, Any]:
        return {"message": {"role": "assistant", "content": text}}

    def _delta(self, piece: Piece) -> dict[str, Any]:
        return {"delta": {"content": piece.text} if piece.text else {}}

    def _logprobs(self, tokens: Sequence[TokenLogprob]) -> dict[str, Any] | None:
        if not tokens:
            return None
        content = [
            {
                **_token(token.token, token.logprob, token.bytes),
                "top_logprobs": [_token(*t) for t in token.top],
            }
            for token in tokens
        ]
        return {"content": content, "refusal": None}


class TextCompletion(ChatCompletion):
    """`text_completion`, whose chunks have the same shape as the whole."""

    prefix, whole_object, chunk_object = "cmpl", "text_completion", "text_completion"

    def __init__(self, model: str, *, with_usage: bool = False) -> None:
        super().__init__(model, with_usage=with_usage)
        self._written = 0
        """Characters of the tokens that were reported on."""

    def opening(self) -> None:
        return None

    def _content(self, text: str) -> dict[str, Any]:
        return {"text": text}

    def _delta(self, piece: Piece) -> dict[str, Any]:
        return {"text": piece.text}

    def _logprobs(self, tokens: Sequence[TokenLogprob]) -> dict[str, Any] | None:
        if not tokens:
            return None
        offsets = []
        for token in tokens:
            offsets.append(self._written)
            self._written += len(token.token)
        return {
            "tokens": [token.token for token in tokens],
            "token_logprobs": [token.logprob for token in tokens],
            "top_logprobs": [{text: logprob for text, logprob, _ in token.top} for token in tokens],
            "text_offset": offsets,
        }


def _token(text: str, logprob: float, data: bytes) -> dict[str, Any]:
    return {"token": text, "logprob": logprob, "bytes": list(data)}


def _usage(usage: Usage | None) -> dict[str, Any] | None:
    if usage is None:
        return None
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        "completion_tokens_details": {
            "accepted_prediction_tokens": usage.accepted_tokens,
            "rejected_prediction_tokens": usage.draft_tokens - usage.accepted_tokens,
        },
    }
