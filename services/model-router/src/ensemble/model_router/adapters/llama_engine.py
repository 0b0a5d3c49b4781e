"""One GGUF in llama.cpp: loading, prompts, sampling. Blocking; one thread only."""

import codecs
import ctypes
import dataclasses
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from ensemble.core.errors import ContextTooLongError, EngineFailedError, ModelUnavailableError
from ensemble.model_router.adapters.llama_prompt import PromptWriter
from ensemble.model_router.adapters.llama_sampling import Sampling
from ensemble.model_router.adapters.llama_vocabulary import Vocabulary
from ensemble.model_router.domain import Call, StopReason, TokenUsage
from ensemble.model_router.grammar import grammar_of
from ensemble.model_router.markers import CALL_OPEN, DECLINE, StopFilter

_log = structlog.get_logger(__name__)

_MAX_SAMPLERS = 16
_BATCH = 128
"""Prompt tokens read between two looks at whether the caller still wants them."""


@dataclass(frozen=True, slots=True)
class Generated:
    """How a generation ended."""

    stop: StopReason
    usage: TokenUsage


class LlamaEngine:
    """A loaded model. All methods must be called on one and the same thread.

    Args:
        path: The GGUF.
        context: Tokens to read and write together at most; fewer if the model was trained
            on fewer.
        threads: Threads that compute.

    Raises:
        ModelUnavailableError: The file is missing, damaged, or too large to load.
    """

    def __init__(self, path: Path, *, context: int, threads: int) -> None:
        if not path.is_file():
            raise ModelUnavailableError(f"The model file {path.name} is missing.")
        import llama_cpp

        self._api: Any = llama_cpp
        logging.getLogger("llama-cpp-python").setLevel(logging.ERROR)
        trained = _trained_context(llama_cpp, path)
        try:
            self._llama: Any = llama_cpp.Llama(
                str(path),
                n_ctx=min(context, trained or context),
                n_threads=threads,
                n_threads_batch=threads,
                verbose=False,
            )
        except (ValueError, RuntimeError, AssertionError, OSError, MemoryError):
            raise _not_loadable(path) from None
        self._words = Vocabulary(llama_cpp, self._llama)
        self._context = int(self._llama.n_ctx())
        self._keeps_prefix = not (
            llama_cpp.llama_model_is_recurrent(self._llama.model)
            or llama_cpp.llama_model_is_hybrid(self._llama.model)
        )
        self._call_token = self._words.single_token(CALL_OPEN)
        self._decline_token = self._words.single_token(DECLINE)
        self._samplers: dict[str, Any] = {}
        metadata = self._llama.metadata
        self._writer = PromptWriter(
            metadata.get("tokenizer.chat_template", ""),
            self._words.bos,
            self._words.eos,
            self._words.control_texts(),
        )

    @property
    def context_tokens(self) -> int:
        """Tokens the model reads and writes together."""
        return self._context

    def close(self) -> None:
        """Free the model."""
        for sampler in self._samplers.values():
            if sampler:
                self._api.llama_sampler_free(sampler)
        self._samplers.clear()
        self._llama.close()

    def generate(
        self, call: Call, stopped: Callable[[], bool], emit: Callable[[str, int], None]
    ) -> Generated:
        """Answer ``call``; ``emit`` gets the raw text and its tokens, ``stopped`` ends it early.

        Raises:
            ContextTooLongError: The prompt leaves no room for an answer.
            EngineFailedError: The template or the model failed.
        """
        prompt = self._prompt(call, emit)
        room = self._context - len(prompt)
        if room < 1:
            raise ContextTooLongError(
                metadata={"tokens": str(len(prompt)), "limit": str(self._context)}
            )
        if stopped():
            return Generated(StopReason.CANCELLED, TokenUsage())
        limit = min(call.max_output_tokens or room, room)
        cached = self._read(prompt, stopped)
        if stopped():
            return Generated(StopReason.CANCELLED, TokenUsage(self._llama.n_tokens, 0, cached))
        sampling = Sampling(self._api, self._llama, self._chain(call), lambda: self._grammar(call))
        try:
            sampling.follow_text(call.committed_text)
            writer = _Writer(call, emit)
            written = 0
            stop = StopReason.MAX_OUTPUT_TOKENS
            while written < limit:
                token = sampling.next(self._words.piece)
                if self._words.ends_answer(token):
                    stop = StopReason.COMPLETED
                    break
                written += 1
                piece = self._words.piece(token)
                if writer.take(piece):
                    stop = StopReason.COMPLETED
                    break
                if stopped():
                    stop = StopReason.CANCELLED
                    break
                sampling.follow(token, piece)
                if written < limit:
                    self._llama.eval((token,))
            writer.finish()
            return Generated(stop, TokenUsage(len(prompt), written, cached))
        finally:
            sampling.close()

    def _prompt(self, call: Call, emit: Callable[[str, int], None]) -> list[int]:
        """Return the prompt's tokens.

        Committed text holds no markers, so an answer that is gone on with may have been a
        decline: it was when the model would begin this one with that marker.
        """
        prompt = self._tokens_of(call)
        if not call.committed_text or self._decline_token is None or len(prompt) >= self._context:
            return prompt
        start = self._tokens_of(dataclasses.replace(call, committed_text=""))
        self._read(start, lambda: False)
        logits = self._api.llama_get_logits_ith(self._llama.ctx, -1)
        if (
            int(np.ctypeslib.as_array(logits, shape=(self._words.size,)).argmax())
            != self._decline_token
        ):
            return prompt
        emit(DECLINE, 0)
        return [*start, self._decline_token, *self._words.tokens_of_plain(call.committed_text)]

    def _tokens_of(self, call: Call) -> list[int]:
        try:
            text = self._writer.write(call)
        except Exception as error:  # whatever a foreign template raises
            _log.warning("chat template failed", error=type(error).__name__)
            raise EngineFailedError(
                "The model's chat template cannot write this conversation."
            ) from None
        tokens = self._words.tokens_of(text)
        if not tokens:
            raise EngineFailedError("The model's chat template writes an empty prompt.")
        return tokens

    def _read(self, prompt: list[int], stopped: Callable[[], bool]) -> int:
        """Bring the model to the end of the prompt; return how many tokens it still knew."""
        llama = self._llama
        known = 0
        if self._keeps_prefix:
            have = llama.input_ids[: llama.n_tokens]
            size = min(len(have), len(prompt) - 1)
            differ = np.flatnonzero(have[:size] != np.asarray(prompt[:size], dtype=have.dtype))
            known = int(differ[0]) if differ.size else size
            llama.n_tokens = known
        else:
            llama.reset()
        for at in range(known, len(prompt), _BATCH):
            if stopped():
                break
            llama.eval(prompt[at : at + _BATCH])
        return known

    def _chain(self, call: Call) -> Any:
        api = self._api
        chain = api.llama_sampler_chain_init(api.llama_sampler_chain_default_params())
        if not call.tools and self._call_token is not None:
            bias = (api.llama_logit_bias * 1)(api.llama_logit_bias(self._call_token, -np.inf))
            api.llama_sampler_chain_add(
                chain, api.llama_sampler_init_logit_bias(self._words.size, 1, bias)
            )
        if not call.temperature:
            api.llama_sampler_chain_add(chain, api.llama_sampler_init_greedy())
            return chain
        seed = api.LLAMA_DEFAULT_SEED if call.seed is None else call.seed % api.LLAMA_DEFAULT_SEED
        for sampler in (
            api.llama_sampler_init_top_k(40),
            api.llama_sampler_init_top_p(0.95, 1),
            api.llama_sampler_init_min_p(0.05, 1),
            api.llama_sampler_init_temp(call.temperature),
            api.llama_sampler_init_dist(seed),
        ):
            api.llama_sampler_chain_add(chain, sampler)
        return chain

    def _grammar(self, call: Call) -> Any:
        """Return a fresh grammar sampler for the call's tools, or None when there is none.

        llama.cpp kills the process when it meets a bad grammar in use, but says so by NULL
        when it is asked to parse one; only parsed ones are kept and copied.
        """
        if not call.tools:
            return None
        text = grammar_of(call.tools)
        if text not in self._samplers:
            if len(self._samplers) >= _MAX_SAMPLERS:
                oldest = self._samplers.pop(next(iter(self._samplers)))
                if oldest:
                    self._api.llama_sampler_free(oldest)
            sampler = self._api.llama_sampler_init_grammar(
                self._words.handle, text.encode(), b"root"
            )
            if not sampler:
                _log.error("grammar refused by llama.cpp", tools=len(call.tools))
            self._samplers[text] = sampler
        sampler = self._samplers[text]
        return self._api.llama_sampler_clone(sampler) if sampler else None


