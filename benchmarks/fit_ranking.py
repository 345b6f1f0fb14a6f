"""Fit the weights of `bot.ranking` and `bot.relevance`, and print them with what they achieve.

    python -m benchmarks.fit_ranking [--squad FILE] [--questions 1190]

Uses the development half of the example handbook's questions and, when given, a reading-comprehension set in
SQuAD's form (paragraphs with questions and answer spans; the shipped weights used XQuAD's English part), so that
the weights belong to no one company. For ranking, a statement that holds the answer should score above those that
do not (logistic regression on differences). For relevance, every answerable question is also asked with its
passage hidden: that is what a question near the documents, but not answered by them, looks like.

Nothing is written; weights that are better go into the two modules by hand, with an entry in docs/experiments.md.
"""

import argparse
import json
import os
import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console

from bot.config import load_settings
from bot.evidence import Evidence
from bot.followup import leans_on, search_query
from bot.library import Library, open_library
from bot.ranking import StatementFeatures, feature_matrix
from feedback.evaluate import contains, load_questions
from knowledge.documents import Hit
from knowledge.embedding import SentenceTransformerEmbedder, Vectors
from knowledge.lexical import content

ROOT = Path(__file__).resolve().parent.parent
HANDBOOK = ROOT / "examples" / "handbook"
TOP_K = 8
SQUAD_SHARE = 1.0
"""Weight of all SQuAD questions together against the handbook's."""
CONSOLE = Console()

Matrix = npt.NDArray[np.float64]


class Remembering(SentenceTransformerEmbedder):
    """The starter model, each text embedded once: a paragraph comes up for many questions."""

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[str, Vectors] = {}

    def embed_documents(
        self, texts: Sequence[str], *, on_progress: Callable[[int], None] | None = None
    ) -> Vectors:
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        self._known.update(zip(new, super().embed_documents(new, on_progress=on_progress), strict=True))
        return np.array([self._known[text] for text in texts], dtype=np.float32)


EMBEDDER = Remembering()


@dataclass(frozen=True)
class Case:
    """A question with its statements."""

    group: str
    """`handbook` or `squad`."""
    features: Matrix
    right: npt.NDArray[np.bool_]
    """Statements that hold the answer; none where it is hidden or does not exist."""
    answerable: bool


def case(
    group: str, library: Library, query: str, asked: str, hits: Sequence[Hit], facts: Sequence[str]
) -> Case:
    """The features of what was found; a statement is right when it holds every fact."""
    vocabulary = library.vocabulary_of(library.visible_to_everyone)
    evidence = Evidence(query, hits, embedder=EMBEDDER, vocabulary=vocabulary, asked=asked)
    right = [
        bool(facts) and all(contains(s.unit.display, fact) for fact in facts) for s in evidence.statements
    ]
    return Case(group, feature_matrix(evidence), np.array(right, dtype=bool), any(right))


def both_ways(
    group: str, library: Library, query: str, asked: str, facts: Sequence[str], documents: Sequence[str]
) -> Iterator[Case]:
    """The question as it is, and once more with the passages that answer it hidden."""
    found = library.search(query, sources=library.visible_to_everyone, top_k=3 * TOP_K)
    yield case(group, library, query, asked, found[:TOP_K], facts)
    if facts:
        hidden = [
            hit
            for hit in found
            if not any(hit.chunk.uri.partition("#")[0].endswith(document) for document in documents)
            or not any(contains(hit.chunk.text, fact) for fact in facts)
        ]
        yield case(group, library, query, asked, hidden[:TOP_K], ())


def handbook_cases(library: Library) -> Iterator[Case]:
    words = library.vocabulary_of(library.visible_to_everyone)
    for question in load_questions(HANDBOOK / "eval.jsonl"):
        if not question.holdout:
            asked = words.corrected(question.question)
            previous = leans_on(
                asked, earlier=question.history, analyse=lambda text: words.analyse(content(text))
            )
            query = search_query(asked, previous)
            yield from both_ways(
                "handbook", library, query, question.question, question.fact, question.documents
            )


def squad_cases(library: Library, file: Path, *, number: int) -> Iterator[Case]:
    questions = [
        (entry["question"], entry["answers"][0]["text"], f"{index}-{n}.md")
        for index, article in enumerate(json.loads(file.read_text(encoding="utf-8"))["data"])
        for n, paragraph in enumerate(article["paragraphs"])
        for entry in paragraph["qas"]
    ]
    for question, answer, document in random.Random(0).sample(questions, min(number, len(questions))):
        yield from both_ways("squad", library, question, question, [answer], [document])


