"""Any order of requests, cancellations and evictions gives the answers of a fresh context."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.llm import cache as cache_module
from bot.llm.context import NO_ROOM, State
from bot.llm.generation import TokenLogprob
from bot.llm.llamacpp import Llama
from bot.llm.pace import Pace
from tests.llm import gguf_factory, odd_models
from tests.llm.stepped import CLEAR, Eager, Heard, Stepped, load, repetitive

CONTEXT = 256
CELLS = 512

WORDS = [
    "The hotel limit is ",
    "one hundred euros. ",
    "Who approves? ",
    "Breakfast ",
    "Expenses are paid back ",
]
PROMPTS = st.lists(st.sampled_from(WORDS), min_size=1, max_size=25).map("".join)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module", params=["chaotic", "repetitive", "sliding", "recurrent"])
def model(request: pytest.FixtureRequest, folder: Path, tiny: Path) -> Path:
    path = folder / f"{request.param}.gguf"
    match request.param:
        case "repetitive":
            return repetitive(gguf_factory.build(path, context=4096))
        case "sliding":
            return odd_models.sliding(tiny, path)
        case "recurrent":
            return odd_models.recurrent(tiny, path)
        case _:
            return tiny


@pytest.fixture(scope="module")
def any_llama(model: Path) -> Iterator[Llama]:
    loaded = load(model, context=CONTEXT, parallel=3, cells=CELLS)
    yield loaded
    loaded.free()


@pytest.fixture(scope="module")
def fresh(model: Path) -> Iterator[Llama]:
    loaded = load(model, context=CONTEXT, parallel=1, cells=CONTEXT)
    yield loaded
    loaded.free()


@pytest.fixture(scope="module")
def llama(tiny: Path) -> Iterator[Llama]:
    loaded = load(tiny, context=CONTEXT, parallel=3, cells=CELLS)
    yield loaded
    loaded.free()


class Reference:
    """What a model says that never had another request, token by token."""

    def __init__(self, llama: Llama) -> None:
        self.answer = cache(lambda prompt, most: self._answer(llama, prompt, most))

    @staticmethod
    def _answer(llama: Llama, prompt: str, most: int) -> list[TokenLogprob]:
        alone = Stepped.over(llama, speculation=False)
        heard = alone.ask(prompt, max_tokens=most)
        alone.finish()
        return heard.tokens


@pytest.fixture(scope="module")
def reference(fresh: Llama) -> Reference:
    return Reference(fresh)


def _same(heard: Heard, expected: list[TokenLogprob], *, complete: bool = True) -> None:
    """Equal up to the first token whose lead was too small to be certain (see `CLEAR`)."""
    said = heard.tokens
    for at, token in enumerate(expected):
        (_, first, _), (_, second, _) = token.top
        if first - second < CLEAR:
            return
        if at == len(said):
            assert not complete
            return
        assert said[at].bytes == token.bytes
        assert abs(said[at].logprob - token.logprob) < CLEAR
    assert len(said) == len(expected)


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), PROMPTS, st.integers(1, 40)),
        st.tuples(st.just("step"), st.integers(1, 30)),
        st.tuples(st.just("cancel"), st.integers(0, 20)),
        st.tuples(st.just("evict")),
    ),
    min_size=1,
    max_size=20,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    actions=ACTIONS,
    eager=st.booleans(),
    slice_tokens=st.sampled_from([0, 7, 64]),
    copies_bytes=st.sampled_from([0, 50_000, 10_000_000]),
    idle_cells=st.sampled_from([0, CELLS]),
    block=st.sampled_from([1, 64]),
)
def test_everybody_is_answered_as_if_alone(
    any_llama: Llama,
    reference: Reference,
    actions: list[tuple[Any, ...]],
    eager: bool,
    slice_tokens: int,
    copies_bytes: int,
    idle_cells: int,
    block: int,
) -> None:
    any_llama.copies_bytes, any_llama.idle_cells, any_llama.block = copies_bytes, idle_cells, block
    here = Stepped.over(any_llama, slice_tokens=slice_tokens, pace=Eager() if eager else Pace())
    prompts = []
    for action in actions:
        match action:
            case ("ask", prompt, most):
                here.ask(prompt, max_tokens=most)
                prompts.append((prompt, most))
            case ("step", count):
                for _ in range(count):
                    here.batcher.step()
                    here.agrees_with_memory()
            case ("cancel", which) if here.asked:
                here.asked[which % len(here.asked)].close()
            case ("evict",):
                here.batcher.cache.evict()
    here.finish()
    here.agrees_with_memory()
    if not any_llama.whole:
        assert here.free_cells() == CELLS - here.batcher.stats().cells_used
    for heard, (prompt, most) in zip(here.asked, prompts, strict=True):
        assert heard.error is None
        _same(heard, reference.answer(prompt, most), complete=not heard.cancelled)


@pytest.fixture(scope="module")
def alone(tiny: Path) -> Iterator[Reference]:
    loaded = load(tiny, context=CONTEXT, parallel=1, cells=CONTEXT)
    yield Reference(loaded)
    loaded.free()


LONG = "Expenses are paid back with the salary of the next month. " * 6
SHORT = "Who approves?"


def test_prompts_are_read_one_after_the_other(llama: Llama) -> None:
    here = Stepped.over(llama, slice_tokens=16)
    first = here.ask("Breakfast " + LONG)
    second = here.ask("Receipts " + LONG)
    while not first.pieces:
        assert not second.pieces
        here.batcher.step()
    here.finish()
    assert second.ended


def test_a_slow_machine_reads_a_prompt_in_short_steps_though_nobody_writes(llama: Llama) -> None:
    pace = Pace()
    pace.read(tokens=128, seconds=60.0, beside=False)
    here = Stepped.over(llama, pace=pace)
    heard = here.ask(LONG + LONG)
    here.batcher.step()
    assert 0 < llama.context.batch.tokens < 128
    assert not heard.pieces
    here.finish()
    assert heard.pieces


@pytest.mark.parametrize("tokens", [70, 130, 200])
def test_no_part_of_a_block_is_left_for_the_end(llama: Llama, tokens: int) -> None:
    """Where attention has most to look at, and a step with less than a block is slower than one with a whole."""
    here = Stepped.over(llama, slice_tokens=64, speculation=False)
    here.ask(SHORT, max_tokens=60)
    here.batcher.step()
    text = f"Breakfast {LONG}{LONG}".split(" ")
    prompt = next(
        " ".join(text[:n])
        for n in range(1, len(text))
        if len(llama.vocabulary.tokens_of(" ".join(text[:n]))) >= tokens
    )
    reading = here.ask(prompt)
    sizes = []
    while not reading.pieces:
        here.batcher.step()
        sizes.append(llama.context.batch.tokens)
    assert sum(sizes) >= tokens
    assert all(64 <= size < 128 for size in sizes)
    assert set(sizes[1:]) <= {64}


def test_a_short_follow_up_far_down_in_a_thread_reads_a_whole_block(
    llama: Llama, alone: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module, "_DEEP", 50)
    here = Stepped.over(llama)
    here.ask(LONG)
    here.finish()
    for more in ("And in Paris? " * 4, "Who approves? " * 10):
        prompt = LONG + more
        new = len(llama.vocabulary.tokens_of(prompt)) - len(llama.vocabulary.tokens_of(LONG))
        assert 32 < new < 64
        heard = here.ask(prompt)
        here.finish()
        usage = heard.pieces[-1].usage
        assert usage
        assert usage.prompt_tokens - usage.cached_tokens == 64
        _same(heard, alone.answer(prompt, 12))


def test_an_answer_is_written_on_while_a_prompt_is_read(llama: Llama) -> None:
    here = Stepped.over(llama, slice_tokens=16, speculation=False)
    streaming = here.ask(SHORT, max_tokens=60)
    here.batcher.step()
    reading = here.ask(LONG)
    steps = 0
    while not reading.pieces:
        before = len(streaming.tokens)
        here.batcher.step()
        assert len(streaming.tokens) == before + 1
        assert here.llama.context.batch.tokens <= 16
        steps += 1
    assert steps > len(here.llama.vocabulary.tokens_of(LONG)) // 16 - 1


def test_a_prompt_waits_for_another_that_has_the_same_beginning(llama: Llama) -> None:
    here = Stepped.over(llama)
    asked = [here.ask(LONG + end) for end in ("One.", "Two.", "Three.")]
    here.finish()
    cached = [heard.pieces[-1].usage.cached_tokens for heard in asked if heard.pieces[-1].usage]
    assert cached[0] == 0
    assert min(cached[1:]) >= len(here.llama.vocabulary.tokens_of(LONG)) - 2


def test_who_ran_before_leaves_the_cache_to_those_who_run(llama: Llama) -> None:
    """And comes back, with every token."""
    here = Stepped.over(llama)
    prompts = [f"{word} {LONG}" for word in ("One", "Two", "Three")]
    for prompt in prompts:
        here.ask(prompt, max_tokens=4)
        here.finish()
        assert here.batcher.cache.tree.kept == 1  # what ran last stays until others come
        here.agrees_with_memory()
    assert here.batcher.stats().cached_sequences == 3
    again = [here.ask(prompt, max_tokens=4) for prompt in prompts]
    while not all(heard.ended for heard in again):
        here.batcher.step()
        here.agrees_with_memory()
        assert not here.batcher.cache.tree.kept or not here.batcher.running
    for heard, prompt in zip(again, prompts, strict=True):
        usage = heard.pieces[-1].usage
        assert usage
        assert usage.cached_tokens == len(here.llama.vocabulary.tokens_of(prompt)) - 1


def test_without_memory_for_copies_what_leaves_the_cache_is_read_again(
    llama: Llama, alone: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(llama, "copies_bytes", 0)
    here = Stepped.over(llama)
    for prompt in ("One " + LONG, "Two " + LONG, "One " + LONG):
        heard = here.ask(prompt)
        here.finish()
        _same(heard, alone.answer(prompt, 12))
    usage = heard.pieces[-1].usage
    assert usage
    assert usage.cached_tokens < 8


def test_where_a_copy_cannot_be_pasted_what_is_shared_stays_shared(
    llama: Llama, alone: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = Stepped.over(llama)
    longer = LONG + "Breakfast is not. " * 8
    for prompt in (longer, "Two " + LONG):
        here.ask(prompt)
        here.finish()
    running = here.ask(LONG, max_tokens=100)
    here.batcher.step()
    tried: list[int] = []

    def paste(sequence: int, data: State) -> bool:
        tried.append(sequence)
        return False

    monkeypatch.setattr(llama.context, "paste", paste)
    heard = here.ask(longer)
    tokens, shared = llama.vocabulary.tokens_of(longer), len(llama.vocabulary.tokens_of(LONG))
    assert here.batcher.cache.copies.common(tokens) > shared + 16
    while not tried:
        here.batcher.step()
    here.agrees_with_memory()
    assert here.batcher.cache.copies.common(tokens) <= shared  # what cannot be pasted is not tried again
    running.close()
    here.finish()
    usage = heard.pieces[-1].usage
    assert usage
    assert usage.cached_tokens >= shared - 1
    _same(heard, alone.answer(longer, 12))


def test_of_a_copy_only_the_beginning_may_be_of_use(llama: Llama, alone: Reference) -> None:
    here = Stepped.over(llama)
    for prompt in (LONG + "One more question", "Two " + LONG):
        here.ask(prompt)
        here.finish()
    heard = here.ask(LONG + SHORT)
    here.finish()
    usage = heard.pieces[-1].usage
    assert usage
    assert usage.cached_tokens >= len(llama.vocabulary.tokens_of(LONG)) - 1
    _same(heard, alone.answer(LONG + SHORT, 12))


def test_who_does_not_fit_waits_and_nobody_fails(llama: Llama) -> None:
    here = Stepped.over(llama)
    asked = [here.ask(f"{word} {LONG}", max_tokens=None) for word in ("One", "Two", "Three", "Four")]
    most = 0
    while here.line.first() or here.batcher.running:
        here.batcher.step()
        most = max(most, here.batcher.running)
        assert here.batcher.stats().cells_used <= CELLS
    assert most == 2  # of 256 tokens each, in 512 cells
    for heard in asked:
        assert heard.error is None
        assert heard.pieces[-1].finish_reason == "length"
        assert heard.pieces[-1].usage is not None
        assert heard.pieces[-1].usage.prompt_tokens + heard.pieces[-1].usage.completion_tokens == CONTEXT


def test_a_follow_up_reads_only_what_is_new(llama: Llama) -> None:
    here = Stepped.over(llama)
    first = here.ask(LONG)
    here.finish()
    tokens = len(here.llama.vocabulary.tokens_of(LONG))
    again = here.ask(LONG + first.text + " And in Paris?")
    here.finish()
    usage = again.pieces[-1].usage
    assert usage is not None
    assert usage.cached_tokens > tokens


def test_cancelling_frees_the_place_with_the_next_step(llama: Llama) -> None:
    here = Stepped.over(llama)
    asked = [here.ask(f"{n} {SHORT}", max_tokens=100) for n in range(4)]
    while here.batcher.running < 3:
        here.batcher.step()
    assert asked[3].position == 1
    asked[1].close()
    here.batcher.step()
    assert asked[1].ended
    assert asked[3].position == 0
    asked[0].close()
    asked[2].close()
    asked[3].close()
    here.finish()


@pytest.mark.parametrize("code", [-3, 2])
def test_when_llama_cpp_fails_everybody_is_told_and_the_next_is_served(
    llama: Llama, alone: Reference, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    here = Stepped.over(llama)
    lost = [here.ask(LONG), here.ask(SHORT)]
    here.batcher.step()
    with monkeypatch.context() as broken:
        broken.setattr(llama.context, "decode", lambda: code)
        here.batcher.step()
    assert all("could not compute" in str(heard.error) for heard in lost if heard.error)
    assert any(heard.error for heard in lost)
    assert here.batcher.running == 0
    here.agrees_with_memory()
    heard = here.ask(LONG)
    here.finish()
    _same(heard, alone.answer(LONG, 12))


def test_when_llama_cpp_has_no_room_what_is_kept_goes_first(
    llama: Llama, alone: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(llama, "idle_cells", CELLS)  # as on a GPU
    here = Stepped.over(llama)
    for kept in (LONG, SHORT):
        here.ask(kept)
        here.finish()
    heard = here.ask("Breakfast")
    real, refused = llama.context.decode, [NO_ROOM] * 2
    monkeypatch.setattr(llama.context, "decode", lambda: refused.pop() if refused else real())
    here.finish()
    assert here.batcher.cache.tree.kept == 1
    _same(heard, alone.answer("Breakfast", 12))


def test_when_there_is_no_room_at_all_the_last_one_goes(
    llama: Llama, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = Stepped.over(llama)
    first = here.ask(SHORT, max_tokens=None)
    here.batcher.step()
    last = here.ask(LONG)
    here.batcher.step()
    real, refused = llama.context.decode, [NO_ROOM]
    monkeypatch.setattr(llama.context, "decode", lambda: refused.pop() if refused else real())
    here.batcher.step()
    assert "memory is full" in str(last.error)
    assert first.error is None
    here.agrees_with_memory()
    here.finish()
    assert first.pieces[-1].finish_reason == "length"


def test_a_model_that_cannot_drop_the_end_of_a_sequence_uses_whole_ones(
    llama: Llama, alone: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(llama, "whole", True)
    here = Stepped.over(llama, pace=Eager())
    prompts = [LONG + "One.", LONG + "Two.", LONG + "Three."]
    asked = []
    for prompt in prompts:
        asked.append(here.ask(prompt))
        here.finish()
        here.agrees_with_memory()
    usages = [heard.pieces[-1].usage for heard in asked]
    shared = len(here.llama.vocabulary.tokens_of(LONG))
    # The second one leaves a mark where it leaves the first; the third begins there.
    assert [usage.cached_tokens >= shared - 2 for usage in usages if usage] == [False, False, True]
    assert [usage.draft_tokens for usage in usages if usage] == [0, 0, 0]
    for heard, prompt in zip(asked, prompts, strict=True):
        _same(heard, alone.answer(prompt, 12))
