"""The way without a server of one's own: llama-cpp-python's `Llama` with a lock around it.

Run by `benchmarks.model_server` as a process of its own; it has no HTTP to pay for. Prints the figures as JSON.
"""

import argparse
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from benchmarks.model_server.words import text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--people", type=int, required=True)
    parser.add_argument("--prompt", type=int, required=True, help="words")
    parser.add_argument("--tokens", type=int, required=True)
    parser.add_argument("--context", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--gpu-layers", type=int, required=True)
    given = parser.parse_args()

    from llama_cpp import Llama

    llama = Llama(
        str(given.model),
        n_ctx=given.context,
        n_threads=given.threads,
        n_threads_batch=given.threads,
        n_gpu_layers=given.gpu_layers,
        verbose=False,
    )
    lock = threading.Lock()
    spent = []
    """Tokens after the first, and the seconds they took, for each person."""

    def stream(prompt: str, tokens: int) -> Iterator[str]:
        events = llama.create_completion(prompt, max_tokens=tokens, temperature=0, stream=True)
        for event in cast("Iterator[dict[str, Any]]", events):
            yield event["choices"][0]["text"]

    def ask(person: int) -> None:
        prompt = text(given.prompt, seed=f"short {person}")
        with lock:
            arrivals = [time.perf_counter() for written in stream(prompt, given.tokens) if written]
        spent.append((len(arrivals) - 1, arrivals[-1] - arrivals[0]))

    list(stream(text(given.prompt, seed="warm-up"), 4))
    people = [threading.Thread(target=ask, args=(person,)) for person in range(given.people)]
    for person in people:
        person.start()
    for person in people:
        person.join()
    print(json.dumps({"tokens": sum(n for n, _ in spent), "seconds": sum(s for _, s in spent)}))


if __name__ == "__main__":
    main()