def write_paragraphs(file: Path, folder: Path) -> None:
    """Each paragraph as a document of its own, under its article's title."""
    folder.mkdir()
    for index, article in enumerate(json.loads(file.read_text(encoding="utf-8"))["data"]):
        title = article["title"].replace("_", " ")
        for n, paragraph in enumerate(article["paragraphs"]):
            (folder / f"{index}-{n}.md").write_text(
                f"# {title}\n\n{paragraph['context']}\n", encoding="utf-8"
            )


@contextmanager
def indexed(folder: Path, documents: Path) -> Iterator[Library]:
    """A library of that folder, in a data directory of its own."""
    folder.mkdir()
    file = folder / "parley.toml"
    file.write_text(
        f'[[sources]]\nname = "documents"\npath = {json.dumps(str(documents))}\nexclude = ["eval.jsonl"]\n',
        encoding="utf-8",
    )
    with open_library(load_settings(file, {})) as library:
        library.sync()
        yield library


def fit(
    rows: Matrix, targets: npt.NDArray[np.bool_], weights: Matrix, *, intercept: bool
) -> tuple[Matrix, float]:
    """Weighted logistic regression; coefficients and intercept."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=0.1 if not intercept else 3.0, max_iter=5000, fit_intercept=intercept)
    model.fit(rows, targets, sample_weight=weights / weights.mean())
    return model.coef_[0], float(model.intercept_[0]) if intercept else 0.0


def fit_ranking(cases: Sequence[Case]) -> Matrix:
    """Weights under which right statements outscore wrong ones of the same question."""
    rows, weights = [], []
    for group, share in (("handbook", 1.0), ("squad", SQUAD_SHARE)):
        chosen = [c for c in cases if c.group == group and c.right.any() and not c.right.all()]
        for one in chosen:
            pairs = one.features[one.right][:, None, :] - one.features[~one.right][None, :, :]
            pairs = pairs.reshape(-1, one.features.shape[1])
            rows.append(pairs)
            weights.append(np.full(len(pairs), share / len(chosen) / len(pairs)))
    stacked, weight = np.vstack(rows), np.concatenate(weights)
    targets = np.r_[np.ones(len(stacked), dtype=bool), np.zeros(len(stacked), dtype=bool)]
    return fit(np.vstack([stacked, -stacked]), targets, np.r_[weight, weight], intercept=False)[0]


def report(cases: Sequence[Case], weights: Matrix) -> None:
    """The right statement first, among three, and the two sides of every threshold."""
    scored = [(c, c.features @ weights if len(c.features) else np.zeros(1)) for c in cases]
    for group in sorted({c.group for c in cases}):
        own = [(c, s) for c, s in scored if c.group == group and c.answerable]
        first = sum(bool(c.right[np.argsort(-s)[:1]].any()) for c, s in own)
        three = sum(bool(c.right[np.argsort(-s)[:3]].any()) for c, s in own)
        CONSOLE.print(f"{group}: {len(own)} found, right first {first}, among three {three}")
    best = np.array([[s.max()] for _, s in scored])
    targets = np.array([c.answerable for c, _ in scored])
    shares = {group: sum(c.group == group for c in cases) for group in {c.group for c in cases}}
    weight = np.array([(1.0 if c.group == "handbook" else SQUAD_SHARE) / shares[c.group] for c, _ in scored])
    slope, bias = fit(best, targets, weight, intercept=True)
    CONSOLE.print(f"relevance: BIAS = {bias:.2f}, SLOPE = {slope[0]:.3f}")
    estimate = 1 / (1 + np.exp(-(bias + slope[0] * best[:, 0])))
    for threshold in np.arange(0.15, 0.75, 0.05):
        for group in sorted(shares):
            own_group = np.array([c.group == group for c, _ in scored])
            kept = (estimate[own_group & targets] >= threshold).mean()
            declined = (estimate[own_group & ~targets] < threshold).mean()
            CONSOLE.print(
                f"  {threshold:.2f} {group}: answerable kept {kept:.2f}, others declined {declined:.2f}"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--squad", type=Path, help="a file in SQuAD's form")
    parser.add_argument("--questions", type=int, default=1190, help="of that file")
    args = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    with tempfile.TemporaryDirectory(prefix="parley-fit-") as name:
        folder = Path(name)
        with indexed(folder / "handbook", HANDBOOK) as library:
            cases = list(handbook_cases(library))
        if args.squad:
            write_paragraphs(args.squad, folder / "paragraphs")
            with indexed(folder / "squad", folder / "paragraphs") as library:
                cases += squad_cases(library, args.squad, number=args.questions)
    weights = fit_ranking(cases)
    for field, weight in zip(fields(StatementFeatures), weights, strict=True):
        CONSOLE.print(f"{field.name:>20} {weight:6.2f}")
    report(cases, weights)


if __name__ == "__main__":
    main()
