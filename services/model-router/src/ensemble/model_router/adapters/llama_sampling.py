"""Chooses tokens: freely in text, by the tools' grammar from ``<tool_call>`` on."""

import codecs
import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np

from ensemble.core.errors import EngineFailedError
from ensemble.model_router.markers import CALL_OPEN

_TAIL = 4 * len(CALL_OPEN)


class Sampling:
    """The sampling of one answer.

    The grammar costs nothing while the model writes text. Inside a tool call the model's
    own choice is checked first, one token; only where the grammar refuses it are all
    tokens weighed.

    Args:
        api: The ``llama_cpp`` module.
        llama: The model.
        chain: Sampler chain that chooses; freed by ``close``.
        make_grammar: Makes the grammar sampler, or None where there is none to keep to.
    """

    def __init__(
        self, api: Any, llama: Any, chain: Any, make_grammar: Callable[[], Any | None]
    ) -> None:
        self._api = api
        self._llama = llama
        self._chain = chain
        self._make_grammar = make_grammar
        self._grammar: Any = None
        self._tail = ""
        self._utf8 = codecs.getincrementaldecoder("utf-8")()
        self._one = (api.llama_token_data * 1)()

    def close(self) -> None:
        """Free the samplers."""
        self._api.llama_sampler_free(self._chain)
        if self._grammar is not None:
            self._api.llama_sampler_free(self._grammar)

    def next(self, piece_of: Callable[[int], bytes]) -> int:
        """Return the next token.

        Raises:
            EngineFailedError: The vocabulary has no token that the grammar allows.
        """
        token = int(self._api.llama_sampler_sample(self._chain, self._llama.ctx, -1))
        if self._grammar is None or (self._fits(token) and self._whole(piece_of(token))):
            return token
        return self._choose(piece_of)

    def follow(self, token: int, piece: bytes) -> None:
        """Note that ``token`` was written."""
        if self._grammar is None:
            self.follow_text(piece.decode(errors="replace"))
        else:
            # A token that does not fit would end the process here.
            self._api.llama_sampler_accept(self._grammar, token)
            self._utf8.decode(piece)

    def follow_text(self, text: str) -> None:
        """Note text that was written; a tool call that opens in it starts the grammar."""
        self._tail += text
        at = self._tail.rfind(CALL_OPEN)
        if at >= 0 and not self._tail[at + len(CALL_OPEN) :].strip():
            self._grammar = self._make_grammar()
        self._tail = self._tail[-_TAIL:] if self._grammar is None else ""

    def _fits(self, token: int) -> bool:
        data = self._one
        data[0] = self._api.llama_token_data(token, 0.0, 0.0)
        array = self._api.llama_token_data_array(data, 1, -1, False)
        self._api.llama_sampler_apply(self._grammar, ctypes.byref(array))
        return bool(data[0].logit != -np.inf)

    def _whole(self, piece: bytes) -> bool:
        """Whether the piece leaves the text valid UTF-8; the grammar does not look."""
        before = self._utf8.getstate()
        try:
            self._utf8.decode(piece)
            pending = self._utf8.getstate()[0]
            # Half a surrogate: the decoder would only notice at the next byte.
            return not (pending[:1] == b"\xed" and pending[1:] >= b"\xa0")
        except UnicodeDecodeError:
            return False
        finally:
            self._utf8.setstate(before)

    def _choose(self, piece_of: Callable[[int], bytes]) -> int:
        """Weigh all tokens and return one that fits."""
        size = self._llama.n_vocab()
        logits = np.ctypeslib.as_array(
            self._api.llama_get_logits_ith(self._llama.ctx, -1), shape=(size,)
        ).copy()
        table = np.empty(size, dtype=[("id", "<i4"), ("logit", "<f4"), ("p", "<f4")])
        while True:
            table["id"] = np.arange(size)
            table["logit"] = logits
            table["p"] = 0.0
            data = table.ctypes.data_as(ctypes.POINTER(self._api.llama_token_data))
            array = self._api.llama_token_data_array(data, size, -1, False)
            self._api.llama_sampler_apply(self._grammar, ctypes.byref(array))
            self._api.llama_sampler_apply(self._chain, ctypes.byref(array))
            chosen = array.data[array.selected]
            if array.selected < 0 or chosen.logit == -np.inf:
                raise EngineFailedError("The model's vocabulary cannot spell a tool call.")
            if self._whole(piece_of(chosen.id)):
                return int(chosen.id)
            logits[chosen.id] = -np.inf
