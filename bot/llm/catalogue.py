"""A short list of instruction-tuned models that suit Parley, as GGUF files on the Hugging Face hub.

All follow instructions in a system message, have a chat template and write no "thinking" before an answer. Sizes are
those of the files; the memory is for one answer in a context of 4096 tokens. Any other file serves as well.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One file that can be had by its short name."""

    name: str
    repo: str
    file: str
    size_bytes: int
    memory_bytes: int
    """Estimated: weights, key-value cache, room for work."""
    licence: str
    suits: str
    """What for, in half a sentence."""


CATALOGUE = (
    Offer(
        name="qwen2.5-0.5b",
        repo="Qwen/Qwen2.5-0.5B-Instruct-GGUF",
        file="qwen2.5-0.5b-instruct-q8_0.gguf",
        size_bytes=676_000_000,
        memory_bytes=900_000_000,
        licence="Apache-2.0",
        suits="two cores and little memory; needs the check",
    ),
    Offer(
        name="qwen2.5-1.5b",
        repo="Qwen/Qwen2.5-1.5B-Instruct-GGUF",
        file="qwen2.5-1.5b-instruct-q4_k_m.gguf",
        size_bytes=1_117_000_000,
        memory_bytes=1_400_000_000,
        licence="Apache-2.0",
        suits="four cores without a GPU",
    ),
    Offer(
        name="llama3.2-3b",
        repo="bartowski/Llama-3.2-3B-Instruct-GGUF",
        file="Llama-3.2-3B-Instruct-Q4_K_M.gguf",
        size_bytes=2_019_000_000,
        memory_bytes=2_700_000_000,
        licence="Llama 3.2 Community",
        suits="eight cores, or a small GPU",
    ),
    Offer(
        name="gemma3-4b",
        repo="bartowski/google_gemma-3-4b-it-GGUF",
        file="google_gemma-3-4b-it-Q4_K_M.gguf",
        size_bytes=2_490_000_000,
        memory_bytes=3_300_000_000,
        licence="Gemma",
        suits="many languages",
    ),
    Offer(
        name="qwen3-4b",
        repo="unsloth/Qwen3-4B-Instruct-2507-GGUF",
        file="Qwen3-4B-Instruct-2507-Q4_K_M.gguf",
        size_bytes=2_497_000_000,
        memory_bytes=3_300_000_000,
        licence="Apache-2.0",
        suits="eight cores, or a small GPU",
    ),
    Offer(
        name="qwen2.5-7b",
        repo="bartowski/Qwen2.5-7B-Instruct-GGUF",
        file="Qwen2.5-7B-Instruct-Q4_K_M.gguf",
        size_bytes=4_683_000_000,
        memory_bytes=5_100_000_000,
        licence="Apache-2.0",
        suits="a GPU with 8 GB",
    ),
    Offer(
        name="llama3.1-8b",
        repo="bartowski/Meta-Llama-3.1-8B-Instruct-GGUF",
        file="Meta-Llama-3.1-8B-Instruct-Q4_K_M.gguf",
        size_bytes=4_921_000_000,
        memory_bytes=5_700_000_000,
        licence="Llama 3.1 Community",
        suits="a GPU with 8 GB",
    ),
    Offer(
        name="qwen2.5-14b",
        repo="bartowski/Qwen2.5-14B-Instruct-GGUF",
        file="Qwen2.5-14B-Instruct-Q4_K_M.gguf",
        size_bytes=8_988_000_000,
        memory_bytes=10_000_000_000,
        licence="Apache-2.0",
        suits="a GPU with 12 GB",
    ),
)


def offer_of(name: str) -> Offer | None:
    """The offer of this short name, whatever its case."""
    return next((offer for offer in CATALOGUE if offer.name == name.lower()), None)
