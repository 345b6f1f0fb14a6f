"""A prefix tree over sequences: which tokens lie in the key-value cache, and which sequences hold them.

llama.cpp keeps a set of sequence numbers with each cell of its unified cache, so that sequences with the same
beginning can share its cells. The tree keeps the same books: an edge holds tokens, a node the sequences whose
way leads through it. Equal beginnings are stored once, in both; where a sequence comes to hold tokens that
another has as well, the tree says so and the caller lets them share the cells (`Overlap`).

Pure: it never calls llama.cpp. A sequence is *running* until it is released; then it is kept for requests to
come, until `oldest` names it for eviction.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Match:
    """The longest beginning that is there: `length` tokens, all of them held by `sequence`."""

    sequence: int
    length: int


@dataclass(frozen=True, slots=True)
class Overlap:
    """Tokens from `start` up to `end` that `holder` has as well, in cells of its own."""

    holder: int
    start: int
    end: int


class _Node:
    __slots__ = ("children", "holders", "parent", "tokens")

    def __init__(self, tokens: list[int], parent: "_Node | None", holders: Iterable[int] = ()) -> None:
        self.tokens = tokens
        self.parent = parent
        self.children: dict[int, _Node] = {}
        self.holders = set(holders)


class PrefixTree:
    """The books of one cache."""

    def __init__(self, *, whole: bool = False) -> None:
        """
        Args:
            whole: sequences can only be used whole, and only when idle: the memory of recurrent models has
                one state, that of the end. Then `match` finds nothing else, and nothing is thrown away for
                being the beginning of something longer.
        """
        self._whole = whole
        self._root = _Node([], None)
        self._end: dict[int, _Node] = {}
        self._length: dict[int, int] = {}
        self._idle: dict[int, None] = {}  # in the order of their last use
        self.cells = 0
        """Tokens in the tree, shared ones counted once."""

    def __contains__(self, sequence: int) -> bool:
        return sequence in self._end

    @property
    def idle(self) -> list[int]:
        """Sequences kept for later, the least recently used first."""
        return list(self._idle)

    @property
    def running(self) -> list[int]:
        """The sequences that are not kept for later, but in use."""
        return [sequence for sequence in self._end if sequence not in self._idle]

    @property
    def kept(self) -> int:
        """How many sequences are idle."""
        return len(self._idle)

    def length(self, sequence: int) -> int:
        """Tokens that the sequence holds."""
        return self._length[sequence]

    def tokens(self, sequence: int) -> list[int]:
        """What the sequence holds, from the beginning."""
        edges = []
        node: _Node | None = self._end[sequence]
        while node is not None:
            edges.append(node.tokens)
            node = node.parent
        return [token for edge in reversed(edges) for token in edge]

    def match(self, tokens: Sequence[int]) -> Match | None:
        """The longest beginning of `tokens` that a sequence holds; None when not even the first token is."""
        node, at, best = self._root, 0, None
        while at < len(tokens) and (child := node.children.get(tokens[at])):
            common = _common(child.tokens, tokens, at)
            at += common
            if not self._whole:
                best = Match(next(iter(child.holders)), at)
            elif common == len(child.tokens):
                ending = next((s for s in child.holders if self._end[s] is child and s in self._idle), None)
                best = best if ending is None else Match(ending, at)
            if common < len(child.tokens):
                break
            node = child
        return best

    def common(self, tokens: Sequence[int]) -> int:
        """Length of the longest beginning that is there, whether or not it can be used."""
        node, at = self._root, 0
        while at < len(tokens) and (child := node.children.get(tokens[at])):
            common = _common(child.tokens, tokens, at)
            at += common
            if common < len(child.tokens):
                break
            node = child
        return at

    def start(self, sequence: int, match: Match | None = None) -> None:
        """A new running sequence: empty, or holding what was matched together with its other holders."""
        if sequence in self._end:
            raise ValueError(f"sequence {sequence} is in use")
        if match is None:
            self._end[sequence], self._length[sequence] = self._root, 0
            return
        node = self._node_at(match.sequence, match.length)
        if len(node.holders) == 1:  # what many hold needs no favour
            self._touch(match.sequence)
        self._end[sequence], self._length[sequence] = node, match.length
        while node.parent is not None:
            node.holders.add(sequence)
            node = node.parent

    def extend(self, sequence: int, tokens: Sequence[int]) -> Overlap | None:
        """Note tokens that were evaluated behind the sequence's end; the part that others held before it."""
        node, start, at = self._end[sequence], self._length[sequence], 0
        holder = None
        while at < len(tokens) and (child := node.children.get(tokens[at])):
            common = _common(child.tokens, tokens, at)
            node = child if common == len(child.tokens) else self._split(child, common)
            holder = next(iter(node.holders))
            node.holders.add(sequence)
            at += common
        if rest := list(tokens[at:]):
            self.cells += len(rest)
            if node.holders == {sequence} and not node.children:
                node.tokens += rest
            else:
                node.children[rest[0]] = node = _Node(rest, node, (sequence,))
        self._end[sequence], self._length[sequence] = node, start + len(tokens)
        return None if holder is None else Overlap(holder, start, start + at)

    def release(self, sequence: int) -> list[int]:
        """Keep a running sequence for later; the idle ones that add nothing now, itself perhaps.

        Those are dropped here; the caller removes them from the cache.
        """
        self._idle[sequence] = None
        end = self._end[sequence]
        same = {s for s in end.holders if s != sequence}
        if self._whole:
            same = {s for s in same if self._end[s] is end and s in self._idle}
        if same or end is self._root:
            for other in same:
                self._touch(other)
            spare = [sequence]
        elif self._whole:
            spare = []
        else:
            spare = [s for s in self._idle if s != sequence and sequence in self._end[s].holders]
        for other in spare:
            self.drop(other)
        return spare

    def drop(self, sequence: int) -> None:
        """Forget a sequence; tokens that nobody else holds leave the tree."""
        node = self._end.pop(sequence)
        del self._length[sequence]
        self._idle.pop(sequence, None)
        while (parent := node.parent) is not None:
            node.holders.discard(sequence)
            if not node.holders:
                del parent.children[node.tokens[0]]
                self.cells -= len(node.tokens)
            node = parent

    def oldest(self) -> int | None:
        """The idle sequence that was used longest ago: the next to evict."""
        return next(iter(self._idle), None)

    def held(self, sequences: Iterable[int]) -> int:
        """Cells that these sequences hold between them."""
        cells, seen = 0, set()
        for sequence in sequences:
            node = self._end[sequence]
            while node.parent is not None and id(node) not in seen:
                seen.add(id(node))
                cells += len(node.tokens)
                node = node.parent
        return cells

    def _touch(self, sequence: int) -> None:
        if sequence in self._idle:
            del self._idle[sequence]
            self._idle[sequence] = None

    def _node_at(self, sequence: int, length: int) -> _Node:
        """The node in which the first `length` tokens of a sequence end, made where there is none."""
        node, after = self._end[sequence], self._length[sequence]
        while after - len(node.tokens) >= length and node.parent is not None:
            after -= len(node.tokens)
            node = node.parent
        return node if after == length else self._split(node, len(node.tokens) - (after - length))

    def _split(self, node: _Node, at: int) -> _Node:
        """Cut an edge in two; the new upper node."""
        parent = node.parent
        if parent is None:
            raise ValueError("the root has no edge")
        upper = _Node(node.tokens[:at], parent, node.holders)
        parent.children[upper.tokens[0]] = upper
        node.tokens, node.parent = node.tokens[at:], upper
        upper.children[node.tokens[0]] = node
        return upper


def _common(edge: Sequence[int], tokens: Sequence[int], start: int) -> int:
    """Length of the common beginning of an edge and of `tokens` from `start` on."""
    longest = min(len(edge), len(tokens) - start)
    if edge[:longest] == tokens[start : start + longest]:  # at once, which is much faster
        return longest
    return next((n for n in range(longest) if edge[n] != tokens[start + n]), longest)
