"""The tokens of a GGUF."""

import ctypes
from typing import Any

from ensemble.model_router.markers import MARKERS


class Vocabulary:
    """What a model's tokens stand for.

    Args:
        api: The ``llama_cpp`` module.
        llama: The model.
    """

    def __init__(self, api: Any, llama: Any) -> None:
        self._api = api
        self._llama = llama
        self.handle: Any = api.llama_model_get_vocab(llama.model)
        self.size = int(api.llama_vocab_n_tokens(self.handle))
        self.bos = self._text_of(api.llama_vocab_bos(self.handle))
        """Text of the token that begins a document; may be empty."""
        self.eos = self._text_of(api.llama_vocab_eos(self.handle))
        """Text of the token that ends a turn; may be empty."""
        self._adds_bos = bool(api.llama_vocab_get_add_bos(self.handle))
        self._pieces: dict[int, bytes] = {}

    def tokens_of(self, prompt: str) -> list[int]:
        """Return the tokens of a prompt, special ones among them."""
        add_bos = self._adds_bos and not (self.bos and prompt.startswith(self.bos))
        tokens: list[int] = self._llama.tokenize(prompt.encode(), add_bos=add_bos, special=True)
        return tokens

    def tokens_of_plain(self, text: str) -> list[int]:
        """Return the tokens of text in which nothing is special."""
        tokens: list[int] = self._llama.tokenize(text.encode(), add_bos=False, special=False)
        return tokens

    def single_token(self, text: str) -> int | None:
        """Return the one token that stands for ``text``, if there is one."""
        tokens = self._llama.tokenize(text.encode(), add_bos=False, special=True)
        return int(tokens[0]) if len(tokens) == 1 else None

    def ends_answer(self, token: int) -> bool:
        """Whether a model that writes this token has finished."""
        return bool(self._api.llama_vocab_is_eog(self.handle, token))

    def piece(self, token: int) -> bytes:
        """Return a token's bytes; control tokens other than the markers have none."""
        piece = self._pieces.get(token)
        if piece is None:
            piece = self._pieces[token] = self._make_piece(token)
        return piece

    def control_texts(self) -> list[str]:
        """Return the texts of the control tokens."""
        control = self._api.LLAMA_TOKEN_ATTR_CONTROL
        return [
            self._text_of(token)
            for token in range(self.size)
            if self._api.llama_vocab_get_attr(self.handle, token) & control
        ]

    def _make_piece(self, token: int) -> bytes:
        size = 64
        while True:
            buffer = ctypes.create_string_buffer(size)
            written = self._api.llama_token_to_piece(self.handle, token, buffer, size, 0, True)
            if written >= 0:
                break
            size = -written
        piece = buffer.raw[:written]
        control = self._api.LLAMA_TOKEN_ATTR_CONTROL | self._api.LLAMA_TOKEN_ATTR_UNKNOWN
        is_control = bool(self._api.llama_vocab_get_attr(self.handle, token) & control)
        return b"" if is_control and piece.decode(errors="replace") not in MARKERS else piece

    def _text_of(self, token: int) -> str:
        if token < 0:
            return ""
        text = self._api.llama_vocab_get_text(self.handle, token)
        return text.decode(errors="replace") if text else ""
