"""The arithmetic of BM25, cut in two: what a term weighs in one text, and what it is worth in a collection.

The first is known when the text is indexed and depends on nothing else; it is indexed with the term as one of `LEVELS`
steps. The second needs the statistics of what is searched, and is put in when it is searched. So the score of a text is
the same wherever and beside whatever it is indexed, in one index or in twenty, and no statistics of a source
that somebody may not see can leak into it.

    score = Σ idf(t) · tf / (tf + K1),   tf = Σ over fields: boost · count / (1 - b + b · length / USUAL_LENGTH)

(BM25F: Robertson & Zaragoza 2009, "The Probabilistic Relevance Framework", section 3.6.) USUAL_LENGTH stands where BM25
has the mean length: passages are cut to a size, so it hardly differs, and a mean would change with every edit.
"""

import math
from collections import Counter
from collections.abc import Sequence

K1 = 1.5
B = 0.5
TITLE = 2.0
HEADING = 1.5
USUAL_LENGTH = 120
"""Terms of a passage."""
LEVELS = 32
PARAMETERS = f"{K1} {B} {TITLE} {HEADING} {USUAL_LENGTH} {LEVELS}"
"""What the levels of terms depend on, beside the passage."""
SCALE = 1 << 14
"""Scores are multiples of 1 / SCALE: whole numbers of it are added without rounding, in whichever order."""


def levels(title: Sequence[str], heading: Sequence[str], text: Sequence[str]) -> dict[str, int]:
    """For each term of a passage what it weighs there, 1 to `LEVELS`."""
    length = 1 - B + B * len(text) / USUAL_LENGTH
    frequency = {term: count / length for term, count in Counter(text).items()}
    for terms, boost in ((title, TITLE), (heading, HEADING)):
        for term in terms:
            frequency[term] = frequency.get(term, 0.0) + boost
    return {term: max(1, round(LEVELS * tf / (tf + K1))) for term, tf in frequency.items()}


def inverse_document_frequency(frequency: int, *, of: int) -> float:
    """ln(1 + (N - n + 0.5) / (n + 0.5)): Robertson & Zaragoza's, kept positive."""
    return math.log(1 + (of - frequency + 0.5) / (frequency + 0.5))


def weight(idf: float, level: int) -> float:
    """What a term of this level adds to the score."""
    return round(idf * level / LEVELS * SCALE) / SCALE
