"""llama.cpp's context: one batch that is used again and again, the logits it gives, the memory of sequences.

The edge to ctypes. Batches are written through numpy arrays that llama.cpp reads in place, and logits are a view
of its own buffer, valid until the next step. Not safe for threads. The module `llama_cpp` is passed in as `api`.
"""

import ctypes
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from bot.llm.sampler import Logits

Outputs = Literal["all", "last", "none"]
"""Of which tokens the logits are wanted."""
State: TypeAlias = npt.NDArray[np.uint8]
"""What llama.cpp says of a sequence, for it alone to read."""
NO_ROOM = 1
"""What llama_decode returns when the cache is full; nothing was changed."""


class Batch:
    """The tokens of one step."""

    def __init__(self, api: Any, size: int) -> None:
        self.size = size
        self.tokens = self.outputs = 0
        self._token = np.zeros(size, dtype=np.int32)
        self._position = np.zeros(size, dtype=np.int32)
        self._sequence = np.zeros(size, dtype=np.int32)
        self._sequences = np.ones(size, dtype=np.int32)  # each token belongs to one
        self._output = np.zeros(size, dtype=np.int8)
        places = self._sequence.ctypes.data + np.arange(size, dtype=np.uintp) * self._sequence.itemsize
        self._pointers = np.ascontiguousarray(places)
        numbers = ctypes.POINTER(ctypes.c_int32)
        self.struct = api.llama_batch(
            token=self._token.ctypes.data_as(numbers),
            pos=self._position.ctypes.data_as(numbers),
            n_seq_id=self._sequences.ctypes.data_as(numbers),
            seq_id=self._pointers.ctypes.data_as(ctypes.POINTER(numbers)),
            logits=self._output.ctypes.data_as(ctypes.POINTER(ctypes.c_int8)),
        )

    def clear(self) -> None:
        self.tokens = self.outputs = 0

    def add(self, sequence: int, position: int, tokens: Sequence[int], *, outputs: Outputs) -> int:
        """Append tokens of a sequence from `position` on; the row of logits that the first output will have."""
        start, end = self.tokens, self.tokens + len(tokens)
        self._token[start:end] = tokens
        self._position[start:end] = np.arange(position, position + len(tokens))
        self._sequence[start:end] = sequence
        self._output[start:end] = outputs == "all"
        if outputs == "last":
            self._output[end - 1] = 1
        first = self.outputs
        self.outputs += {"all": len(tokens), "last": 1, "none": 0}[outputs]
        self.struct.n_tokens = self.tokens = end
        return first


class Context:
    """The state of the sequences that a model works on."""

    def __init__(self, api: Any, handle: Any, *, batch: int, vocabulary: int) -> None:
        """
        Args:
            handle: an opened llama_context; `close` frees it.
            batch: tokens of a step at most.
            vocabulary: tokens that the model knows, the length of a row of logits.
        """
        self._api = api
        self._handle = handle
        self._memory = api.llama_get_memory(handle)
        self._vocabulary = vocabulary
        self.cells: int = api.llama_n_ctx(handle)
        self.batch = Batch(api, batch)

    def decode(self) -> int:
        """Compute the batch; 0, or llama.cpp's code for what went wrong."""
        code: int = self._api.llama_decode(self._handle, self.batch.struct)
        if code == 0:
            self._api.llama_synchronize(self._handle)  # a GPU may still be at work
        return code

    def logits(self) -> Logits:
        """Of the last step: a row for each output, in the order in which they were added."""
        data = self._api.llama_get_logits(self._handle)
        return np.ctypeslib.as_array(data, shape=(self.batch.outputs, self._vocabulary))

    def share(self, source: int, target: int, start: int, end: int) -> None:
        """Let `target` hold what `source` holds at the positions from `start` up to `end`."""
        self._api.llama_memory_seq_cp(self._memory, source, target, start, end)

    def cut(self, sequence: int, start: int, end: int = -1) -> bool:
        """Remove the positions from `start` up to `end` (-1: all that follow); False where it cannot be done."""
        return bool(self._api.llama_memory_seq_rm(self._memory, sequence, start, end))

    def can_cut(self) -> bool:
        """Whether the end of a sequence can be dropped, found out by trying; empties the memory."""
        self.batch.clear()
        self.batch.add(0, 0, [0, 0, 0, 0], outputs="none")
        works = self.decode() == 0 and self.cut(0, 2) and self.span(0) == (0, 1)
        self.clear()
        return works

    def remove(self, sequence: int) -> None:
        self._api.llama_memory_seq_rm(self._memory, sequence, -1, -1)

    def clear(self) -> None:
        self._api.llama_memory_clear(self._memory, True)

    def span(self, sequence: int) -> tuple[int, int]:
        """The first and the last position that the sequence has; (-1, -1) when it has none."""
        first: int = self._api.llama_memory_seq_pos_min(self._memory, sequence)
        last: int = self._api.llama_memory_seq_pos_max(self._memory, sequence)
        return first, last

    def size(self, sequence: int) -> int:
        """Bytes that a copy of the sequence takes."""
        return int(self._api.llama_state_seq_get_size(self._handle, sequence))

    def copy(self, sequence: int, size: int) -> State | None:
        """What the sequence holds, of that `size`, to `paste` it into another one; None where that fails."""
        try:
            data = np.empty(size, dtype=np.uint8)
        except MemoryError:
            return None
        pointer = data.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))
        copied = self._api.llama_state_seq_get_data(self._handle, pointer, size, sequence)
        return data if copied == size else None

    def paste(self, sequence: int, data: State) -> bool:
        """Fill an empty sequence with a copy; False where there is no room: what it then holds has to be removed."""
        pointer = data.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))
        taken = self._api.llama_state_seq_set_data(self._handle, pointer, data.size, sequence)
        return bool(taken == data.size)

    def adapt(self, adapters: Any, scales: Any) -> None:
        """Apply LoRA adapters (ctypes arrays of handles and of scales) to all that is computed from now on."""
        self._api.llama_set_adapters_lora(self._handle, adapters, len(adapters), scales)

    def close(self) -> None:
        self._api.llama_free(self._handle)
