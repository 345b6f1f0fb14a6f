"""Tiny models whose memory works otherwise than that of `gguf_factory`, made from one of its files."""

from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


def sliding(source: Path, path: Path, *, window: int = 16) -> Path:
    """The same weights, but the first layer sees only so many tokens back."""
    reader, writer = _begun(source, path, "granite_swa")
    for name in (
        "feed_forward_length",
        "attention.head_count",
        "attention.head_count_kv",
        "rope.dimension_count",
    ):
        writer.add_uint32(f"granite_swa.{name}", int(reader.fields[f"llama.{name}"].contents()))
    writer.add_float32("granite_swa.logit_scale", 1.0)
    writer.add_sliding_window(window)
    writer.add_sliding_window_pattern([True, False])
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, np.array(tensor.data))
    heads = int(reader.fields["llama.attention.head_count"].contents())
    for layer in range(int(reader.fields["llama.block_count"].contents())):
        writer.add_tensor(f"blk.{layer}.attn_sinks.weight", np.zeros(heads, dtype=np.float32))
    return _written(writer, path)


def recurrent(source: Path, path: Path, *, seed: int = 0) -> Path:
    """A Mamba model with random weights: one state for each sequence, that of its end."""
    reader, writer = _begun(source, path, "mamba")
    width, state, rank, kernel = int(reader.fields["llama.embedding_length"].contents()), 8, 4, 4
    inner = 2 * width
    writer.add_ssm_conv_kernel(kernel)
    writer.add_ssm_inner_size(inner)
    writer.add_ssm_state_size(state)
    writer.add_ssm_time_step_rank(rank)
    writer.add_head_count(0)
    writer.add_feed_forward_length(0)
    rng = np.random.default_rng(seed)

    def random(*shape: int) -> Floats:
        return np.asarray(rng.standard_normal(shape) / np.sqrt(shape[-1]), dtype=np.float32)

    for tensor in reader.tensors:
        if not tensor.name.startswith("blk."):
            writer.add_tensor(tensor.name, np.array(tensor.data))
    parts: dict[str, Callable[[], Floats]] = {
        "attn_norm.weight": lambda: np.ones(width, dtype=np.float32),
        "ssm_in.weight": lambda: random(2 * inner, width),
        "ssm_conv1d.weight": lambda: random(inner, kernel),
        "ssm_conv1d.bias": lambda: np.zeros(inner, dtype=np.float32),
        "ssm_x.weight": lambda: random(rank + 2 * state, inner),
        "ssm_dt.weight": lambda: random(inner, rank),
        "ssm_dt.bias": lambda: np.zeros(inner, dtype=np.float32),
        "ssm_a": lambda: -np.abs(random(inner, state)),
        "ssm_d": lambda: np.ones(inner, dtype=np.float32),
        "ssm_out.weight": lambda: random(width, inner),
    }
    for layer in range(int(reader.fields["llama.block_count"].contents())):
        for name, values in parts.items():
            writer.add_tensor(f"blk.{layer}.{name}", values())
    return _written(writer, path)


def _begun(source: Path, path: Path, architecture: str) -> tuple[gguf.GGUFReader, gguf.GGUFWriter]:
    """A file with the tokeniser and the measures of another."""
    reader, writer = gguf.GGUFReader(source), gguf.GGUFWriter(str(path), architecture)
    for key, field in reader.fields.items():
        kind, contents = field.types[0], field.contents()
        if key.startswith("tokenizer."):
            writer.add_key_value(
                key, contents, kind, field.types[-1] if kind is gguf.GGUFValueType.ARRAY else None
            )
    for name in ("context_length", "embedding_length", "block_count"):
        writer.add_uint32(f"{architecture}.{name}", int(reader.fields[f"llama.{name}"].contents()))
    writer.add_layer_norm_rms_eps(1e-5)
    return reader, writer


def _written(writer: gguf.GGUFWriter, path: Path) -> Path:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def adapter(source: Path, path: Path, *, rank: int = 2, seed: int = 0) -> Path:
    """A LoRA adapter for a model of `gguf_factory` that changes much."""
    reader, writer = gguf.GGUFReader(source), gguf.GGUFWriter(str(path), "llama")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", float(rank))
    rng = np.random.default_rng(seed)
    for tensor in reader.tensors:
        if tensor.name.endswith("ffn_down.weight"):
            out, width = tensor.data.shape
            writer.add_tensor(f"{tensor.name}.lora_a", rng.standard_normal((rank, width)).astype(np.float32))
            writer.add_tensor(f"{tensor.name}.lora_b", rng.standard_normal((out, rank)).astype(np.float32))
    return _written(writer, path)
