"""Steps of llama.cpp, through the plain C interface of `llama-cpp-python`.

The engine's defaults: flash attention where it has it, an F16 cache, sequences in streams of their own, micro-batches of 512 tokens,
weights repacked at load. A prefill is one call from an empty cache with the logits of its last token, a decode step one call with a
token of each sequence, after which the cache is put back as it was.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["MICRO_BATCH", "Engine", "llama_version", "opened"]

MICRO_BATCH = 512
"""Tokens that llama.cpp computes in one graph, by default."""


class Engine:
    """A loaded model with a cache for some sequences."""

    def __init__(self, library: Any, model: Any, sequences: int, context: int, vocab: int) -> None:
        self._library, self._vocab = library, vocab
        wanted = library.llama_context_default_params()
        wanted.n_ctx, wanted.n_batch, wanted.n_ubatch, wanted.n_seq_max = sequences * context, context, MICRO_BATCH, sequences
        wanted.no_perf = True
        self._context = library.llama_init_from_model(model, wanted)
        if not self._context:
            raise RuntimeError(f"llama.cpp made no context of {sequences} sequences of {context} tokens")
        self._memory = library.llama_get_memory(self._context)
        self._batch = library.llama_batch_init(context, 0, 1)
        self._tokens = np.random.default_rng(0).integers(0, vocab, context)

    def close(self) -> None:
        """Free it."""
        self._library.llama_batch_free(self._batch)
        self._library.llama_free(self._context)

    def threads(self, count: int) -> None:
        """How many threads later calls run on."""
        self._library.llama_set_n_threads(self._context, count, count)

    def prefill(self, tokens: int) -> None:
        """A prompt of the first sequence, from an empty cache."""
        self._library.llama_memory_clear(self._memory, False)
        self._decode([(0, place) for place in range(tokens)])

    def extend(self, start: int, tokens: int) -> None:
        """Make the first sequence's context longer, from `start` tokens to `tokens`, and forget the others'."""
        for other in range(1, self._library.llama_n_seq_max(self._context)):
            self._library.llama_memory_seq_rm(self._memory, other, -1, -1)
        if start == 0:
            self._library.llama_memory_clear(self._memory, False)
        if tokens > start:
            self._decode([(0, place) for place in range(start, tokens)])

    def spread(self, batch: int) -> None:
        """Give that many sequences the context of the first."""
        for other in range(1, batch):
            self._library.llama_memory_seq_cp(self._memory, 0, other, -1, -1)

    def step(self, tokens: int, batch: int) -> None:
        """One token of each of `batch` sequences, whose contexts of `tokens` tokens stay as they were."""
        self._decode([(each, tokens) for each in range(batch)], every=True)
        for each in range(batch):
            self._library.llama_memory_seq_rm(self._memory, each, tokens, -1)

    def logits(self, rows: int = 1) -> NDArray[np.float32]:
        """What the last call said of the next token: shape `(rows, vocabulary)`; a step says it of each of its sequences."""
        return np.ctypeslib.as_array(self._library.llama_get_logits(self._context), (rows, self._vocab)).copy()

    def _decode(self, places: list[tuple[int, int]], *, every: bool = False) -> None:
        batch = self._batch
        batch.n_tokens = len(places)
        for index, (sequence, place) in enumerate(places):
            batch.token[index] = int(self._tokens[(place + 7 * sequence) % len(self._tokens)])
            batch.pos[index], batch.n_seq_id[index], batch.seq_id[index][0] = place, 1, sequence
            batch.logits[index] = every or index == len(places) - 1
        status = self._library.llama_decode(self._context, batch)
        self._library.llama_synchronize(self._context)
        if status:
            raise RuntimeError(f"llama.cpp refused a batch of {len(places)} tokens: status {status}")


@contextmanager
def opened(path: Path, sequences: int, context: int) -> Iterator[Engine]:
    """The engine with a model loaded, and room for so many sequences of so many tokens. Needs `llama-cpp-python`."""
    library = _library()
    model = library.llama_model_load_from_file(str(path).encode(), library.llama_model_default_params())
    if not model:
        raise RuntimeError(f"llama.cpp could not load {path}")
    engine = Engine(library, model, sequences, context, library.llama_vocab_n_tokens(library.llama_model_get_vocab(model)))
    try:
        yield engine
    finally:
        engine.close()
        library.llama_model_free(model)


def llama_version() -> str:
    """Of the package, and what the library was compiled for."""
    import llama_cpp

    return f"{llama_cpp.__version__}: {_library().llama_print_system_info().decode().strip(' |')}"


@cache
def _library() -> Any:
    """The C interface, silent."""
    import llama_cpp.llama_cpp as library

    @library.llama_log_callback  # type: ignore[untyped-decorator]
    def silent(level: int, text: bytes, data: ctypes.c_void_p) -> None:
        return

    library.llama_log_set(silent, None)
    library.edgewright_silent = silent  # kept alive as long as the library
    library.llama_backend_init()
    return library
