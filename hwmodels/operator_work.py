"""Terms of the operators other than dense products: the one place where attention, convolution, rows moved and sparse products are counted.

The operators of models (`workloads`) and the kernels that are timed (`hwmodels.kernel_work`) are counted by the same functions. A dense
product is counted by `hwmodels.kernel_work.product`.

How accurate is this? FLOPs of products are exact; those of elementwise passes are an estimate that no roof feels. Bytes are the least that
a fused implementation moves: each operand once.
"""

from __future__ import annotations

from edgewright.hwmodels.work import Quantity, Term

__all__ = ["attention", "causal_pairs", "convolution", "elementwise", "rows_read", "sparse_product"]


def attention(
    kernel: str,
    dtype: str,
    *,
    numbers: Quantity,
    pairs: Quantity,
    rows: Quantity,
    activation_bytes: float,
    cached: Quantity,
    launches: Quantity = 1.0,
) -> Term:
    """Softmax attention, fused: scores never reach memory.

    Args:
        kernel: `attention` or `attention_decode`.
        dtype: its arithmetic.
        numbers: per token, of queries and results together (twice the heads times their width), over all launches.
        pairs: pairs of a query and a key that it sees; each costs a multiply-accumulate for the score and one for the value.
        rows: queries.
        activation_bytes: bytes per number of queries and results.
        cached: bytes of keys and values, read and written.
        launches: how often; the rest is the total over them.
    """
    return Term(kernel, dtype, 2.0 * numbers * pairs, 0.0, numbers * activation_bytes * rows, cached, launches)


def causal_pairs(past: int, new: int, window: int) -> int:
    """Pairs of a query and a key that it sees, `new` tokens after `past` others: the sum of min(p, window), p = past + 1 to past + new."""
    growing = min(max(window - past, 0), new)
    return growing * past + growing * (growing + 1) // 2 + (new - growing) * window


def convolution(
    dtype: str, *, depthwise: bool, taps: float, pixels: Quantity, weights: Quantity, moved: Quantity, launches: Quantity = 1.0
) -> Term:
    """A convolution, or so many alike.

    Args:
        dtype: its arithmetic.
        depthwise: whether each group has a single channel in.
        taps: parameters that meet each pixel.
        pixels: pixels out.
        weights: bytes of parameters of one launch.
        moved: bytes of maps in and out of one launch.
        launches: how many such convolutions.
    """
    kernel = "conv_depthwise" if depthwise else "conv"
    return Term(kernel, dtype, 2.0 * taps * pixels * launches, weights * launches, moved * launches, 0.0, launches)


def elementwise(
    dtype: str, *, numbers: Quantity, activation_bytes: float, weights: Quantity = 0.0, flops: float = 1.25, launches: Quantity = 1.0
) -> Term:
    """A pass over `numbers` numbers, read and written in all, with so many operations for each; `weights` bytes of parameters."""
    return Term("elementwise", dtype, flops * numbers, weights, numbers * activation_bytes, 0.0, launches)


def rows_read(dtype: str, *, numbers: Quantity, weight_bits: float, activation_bytes: float) -> Term:
    """Rows of a table, `numbers` numbers together, read and written as activations."""
    return Term("copy", dtype, 0.0, numbers * weight_bits / 8, numbers * activation_bytes)


def sparse_product(
    kernel: str,
    dtype: str,
    rows: Quantity,
    inputs: Quantity,
    outputs: Quantity,
    *,
    kept: Quantity,
    weights: Quantity,
    activation_bytes: float,
) -> Term:
    """A product with a matrix of which `kept` numbers are multiplied, stored in `weights` bytes; else as `kernel_work.product`."""
    return Term(kernel, dtype, 2.0 * kept * rows, weights, (inputs + outputs) * rows * activation_bytes)
