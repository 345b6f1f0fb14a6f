"""Tiny GGUF models that the real llama.cpp loads: two layers, random weights, a tokeniser of their own.

What they write is nonsense, but always the same nonsense, in printable ASCII, and they never end by
themselves: the rows of the output matrix that belong to other tokens are zero, so greedy choice never falls
on them.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import gguf
import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")

_TEXT = [
    "The hotel limit is one hundred and forty euros a night, and breakfast is part of it.",
    "Who approves the travel of a new colleague? Their team lead approves it, within two days.",
    "Expenses are paid back with the salary of the next month when the receipts are complete.",
]
Floats = npt.NDArray[np.float32]

_WIDTH, _HEADS, _KV_HEADS, _LAYERS, _FEED = 64, 4, 2, 2, 128


def build(
    path: Path,
    *,
    context: int = 512,
    template: str | None = TEMPLATE,
    user_defined: Sequence[str] = (),
    seed: int = 0,
) -> Path:
    """Write a model of some 0.5 MB; the same arguments give the same model.

    `user_defined` tokens are listed as such, and not as control tokens or ordinary ones.
    """

    def kind(token: str) -> gguf.TokenType:
        if token in user_defined:
            return gguf.TokenType.USER_DEFINED
        return gguf.TokenType.CONTROL if token in SPECIAL else gguf.TokenType.NORMAL

    tokenizer = _trained()
    tokens = [token for token, _ in sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])]
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_name("Tiny")
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_context_length(context)
    writer.add_embedding_length(_WIDTH)
    writer.add_block_count(_LAYERS)
    writer.add_feed_forward_length(_FEED)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(_KV_HEADS)
    writer.add_rope_dimension_count(_WIDTH // _HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([kind(token) for token in tokens])
    writer.add_token_merges(_merges(tokenizer))
    writer.add_bos_token_id(tokens.index("<|im_start|>"))
    writer.add_eos_token_id(tokens.index("<|im_end|>"))
    writer.add_add_bos_token(False)
    if template is not None:
        writer.add_chat_template(template)
    for name, values in _weights(tokens, np.random.default_rng(seed)).items():
        writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _trained() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=384,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_TEXT, trainer)
    return tokenizer


def _merges(tokenizer: Tokenizer) -> list[str]:
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    return [merge if isinstance(merge, str) else " ".join(merge) for merge in merges]


def _weights(tokens: list[str], rng: np.random.Generator) -> dict[str, Floats]:
    def random(*shape: int) -> Floats:
        values: Floats = (rng.standard_normal(shape) / np.sqrt(shape[-1])).astype(np.float32)
        return values

    kv_width = _WIDTH // _HEADS * _KV_HEADS
    ones = np.ones(_WIDTH, dtype=np.float32)
    writable = np.array([[float(_is_writable(token))] for token in tokens], dtype=np.float32)
    weights = {
        "token_embd.weight": random(len(tokens), _WIDTH) * 8,
        "output_norm.weight": ones,
        "output.weight": random(len(tokens), _WIDTH) * writable,
    }
    for layer in range(_LAYERS):
        weights |= {
            f"blk.{layer}.attn_norm.weight": ones,
            f"blk.{layer}.attn_q.weight": random(_WIDTH, _WIDTH),
            f"blk.{layer}.attn_k.weight": random(kv_width, _WIDTH),
            f"blk.{layer}.attn_v.weight": random(kv_width, _WIDTH),
            f"blk.{layer}.attn_output.weight": random(_WIDTH, _WIDTH),
            f"blk.{layer}.ffn_norm.weight": ones,
            f"blk.{layer}.ffn_gate.weight": random(_FEED, _WIDTH),
            f"blk.{layer}.ffn_up.weight": random(_FEED, _WIDTH),
            f"blk.{layer}.ffn_down.weight": random(_WIDTH, _FEED),
        }
    return weights


def _is_writable(token: str) -> bool:
    """Printable ASCII; byte-level BPE writes a space as Ġ."""
    plain = token.replace("Ġ", " ")
    return token not in SPECIAL and plain.isascii() and plain.isprintable()