def _trained_context(api: Any, path: Path) -> int:
    """Return how many tokens the model was trained to read together; 0 when it does not say."""
    parameters = api.llama_model_default_params()
    parameters.vocab_only = True
    model = api.llama_model_load_from_file(str(path).encode(), parameters)
    if not model:
        raise _not_loadable(path)
    try:
        kind = _metadata(api, model, "general.architecture")
        length = _metadata(api, model, f"{kind}.context_length")
        return int(length) if length.isdecimal() else 0
    finally:
        api.llama_model_free(model)


def _metadata(api: Any, model: Any, key: str) -> str:
    buffer = ctypes.create_string_buffer(128)
    api.llama_model_meta_val_str(model, key.encode(), buffer, len(buffer))
    return buffer.value.decode(errors="replace")


def _not_loadable(path: Path) -> ModelUnavailableError:
    return ModelUnavailableError(
        f"The model file {path.name} cannot be loaded: it is damaged or of an unknown kind."
    )


class _Writer:
    """Turns tokens' bytes into whole characters and cuts them at the stop strings."""

    def __init__(self, call: Call, emit: Callable[[str, int], None]) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._stops = StopFilter(call.stop)
        self._emit = emit
        self._tokens = 0

    def take(self, piece: bytes) -> bool:
        """Emit what is whole; True when a stop string was met."""
        self._tokens += 1
        text = self._stops.feed(self._decode.decode(piece))
        if text:
            self._emit(text, self._tokens)
            self._tokens = 0
        return self._stops.hit

    def finish(self) -> None:
        """Emit what was held back; half a character at the end is dropped."""
        text = self._stops.finish()
        if text or self._tokens:
            self._emit(text, self._tokens)
