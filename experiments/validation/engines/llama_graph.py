"""What llama.cpp computes in a step: the operators of its graph, with their shapes, as its builders lay them out.

One graph for every micro-batch of 512 tokens; norms and their products with the weights run as one node; keys and values are stored at
F16; attention goes over the cache padded to 256 cells, one stream per sequence; after the last attention only the rows whose logits are
asked for go on. A mixture's route is eight small nodes, its experts three products by index, whose results are weighed and added up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from edgewright.experiments.validation.engines.cases import FORMATS, LLMS, Llm, LlmCase, llm_cases
from edgewright.experiments.validation.engines.llama_run import MICRO_BATCH

__all__ = ["TIMED_ALONE", "Op", "graphs_of", "operators_of", "suite"]

TIMED_ALONE = ("mul_mat", "mul_mat_id", "attention")
"""Kinds that are timed at the very shapes of the models; the time of all others is a function of their size."""

_ROWS, _NUMBERS = (1, 2, 4, 8, 32, 128, 512), (192, 768, 2048, 8192)
_SMALL = ("norm", "add", "bias", "swiglu", "store")


@dataclass(frozen=True, slots=True)
class Op:
    """An operator of ggml.

    Attributes:
        kind: with the entries of `shape`: `mul_mat` (rows, n, k), `mul_mat_id` (tokens, active, shared, experts, n, k; `shared`: 1 where
            all experts of a token read the same row), `attention` (rows, past, streams, heads, kv_heads, head_dim), `norm`, `add`, `bias`,
            `swiglu`, `store`, `gather` (rows, numbers), `rope` (rows, heads, head_dim), `route` (rows, experts, active), `mix` (rows,
            active, numbers).
        shape: see `kind`.
        format: of its weights; empty where it has none.
        threads: it runs on.
    """

    kind: str
    shape: tuple[int, ...]
    format: str
    threads: int


def suite() -> tuple[Op, ...]:
    """What is timed alone: products and attention of all cases, small operators over sizes, and the start of a graph."""
    found = dict.fromkeys(
        op for model in LLMS.values() for format in FORMATS for case in llm_cases(model, format) for op in operators_of(case)
    )
    ops = [op for op in found if op.kind in TIMED_ALONE]
    for threads in sorted({op.threads for op in ops}):
        ops.append(Op("launch", (), "", threads))
        ops += [
            Op(kind, (rows, numbers), "", threads) for kind in _SMALL for rows in _ROWS for numbers in _NUMBERS[:: 1 if rows < 64 else 2]
        ]
        ops += [Op("gather", (rows, 1024), format, threads) for format in ("F32", *FORMATS) for rows in (1, 8, 128)]
        ops += [Op("rope", (rows, heads, 64), "", threads) for rows in _ROWS for heads in (3, 12, 32)]
        ops += [Op("route", (rows, experts, 4), "", threads) for rows in (1, 4, 32, 128) for experts in (8, 32)]
        ops += [Op("mix", (rows, active, 1024), "", threads) for rows in (1, 4, 32, 128) for active in (2, 4)]
    return tuple(ops)


def graphs_of(case: LlmCase) -> Iterator[tuple[int, int, int, int]]:
    """The graphs of a step: tokens of each sequence, tokens in its cache before, sequences, and rows of logits."""
    if case.phase == "decode":
        yield 1, case.tokens, case.batch, case.batch
        return
    for start in range(0, case.tokens, MICRO_BATCH):
        rows = min(MICRO_BATCH, case.tokens - start)
        yield rows, start, 1, int(start + rows == case.tokens)


def operators_of(case: LlmCase) -> Iterator[Op]:
    """All operators of a step, in order."""
    model = LLMS[case.model]
    for rows, past, streams, logits in graphs_of(case):
        yield from _graph(model, case, rows * streams, (rows, past, streams), logits)


def _graph(model: Llm, case: LlmCase, rows: int, attended: tuple[int, int, int], logits: int) -> Iterator[Op]:
    def op(kind: str, *shape: int, format: str = "") -> Op:
        return Op(kind, shape, format, case.threads)

    yield op("gather", rows, model.hidden, format=case.format)
    for layer in range(model.layers):
        yield from _attention(model, case, rows, attended)
        left = rows
        if layer == model.layers - 1 and logits < rows:
            left = logits
            if left:
                yield from [op("gather", left, model.hidden, format="F32")] * 2
        if not left:
            return
        yield op("add", left, model.hidden)
        yield op("norm", left, model.hidden)
        yield from _experts(model, case, left) if model.experts else _dense(model, case, left)
        yield op("add", left, model.hidden)
    yield op("norm", logits, model.hidden)
    yield op("mul_mat", logits, model.vocab, model.hidden, format=case.format)


def _attention(model: Llm, case: LlmCase, rows: int, attended: tuple[int, int, int]) -> Iterator[Op]:
    def op(kind: str, *shape: int, format: str = "") -> Op:
        return Op(kind, shape, format, case.threads)

    queries, keys = model.heads * model.head_dim, model.kv_heads * model.head_dim
    yield op("norm", rows, model.hidden)
    for outputs in (queries, keys, keys):
        yield op("mul_mat", rows, outputs, model.hidden, format=case.format)
        if model.family == "qwen2":
            yield op("bias", rows, outputs)
    yield op("rope", rows, model.heads, model.head_dim)
    yield op("rope", rows, model.kv_heads, model.head_dim)
    yield from [op("store", rows, keys)] * 2
    yield op("attention", *attended, model.heads, model.kv_heads, model.head_dim)
    yield op("mul_mat", rows, model.hidden, queries, format=case.format)


def _dense(model: Llm, case: LlmCase, rows: int) -> Iterator[Op]:
    yield from [Op("mul_mat", (rows, model.inner, model.hidden), case.format, case.threads)] * 2
    yield Op("swiglu", (rows, model.inner), "", case.threads)
    yield Op("mul_mat", (rows, model.hidden, model.inner), case.format, case.threads)


def _experts(model: Llm, case: LlmCase, rows: int) -> Iterator[Op]:
    routed = (rows, model.active)
    yield Op("mul_mat", (rows, model.experts, model.hidden), "F32", case.threads)
    yield Op("route", (rows, model.experts, model.active), "", case.threads)
    yield from [Op("mul_mat_id", (*routed, 1, model.experts, model.inner, model.hidden), case.format, case.threads)] * 2
    yield Op("swiglu", (rows * model.active, model.inner), "", case.threads)
    yield Op("mul_mat_id", (*routed, 0, model.experts, model.hidden, model.inner), case.format, case.threads)
    yield Op("mix", (*routed, model.hidden), "", case.threads)
