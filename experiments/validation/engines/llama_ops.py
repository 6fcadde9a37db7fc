"""Operators of llama.cpp timed alone: a graph of equal nodes, whose weights (or caches) are used in turn and so are met cold.

The time of one is the graph's over the number of nodes: what starting a graph costs is spread over them, and `launch` times it alone.
Results that nobody reads share memory, as a graph's allocator would have it.

How wrong: the rows that enter a product are the same for all nodes and stay in the nearest cache, where a model's were just written by
another core, or pushed out by what came between.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from edgewright.experiments.validation.engines.ggml import Bench, Tensor
from edgewright.experiments.validation.engines.llama_graph import Op
from edgewright.kernels import Effort
from edgewright.kernels.foreign import CallTime, time_calls

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["COLD_BYTES", "PADDING", "time_operator"]

COLD_BYTES = 3 * 2**25
"""Bytes of weights that a graph goes through: three last-level caches of 32 MiB."""
PADDING = 256
"""Cells of the cache are attended to in multiples of this."""

_LEAST_NODES, _MOST_NODES, _MOST_COMPOSED = 2, 512, 64
_MOST_FLOPS = 2e9
_EFFORT = Effort(relative=0.03, budget=0.12)
_SLOW_EFFORT = Effort(relative=0.03, confidence=0.75, repeats=3, budget=0.0)
_SLOW = 0.08


def time_operator(op: Op) -> CallTime:
    """Seconds of one such node. Raises `ValueError` for an unknown kind, `ImportError` without llama.cpp."""
    if op.kind not in _BUILDERS:
        raise ValueError(f"{op.kind!r} is no operator: accepted are {', '.join(_BUILDERS)}")
    flops, cold = _asks(op)
    most = 1 if op.kind == "launch" else _MOST_COMPOSED if op.kind in ("route", "mix") else _MOST_NODES
    nodes = int(np.clip(ceil(COLD_BYTES / max(cold, 1)), min(_LEAST_NODES, most), most))
    nodes = max(min(nodes, int(_MOST_FLOPS / max(flops, 1))), _LEAST_NODES if 2 * flops < _MOST_FLOPS else 1)
    with Bench(op.threads) as bench:
        _BUILDERS[op.kind](bench, op, nodes)
        bench.compute()
        once = time_calls(bench.compute, effort=Effort(confidence=0.1, repeats=2, budget=0.0), threads=op.threads)
        found = time_calls(bench.compute, effort=_SLOW_EFFORT if once.seconds > _SLOW else _EFFORT, threads=op.threads)
    return replace(found, seconds=found.seconds / nodes, low=found.low / nodes, high=found.high / nodes)


def _asks(op: Op) -> tuple[float, float]:
    """Operations of a node, and bytes that are met cold."""
    shape = op.shape
    if op.kind == "mul_mat":
        return 2.0 * shape[0] * shape[1] * shape[2], shape[1] * shape[2] * _BYTES[op.format]
    if op.kind == "mul_mat_id":
        rows, active, _, experts, n, k = shape
        return 2.0 * rows * active * n * k, min(rows * active, experts) * n * k * _BYTES[op.format]
    if op.kind == "attention":
        rows, past, streams, heads, kv_heads, size = shape
        return 4.0 * rows * (past + rows) * streams * heads * size, 4.0 * (past + rows) * streams * kv_heads * size
    return 0.0, 8.0 * float(np.prod(shape[:2])) + COLD_BYTES / 256


_BYTES = {"F32": 4.0, "F16": 2.0, "Q8_0": 34 / 32, "Q4_0": 18 / 32}


def _mul_mat(bench: Bench, op: Op, nodes: int) -> None:
    rows, n, k = op.shape
    weights = [bench.tensor(op.format, k, n) for _ in range(nodes)]
    bench.place_weights(weights, repacked=op.format == "Q4_0" and n % 8 == 0)
    entering = bench.tensor("F32", k, rows)
    bench.place([entering])
    _set_numbers(bench, entering, (rows, k))
    _finish(bench, [bench.op("mul_mat", each, entering) for each in weights])


def _mul_mat_id(bench: Bench, op: Op, nodes: int) -> None:
    rows, active, shared, experts, n, k = op.shape
    weights = [bench.tensor(op.format, k, n, experts) for _ in range(nodes)]
    bench.place_weights(weights, repacked=op.format == "Q4_0" and n % 8 == 0)
    generator = np.random.default_rng(0)
    entering, routes = bench.tensor("F32", k, 1 if shared else active, rows), [bench.tensor("I32", active, rows) for _ in weights]
    bench.place([entering, *routes])
    _set_numbers(bench, entering, (rows, 1 if shared else active, k))
    for each in routes:
        bench.set(each, np.argsort(generator.random((rows, experts)), axis=1)[:, :active].astype(np.int32))
    _finish(bench, [bench.op("mul_mat_id", weight, entering, route) for weight, route in zip(weights, routes, strict=True)])


def _attention(bench: Bench, op: Op, nodes: int) -> None:
    rows, past, streams, heads, kv_heads, size = op.shape
    cells = ceil((past + rows) / PADDING) * PADDING
    asking = bench.tensor("F32", size, heads, rows * streams)
    caches = [
        (bench.tensor("F16", size, kv_heads, cells, streams), bench.tensor("F16", size, kv_heads, cells, streams)) for _ in range(nodes)
    ]
    mask = bench.tensor("F16", cells, rows, 1, streams)
    bench.place([asking, mask, *(each for pair in caches for each in pair)])
    _set_numbers(bench, asking, (rows * streams, heads, size))
    seen = np.arange(cells)[None, :] <= past + np.arange(rows)[:, None]
    one = np.where(seen, 0.0, -np.inf).astype(np.float16)
    bench.set(mask, np.ascontiguousarray(np.broadcast_to(one, (streams, rows, cells))))
    step = 4 * size * heads
    parted = bench.view(bench.op("view_4d", asking, size, heads, rows, streams, 4 * size, step, step * rows, 0))
    turned = bench.view(bench.op("permute", parted, 0, 2, 1, 3))
    made = []
    for keys, values in caches:
        pair = (bench.view(bench.op("permute", each, 0, 2, 1, 3)) for each in (keys, values))
        made.append(bench.op("flash_attn_ext", turned, *pair, mask, size**-0.5, 0.0, 0.0))
    _finish(bench, made)


def _norm(bench: Bench, op: Op, nodes: int) -> None:
    rows, size = op.shape
    entering, weight = bench.tensor("F32", size, rows), bench.tensor("F32", size)
    bench.place([entering, weight])
    normed = [bench.op("rms_norm", entering, 1e-5) for _ in range(nodes)]
    bench.place(normed, shared=True)
    _finish(bench, [bench.op("mul", each, weight) for each in normed])


def _pairwise(name: str, *, broadcast: bool = False) -> Callable[[Bench, Op, int], None]:
    def build(bench: Bench, op: Op, nodes: int) -> None:
        rows, size = op.shape
        first, second = bench.tensor("F32", size, rows), bench.tensor("F32", size, 1 if broadcast else rows)
        bench.place([first, second])
        for each, count in ((first, rows), (second, 1 if broadcast else rows)):
            _set_numbers(bench, each, (count, size))
        _finish(bench, [bench.op(name, first, second) for _ in range(nodes)])

    return build


def _store(bench: Bench, op: Op, nodes: int) -> None:
    rows, size = op.shape
    target, source, places = bench.tensor("F16", size, 2048), bench.tensor("F32", size, rows), bench.tensor("I64", rows)
    bench.place([target, source, places])
    _set_numbers(bench, source, (rows, size))
    bench.set(places, np.arange(rows, dtype=np.int64))
    for _ in range(nodes):
        bench.add(bench.view(bench.op("set_rows", target, source, places)))


def _gather(bench: Bench, op: Op, nodes: int) -> None:
    rows, size = op.shape
    table, places = bench.tensor(op.format, size, 4096), bench.tensor("I32", rows)
    bench.place([table, places])
    bench.set(places, np.random.default_rng(0).integers(0, 4096, rows).astype(np.int32))
    _finish(bench, [bench.op("get_rows", table, places) for _ in range(nodes)])


def _rope(bench: Bench, op: Op, nodes: int) -> None:
    rows, heads, size = op.shape
    entering, places = bench.tensor("F32", size, heads, rows), bench.tensor("I32", rows)
    bench.place([entering, places])
    _set_numbers(bench, entering, (rows, heads, size))
    bench.set(places, np.arange(rows, dtype=np.int32))
    figures = (size, 0, 4096, 10000.0, 1.0, 0.0, 1.0, 32.0, 1.0)
    _finish(bench, [bench.op("rope_ext", entering, places, None, *figures) for _ in range(nodes)])


def _route(bench: Bench, op: Op, nodes: int) -> None:
    rows, experts, active = op.shape
    scores = bench.tensor("F32", experts, rows)
    bench.place([scores])
    _set_numbers(bench, scores, (rows, experts))
    for _ in range(nodes):
        chances = bench.op("soft_max", scores)
        bench.place([chances])
        order = bench.op("argsort", chances, 1)
        bench.place([order])
        best = bench.view(bench.op("view_2d", order, active, rows, 4 * experts, 0))
        parted = bench.view(bench.op("reshape_3d", chances, 1, experts, rows))
        weights = bench.op("get_rows", parted, best)
        bench.place([weights])
        flat = bench.view(bench.op("reshape_2d", weights, active, rows))
        total = bench.op("sum_rows", flat)
        bench.place([total])
        bounded = bench.op("clamp", total, 6.1e-5, float("inf"))
        bench.place([bounded])
        _finish(bench, [bench.op("div", flat, bounded)])


def _mix(bench: Bench, op: Op, nodes: int) -> None:
    rows, active, size = op.shape
    results, weights = bench.tensor("F32", size, active, rows), bench.tensor("F32", 1, active, rows)
    bench.place([results, weights])
    for _ in range(nodes):
        weighed = bench.op("mul", results, weights)
        bench.place([weighed])
        parts = [bench.view(bench.op("view_2d", weighed, size, rows, 4 * size * active, 4 * size * place)) for place in range(active)]
        total = parts[0]
        for part in parts[1:]:
            total = bench.op("add", total, part)
            bench.place([total])
        bench.add(total)


def _launch(bench: Bench, op: Op, nodes: int) -> None:
    first, second = bench.tensor("F32", 64), bench.tensor("F32", 64)
    bench.place([first, second])
    _finish(bench, [bench.op("add", first, second)])


def _set_numbers(bench: Bench, tensor: Tensor, shape: tuple[int, ...]) -> None:
    values: NDArray[np.float32] = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    bench.set(tensor, values)


def _finish(bench: Bench, made: list[Tensor]) -> None:
    bench.place(made, shared=True)
    for each in made:
        bench.add(each)


_BUILDERS: Mapping[str, Callable[[Bench, Op, int], None]] = {
    "mul_mat": _mul_mat,
    "mul_mat_id": _mul_mat_id,
    "attention": _attention,
    "norm": _norm,
    "add": _pairwise("add"),
    "bias": _pairwise("add", broadcast=True),
    "swiglu": _pairwise("swiglu_split"),
    "store": _store,
    "gather": _gather,
    "rope": _rope,
    "route": _route,
    "mix": _mix,
    "launch": _launch,
}
