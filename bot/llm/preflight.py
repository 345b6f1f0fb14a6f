"""Can this machine run that file? Asked before anything is loaded, and answered with a sentence.

What is certain to fail is refused; what is doubtful passes, and llama.cpp has the last word. Memory is estimated:
weights, the key-value cache of the configured context, and room for work. On a GPU the weights do not count here,
and what the GPU has is left to llama.cpp.
"""

from collections.abc import Sequence
from pathlib import Path

from bot.errors import ModelFileError
from bot.llm import machine
from bot.llm.models import ModelInfo, human_size, inspect

WORK_BYTES = 100_000_000
"""What llama.cpp and Python take beside weights and cache, at least: measured with the starter model, 95 MB."""


def check_file(path: Path, *, lora: Sequence[Path] = ()) -> ModelInfo:
    """Look into the file, and into the adapters that shall be laid over it; blocks for some 0.1 s.

    Raises:
        ModelFileError: it is no GGUF file, is cut off, holds no language model, or its architecture is unknown to
            the installed llama.cpp; or an adapter does not fit.
    """
    info = inspect(path)
    if info.kind == "adapter":
        raise ModelFileError(
            f"{path} is a LoRA adapter: set llm.lora to it, and llm.model to the model it is for."
        )
    if info.kind == "mmproj" or info.architecture == "clip":
        raise ModelFileError(f"{path} is the part of a model that sees pictures: choose the text model.")
    if not info.is_causal:
        raise ModelFileError(
            f"{path} is an embedding model, which cannot write: choose an instruction-tuned model."
        )
    if machine.knows_architecture(info.architecture) is False:
        raise ModelFileError(
            f"The installed llama.cpp does not know the architecture {info.architecture!r} of {path}: update"
            " llama-cpp-python, or choose another model."
        )
    for adapter in lora:
        _check_adapter(adapter, info)
    return info


def check_memory(info: ModelInfo, *, context: int, gpu_layers: int) -> None:
    """Compare what the model takes at least with what is free now.

    Args:
        context: tokens of one answer; 0 for the default. More answers share what memory is left.
        gpu_layers: layers that shall be on the GPU, -1 for all.

    Raises:
        ModelFileError: it cannot fit.
    """
    available = machine.available_memory()
    if available is None or (gpu_layers != 0 and machine.gpu_backends()):
        return
    window = min(context or info.default_context(), info.context_length or info.default_context())
    cache = info.kv_bytes_per_token * window
    needed = info.size_bytes + cache + WORK_BYTES
    if needed > available:
        raise ModelFileError(
            f"{info.path.name} needs about {human_size(needed)} of memory ({human_size(info.size_bytes)} of weights,"
            f" {human_size(cache)} for a context of {window} tokens), and {human_size(available)} are free: choose a"
            f" smaller file{' or lower llm.context' if cache > WORK_BYTES else ''}."
        )


def _check_adapter(path: Path, model: ModelInfo) -> None:
    info = inspect(path)
    if info.kind != "adapter":
        raise ModelFileError(f"{path} is no LoRA adapter: set llm.lora to adapters in GGUF format.")
    if info.architecture != model.architecture:
        raise ModelFileError(
            f"{path} is an adapter for {info.architecture}, and {model.path.name} is {model.architecture}:"
            " they do not go together."
        )
