"""Models of a real shape with random weights: as fast and as big as the real ones, and nothing to download.

All layers share one layer's values; the file holds them as often as a real one would, so reading it costs the same.
The vocabulary is a made-up language in which every word is one token and is read back as that token, so the answer
in a follow-up's prompt is the same tokens that were written: as with a real model. Only words can be written, so no
answer ends by itself.
"""

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import gguf
import numpy as np
import numpy.typing as npt
from tokenizers.pre_tokenizers import ByteLevel

from benchmarks.model_server.words import SPACE, growing

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
_CONTEXT = 32_768
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Shape:
    layers: int
    width: int
    heads: int
    kv_heads: int
    feed: int
    vocabulary: int


SHAPES = {
    "0.5b": Shape(layers=24, width=896, heads=14, kv_heads=2, feed=4864, vocabulary=151_936),
    "7b": Shape(layers=28, width=3584, heads=28, kv_heads=4, feed=18_944, vocabulary=152_064),
}
"""Those of Qwen2.5."""

QUANTISATIONS = {
    "Q8_0": (gguf.GGMLQuantizationType.Q8_0, gguf.LlamaFileType.MOSTLY_Q8_0),
    "Q4_0": (gguf.GGMLQuantizationType.Q4_0, gguf.LlamaFileType.MOSTLY_Q4_0),
}
"""Of everything but the output matrix: that is Q8_0 in both, as in real files it is finer than the rest, too."""


def write(path: Path, *, shape: str, quantisation: str) -> Path:
    """Write the model; the same arguments give the same file."""
    size = SHAPES[shape]
    tensor_type, file_type = QUANTISATIONS[quantisation]
    words = list(islice(growing(), size.vocabulary - len(_SPECIAL) - 256))
    tokens = [*_SPECIAL, *sorted(ByteLevel.alphabet()), *(SPACE + word for word in words)]
    writer = gguf.GGUFWriter(str(path), "qwen2")
    writer.add_name(f"Random weights, {shape}")
    writer.add_file_type(file_type)
    writer.add_context_length(_CONTEXT)
    writer.add_embedding_length(size.width)
    writer.add_block_count(size.layers)
    writer.add_feed_forward_length(size.feed)
    writer.add_head_count(size.heads)
    writer.add_head_count_kv(size.kv_heads)
    writer.add_rope_freq_base(1e6)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types(
        [gguf.TokenType.CONTROL if token in _SPECIAL else gguf.TokenType.NORMAL for token in tokens]
    )
    writer.add_token_merges([f"{SPACE}{word[:-1]} {word[-1]}" for word in words])
    writer.add_eos_token_id(tokens.index("<|im_end|>"))
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)
    _add_weights(writer, size, tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_weights(writer: gguf.GGUFWriter, size: Shape, layer_type: gguf.GGMLQuantizationType) -> None:
    rng = np.random.default_rng(0)

    def random(*shape: int) -> Floats:
        values: Floats = rng.standard_normal(shape, dtype=np.float32) / np.float32(np.sqrt(shape[-1]))
        return values

    def add(name: str, values: Floats, kind: gguf.GGMLQuantizationType) -> None:
        writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)

    output = random(size.vocabulary, size.width)
    output[: len(_SPECIAL) + 256] = 0  # only words are ever the likeliest
    add("token_embd.weight", random(size.vocabulary, size.width), layer_type)
    add("output.weight", output, gguf.GGMLQuantizationType.Q8_0)
    writer.add_tensor("output_norm.weight", np.ones(size.width, dtype=np.float32))

    kv_width = size.width // size.heads * size.kv_heads
    matrices = {
        "attn_q.weight": (size.width, size.width),
        "attn_k.weight": (kv_width, size.width),
        "attn_v.weight": (kv_width, size.width),
        "attn_output.weight": (size.width, size.width),
        "ffn_gate.weight": (size.feed, size.width),
        "ffn_up.weight": (size.feed, size.width),
        "ffn_down.weight": (size.width, size.feed),
    }
    packed = {name: gguf.quants.quantize(random(*shape), layer_type) for name, shape in matrices.items()}
    vectors = {
        "attn_norm.weight": np.ones(size.width, dtype=np.float32),
        "ffn_norm.weight": np.ones(size.width, dtype=np.float32),
        "attn_q.bias": np.zeros(size.width, dtype=np.float32),
        "attn_k.bias": np.zeros(kv_width, dtype=np.float32),
        "attn_v.bias": np.zeros(kv_width, dtype=np.float32),
    }
    for layer in range(size.layers):
        for name, values in packed.items():
            writer.add_tensor(f"blk.{layer}.{name}", values, raw_dtype=layer_type)
        for name, vector in vectors.items():
            writer.add_tensor(f"blk.{layer}.{name}", vector)
