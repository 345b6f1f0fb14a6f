"""Prompt lookup: guess the next tokens of an answer from where the same words stood before.

Answers copy from the retrieved text. Where the last tokens of an answer occurred earlier, in the prompt or in
the answer itself, the tokens that followed there are a guess, which the model verifies in one step. Whether a
guess comes true is counted all the time, also while none is submitted to the model, so that drafting begins
where it pays and ends where it does not. After A. Saxena, "Prompt lookup decoding", 2023.

Pure; it changes which tokens are verified together, never which are chosen.
"""

from collections.abc import Sequence

NGRAM = 3
"""Tokens that have to agree before a guess is made."""
MAX_DRAFT = 8

_TIERS = (NGRAM, NGRAM + 2, NGRAM + 6)  # tokens that agreed; the longer the copy, the likelier it goes on
_EXPECTED = (0.5, 0.7, 0.85)
_WEIGHT = 4.0  # observations that the expectation counts for
_FADING = 0.95  # of what was observed, with each new observation


class Lookup:
    """The guesses for one sequence."""

    def __init__(self, tokens: Sequence[int]) -> None:
        self._tokens = list(tokens)
        self._after: dict[tuple[int, ...], int] = {}  # n-gram: where its last occurrence ended
        self._next: int | None = None
        """Where the token stands that is expected next."""
        self._agreed = 0
        self._hits = [expected * _WEIGHT for expected in _EXPECTED]
        self._trials = [_WEIGHT] * len(_EXPECTED)
        for end in range(NGRAM, len(self._tokens)):
            self._after[tuple(self._tokens[end - NGRAM : end])] = end
        self._find()

    def append(self, token: int) -> None:
        """A token was added to the sequence: the guess, if there was one, came true or did not."""
        if self._next is not None:
            hit = self._tokens[self._next] == token
            tier = _tier(self._agreed)
            self._hits[tier] = self._hits[tier] * _FADING + hit
            self._trials[tier] = self._trials[tier] * _FADING + 1
            self._next = self._next + 1 if hit else None
            self._agreed += hit
        self._tokens.append(token)
        self._find()

    def propose(self, limit: int, *, price: float = 0.0) -> list[int]:
        """The tokens expected next, at most `limit`: as many as are likelier to come true than `price`.

        Args:
            limit: tokens.
            price: what one more token in a step costs, as a share of what a token costs now (see
                `bot.llm.pace`). 0 proposes all that is known.
        """
        if self._next is None:
            return []
        likelihood, count = 1.0, 0
        for agreed in range(self._agreed, self._agreed + min(limit, MAX_DRAFT)):
            tier = _tier(agreed)
            likelihood *= self._hits[tier] / self._trials[tier]
            if likelihood <= price:
                break
            count += 1
        return self._tokens[self._next : self._next + count]

    def _find(self) -> None:
        """Note the last n-gram, and look up where it stood before unless a copy is being followed."""
        end = len(self._tokens)
        if end < NGRAM:
            return
        ngram = tuple(self._tokens[end - NGRAM :])
        if self._next is None:
            self._next, self._agreed = self._after.get(ngram), NGRAM
        self._after[ngram] = end


def _tier(agreed: int) -> int:
    return sum(agreed >= least for least in _TIERS[1:])
