"""The tree against the simplest thing that could keep the same books: a list of tokens for each sequence."""

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bot.llm.prefix import Match, PrefixTree

TOKENS = st.lists(st.integers(1, 3), max_size=8)


def _common(a: list[int], b: list[int]) -> int:
    return next((n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


class Books(RuleBasedStateMachine):
    """Sequences come, grow, become idle and go, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.tree = PrefixTree()
        self.held: dict[int, list[int]] = {}
        self.idle: set[int] = set()
        self.next = 0

    @rule(tokens=TOKENS)
    def start(self, tokens: list[int]) -> None:
        match = self.tree.match(tokens)
        longest = max((_common(tokens, held) for held in self.held.values()), default=0)
        assert (match.length if match else 0) == self.tree.common(tokens) == longest
        if match:
            assert self.held[match.sequence][:longest] == tokens[:longest]
        self.tree.start(self.next, match)
        self.held[self.next] = tokens[:longest]
        self.next += 1

    @precondition(lambda self: self.held.keys() - self.idle)
    @rule(data=st.data(), tokens=TOKENS)
    def extend(self, data: st.DataObject, tokens: list[int]) -> None:
        sequence = data.draw(st.sampled_from(sorted(self.held.keys() - self.idle)))
        before = self.held[sequence]
        after = before + tokens
        others = [held for other, held in self.held.items() if other != sequence]
        shared = max((_common(after, held) for held in others if held[: len(before)] == before), default=0)
        overlap = self.tree.extend(sequence, tokens)
        self.held[sequence] = after
        if shared <= len(before):
            assert overlap is None
        else:
            assert overlap is not None
            assert (overlap.start, overlap.end) == (len(before), shared)
            assert self.held[overlap.holder][:shared] == after[:shared]

    @precondition(lambda self: self.held.keys() - self.idle)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        sequence = data.draw(st.sampled_from(sorted(self.held.keys() - self.idle)))
        self.idle.add(sequence)
        for spare in self.tree.release(sequence):
            tokens = self.held.pop(spare)
            assert spare in self.idle
            assert not tokens or any(held[: len(tokens)] == tokens for held in self.held.values())
            self.idle.discard(spare)

    @precondition(lambda self: self.idle)
    @rule()
    def evict(self) -> None:
        oldest = self.tree.oldest()
        assert oldest in self.idle
        self.tree.drop(oldest)
        self.idle.discard(oldest)
        del self.held[oldest]

    @invariant()
    def nothing_is_lost_or_counted_twice(self) -> None:
        for sequence, tokens in self.held.items():
            assert self.tree.tokens(sequence) == tokens
            assert self.tree.length(sequence) == len(tokens)
        assert set(self.tree.idle) == self.idle
        assert self.tree.kept == len(self.idle)
        assert self.tree.cells == _cells(self.held.values()) == self.tree.held(self.held)
        running = self.held.keys() - self.idle
        assert self.tree.held(running) == _cells(self.held[sequence] for sequence in running)


def _cells(sequences: object) -> int:
    return len({tuple(tokens[:n]) for tokens in sequences for n in range(1, len(tokens) + 1)})  # type: ignore[attr-defined]


TestBooks = Books.TestCase


def _kept(tree: PrefixTree, sequence: int, tokens: list[int]) -> None:
    tree.start(sequence, tree.match(tokens))
    tree.extend(sequence, tokens[tree.length(sequence) :])
    tree.release(sequence)


def test_what_was_used_longest_ago_goes_first() -> None:
    tree = PrefixTree()
    _kept(tree, 0, [1, 1])
    _kept(tree, 1, [2, 2])
    tree.start(2, tree.match([1, 1, 5]))
    assert tree.oldest() == 1


def test_the_longer_of_two_replaces_the_shorter() -> None:
    tree = PrefixTree()
    _kept(tree, 0, [1, 2])
    _kept(tree, 1, [1, 2, 3])
    assert tree.idle == [1]
    _kept(tree, 2, [1, 2])
    assert tree.idle == [1]


@given(st.lists(TOKENS, max_size=6), TOKENS)
def test_recurrent_models_use_only_what_ended_there(kept: list[list[int]], prompt: list[int]) -> None:
    tree = PrefixTree(whole=True)
    for sequence, tokens in enumerate(kept):
        tree.start(sequence, tree.match(tokens))
        tree.extend(sequence, tokens[tree.length(sequence) :])
        tree.release(sequence)
    fitting = [len(tokens) for tokens in kept if tokens and prompt[: len(tokens)] == tokens]
    match = tree.match(prompt)
    assert (match.length if match else 0) == max(fitting, default=0)
    if match:
        assert kept[match.sequence] == prompt[: match.length]


def test_recurrent_models_do_not_share_what_is_still_running() -> None:
    tree = PrefixTree(whole=True)
    tree.start(0)
    tree.extend(0, [1, 2])
    assert tree.match([1, 2, 3]) is None
    tree.release(0)
    assert tree.match([1, 2, 3]) == Match(0, 2)
