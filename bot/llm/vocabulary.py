"""Text to tokens and back, chat template included, with the vocabulary of a GGUF model.

Safe for threads: it only reads. The module `llama_cpp` is passed in as `api`.
"""

import ctypes
import re
from collections.abc import Sequence
from typing import Any

from bot.errors import ModelError, QuestionTooLongError
from bot.llm.protocol import ChatMessage

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{{ message.content }}<|im_end|>\n{% endfor %}"
    "<|im_start|>assistant\n"
)


class Vocabulary:
    """The tokens of one model."""

    def __init__(self, api: Any, model: Any) -> None:
        self._api = api
        self._model = model
        self.handle = api.llama_model_get_vocab(model)
        self.size: int = api.llama_vocab_n_tokens(self.handle)
        self.warnings: list[str] = []
        """What an operator should know, as sentences."""
        self._bytes: dict[int, bytes] = {}
        self._bos = self._text_of(api.llama_vocab_bos(self.handle))
        self.template = self.meta("tokenizer.chat_template")
        """As the file has it; empty where it has none."""
        self._control, self._longest = self._looked_through()
        self._format = self._formatter(self.template)

    def tokens_of(self, prompt: Sequence[ChatMessage] | str, *, window: int = 0) -> list[int]:
        """The tokens of a prompt; messages go through the chat template, text is taken as it is.

        Control tokens written in a message (`<|im_end|>` in a document) are broken up, so that no text can
        close its own turn and speak as the system. In plain text they count as control tokens.

        Args:
            window: tokens that are of use; a text that must have more by its length alone is not looked at, as
                8 MB would take a core for 20 s. 0: any number.

        Raises:
            QuestionTooLongError: it has more than `window` tokens, whatever they are.
            ModelError: the template refuses the messages.
        """
        if isinstance(prompt, str):
            self._check_length(prompt, window)
            return self._tokenize(prompt)
        safe = [{"role": m.role, "content": self._control.sub(_broken, m.content)} for m in prompt]
        try:
            text: str = self._format(messages=safe).prompt
        except Exception as error:  # the template is a program from the model's file
            raise ModelError(f"The model's chat template refuses these messages ({error}).") from error
        if self._api.llama_vocab_get_add_bos(self.handle):  # the tokeniser adds it; most templates do, too
            text = text.removeprefix(self._bos)
        self._check_length(text, window)
        return self._tokenize(text)

    def bytes_of(self, token: int) -> bytes:
        """What a token writes; nothing for control tokens."""
        known = self._bytes.get(token)
        if known is None:
            known = self._bytes[token] = self._piece(token)
        return known

    def ends(self, token: int) -> bool:
        """Whether the model ends its answer with this token."""
        return bool(self._api.llama_vocab_is_eog(self.handle, token))

    def meta(self, key: str) -> str:
        """A value of the file's header as text; empty where it has none."""
        size = self._api.llama_model_meta_val_str(self._model, key.encode(), None, 0)
        if size < 0:
            return ""
        buffer = ctypes.create_string_buffer(size + 1)
        self._api.llama_model_meta_val_str(self._model, key.encode(), buffer, size + 1)
        return buffer.value.decode(errors="replace")

    def _check_length(self, text: str, window: int) -> None:
        size = len(text.encode())
        if window and self._longest and size > window * self._longest:
            raise QuestionTooLongError(
                f"The prompt has {size} bytes, which is more than the model's context of {window} tokens can"
                " hold: shorten the question."
            )

    def _tokenize(self, text: str) -> list[int]:
        data = text.encode()
        size = len(data) + 2  # a token is at least a byte; BOS and EOS
        array = (self._api.llama_token * size)()
        count = self._api.llama_tokenize(self.handle, data, len(data), array, size, True, True)
        if count < 0:
            raise ModelError("llama.cpp could not tokenise the prompt.")
        return list(array[:count])

    def _piece(self, token: int) -> bytes:
        for size in (64, 1024):
            buffer = ctypes.create_string_buffer(size)
            count = self._api.llama_token_to_piece(self.handle, token, buffer, size, 0, False)
            if count >= 0:
                return buffer.raw[:count]
        return b""

    def _text_of(self, token: int) -> str:
        """How a special token is written in templates; empty where the model has none."""
        if token < 0:
            return ""
        return bytes(self._api.llama_vocab_get_text(self.handle, token)).decode(errors="replace")

    def _formatter(self, template: str) -> Any:
        def compiled(source: str) -> Any:
            eos = self._text_of(self._api.llama_vocab_eos(self.handle))
            formatter = self._api.llama_chat_format.Jinja2ChatFormatter
            return formatter(template=source, bos_token=self._bos, eos_token=eos)

        try:
            if template:
                return compiled(template)
            self.warnings.append("The model file has no chat template: ChatML is used; answers may be poor.")
        except Exception as error:  # noqa: BLE001 - the template is a program from the model's file
            self.warnings.append(f"The model's chat template is broken ({error}): ChatML is used instead.")
        return compiled(CHATML)

    def _looked_through(self) -> tuple[re.Pattern[str], int]:
        """What of a message has to be broken up, and the bytes of the longest token; 0 where text may shrink.

        Some files list the marks of their turns among the tokens of their users; they count where the template
        has them, plain words excepted, which stand in it for other reasons. A token is written with at least as
        many bytes as it stands for, except where the tokeniser changes the text before.
        """
        api, template, longest = self._api, self.template or CHATML, 0
        marks = set()
        for token in range(self.size):
            text = self._text_of(token)
            longest = max(longest, len(text.encode()))
            users = api.llama_vocab_get_attr(self.handle, token) & api.LLAMA_TOKEN_ATTR_USER_DEFINED
            is_mark = api.llama_vocab_is_control(self.handle, token) or (
                users and not text.isspace() and not text.isalnum() and text in template
            )
            if len(text) > 1 and is_mark:
                marks.add(text)
        keeps = api.llama_vocab_type(self.handle) in {api.LLAMA_VOCAB_TYPE_SPM, api.LLAMA_VOCAB_TYPE_BPE}
        texts = sorted(marks, key=lambda text: (-len(text), text))
        return re.compile("|".join(map(re.escape, texts)) or r"(?!)"), longest if keeps else 0


def _broken(control: re.Match[str]) -> str:
    return f"{control[0][0]} {control[0][1:]}"
