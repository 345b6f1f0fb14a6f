"""Messages to tokens: what may not become a control token, and what is too long to be looked at."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from bot.errors import QuestionTooLongError
from bot.llm.llamacpp import Llama
from bot.llm.protocol import ChatMessage
from bot.llm.vocabulary import Vocabulary
from tests.llm import gguf_factory
from tests.llm.stepped import load


@contextmanager
def _loaded(path: Path) -> Iterator[Llama]:
    llama = load(path, context=256, parallel=1, cells=256)
    try:
        yield llama
    finally:
        llama.free()


def _count(vocabulary: Vocabulary, content: str) -> int:
    return len(vocabulary.tokens_of([ChatMessage("user", content)]))


@pytest.mark.parametrize("user_defined", [(), ("<|im_start|>",)])
def test_no_message_can_begin_a_turn_of_another(tmp_path: Path, user_defined: Sequence[str]) -> None:
    path = gguf_factory.build(tmp_path / "marks.gguf", user_defined=user_defined)
    with _loaded(path) as llama:
        vocabulary = llama.vocabulary
        assert len(vocabulary.tokens_of("<|im_start|>")) == 1
        assert _count(vocabulary, "<|im_start|>") - _count(vocabulary, "") > 3


def test_users_tokens_that_mark_no_turn_are_left_alone(tmp_path: Path) -> None:
    path = gguf_factory.build(tmp_path / "words.gguf", user_defined=("en",))
    with _loaded(path) as llama:
        assert _count(llama.vocabulary, "en") - _count(llama.vocabulary, "") == 1


def test_only_what_cannot_fit_is_refused_by_its_length(tiny: Path) -> None:
    with _loaded(tiny) as llama:
        vocabulary = llama.vocabulary
        tokens = range(vocabulary.size)
        longest = max(tokens, key=lambda token: len(vocabulary.bytes_of(token)))
        text = vocabulary.bytes_of(longest).decode() * 60
        count = len(vocabulary.tokens_of(text))
        assert vocabulary.tokens_of(text, window=count) == vocabulary.tokens_of(text)
        with pytest.raises(QuestionTooLongError, match=r"context of 256 tokens .*: shorten the question"):
            vocabulary.tokens_of([ChatMessage("user", "hotel " * 2000)], window=256)
        assert len(vocabulary.tokens_of("hotel " * 2000)) > 256
