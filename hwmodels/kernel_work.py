"""What a call of a kernel asks of hardware, by the same formulas that count the operators of models.

`product` is the one place where a product with a weight matrix is counted: `workloads.Linear` and the kernels of `gemv` and `gemm`
alike. `kernel_work` turns a kernel's shape and number format into `Work`, so that what was timed can be fitted to what will be priced.

How accurate is this? FLOPs are exact. Bytes are the least that must move: each operand once; a kernel that packs, quantises its
activations or reads an operand again moves more, which its measured efficiency contains.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from edgewright.hwmodels.kernel_work_operators import OPERATOR_WORKS
from edgewright.hwmodels.work import Quantity, Term, Work

__all__ = ["FORMATS", "KernelFormat", "kernel_work", "product", "works_known"]


@dataclass(frozen=True, slots=True)
class KernelFormat:
    """What a kernel's number format takes in memory, and what it is multiplied in.

    Attributes:
        arithmetic: a key of `Engine.peaks`.
        weight_bits: bits per weight, scales of blocks included.
        activation_bits: bits per number of the other operand and of the result.
        row_bits: bits besides for each row of weights (output): its scale.
    """

    arithmetic: str
    weight_bits: float
    activation_bits: float = 32.0
    row_bits: float = 0.0


FORMATS: Mapping[str, KernelFormat] = MappingProxyType(
    {
        "fp32": KernelFormat("fp32", 32.0),
        "fp64": KernelFormat("fp64", 64.0, 64.0),
        "fp16": KernelFormat("fp16", 16.0),
        "bf16": KernelFormat("bf16", 16.0),
        "int8": KernelFormat("int8", 8.0, row_bits=32.0),
        "q8_0": KernelFormat("int8", 8 + 16 / 32),
        "q4_0": KernelFormat("int8", 4 + 16 / 32),
        "q2_0": KernelFormat("int8", 2 + 16 / 32),
        **{f"int{bits}": KernelFormat("int8", bits + 16 / 128) for bits in (1, 2, 3, 4)},
    }
)
"""The formats of product kernels, by the names that the kernels give them."""


def product(
    kernel: str,
    dtype: str,
    rows: Quantity,
    inputs: Quantity,
    outputs: Quantity,
    *,
    weights: Quantity,
    activation_bytes: float,
    launches: Quantity = 1.0,
) -> Term:
    """A product of `rows` rows of activations with a weight matrix, `launches` times.

    Args:
        kernel: its kernel class.
        dtype: its arithmetic.
        rows, inputs, outputs: extents of one launch.
        weights: bytes of weights that one launch reads.
        activation_bytes: bytes per activation, in and out.
        launches: how many such products.
    """
    return Term(
        kernel,
        dtype,
        2.0 * inputs * outputs * rows * launches,
        weights * launches,
        (inputs + outputs) * rows * activation_bytes * launches,
        0.0,
        launches,
    )


def kernel_work(name: str, shape: tuple[int, ...], dtype: str) -> Work:
    """What one call of the kernel `name` asks for at that shape (extents along its axes) and format.

    Probes of memory count the bytes that they read and write, under the class that streams are priced in; probes of arithmetic count
    operations and no bytes. Raises `ValueError` for a
    kernel that nothing is known of (a pointer chase asks for no bytes or operations that a price could follow).
    """
    known = _WORKS.get(name)
    if known is None:
        raise ValueError(f"the work of kernel {name!r} is not known: accepted are {', '.join(_WORKS)}")
    return known(shape, dtype)


def works_known() -> tuple[str, ...]:
    """The kernels whose work is known."""
    return tuple(_WORKS)


def _matrix(kernel: str, rows: int, inputs: int, outputs: int, dtype: str, activation_bits: float | None = None) -> Work:
    form = FORMATS[dtype]
    weights = outputs * (inputs * form.weight_bits + form.row_bits) / 8
    moved = (form.activation_bits if activation_bits is None else activation_bits) / 8
    return Work((product(kernel, form.arithmetic, rows, inputs, outputs, weights=weights, activation_bytes=moved),))


def _gemv(shape: tuple[int, ...], dtype: str) -> Work:
    m, n = shape
    return _matrix("gemv", 1, n, m, dtype)


def _lut_gemv(shape: tuple[int, ...], dtype: str) -> Work:
    m, n = shape
    return _matrix("lut_gemv", 1, n, m, dtype)


def _gemm(shape: tuple[int, ...], dtype: str) -> Work:
    m, n, k = shape
    return _matrix("gemm", m, k, n, dtype)


def _torch_gemv(shape: tuple[int, ...], dtype: str) -> Work:
    m, n = shape
    return _matrix("gemv", 1, n, m, dtype, FORMATS[dtype].weight_bits)


def _torch_gemm(shape: tuple[int, ...], dtype: str) -> Work:
    m, n, k = shape
    return _matrix("gemm", m, k, n, dtype, FORMATS[dtype].weight_bits)


def _peak(shape: tuple[int, ...], dtype: str) -> Work:
    return Work.of("gemm", dtype, 2.0 * shape[0])


def _stream(kernel: str, arrays: int, operations: float) -> Callable[[tuple[int, ...], str], Work]:
    """A pass over that many arrays, with so many operations per element; the shape is (n) or (n, passes)."""

    def work(shape: tuple[int, ...], dtype: str) -> Work:
        size = {"int8": 1, "fp32": 4, "fp64": 8}[dtype]
        count = float(shape[0] * (shape[1] if len(shape) > 1 else 1))
        return Work.of(kernel, dtype, operations * count, activations=arrays * size * count)

    return work


_WORKS: Mapping[str, Callable[[tuple[int, ...], str], Work]] = MappingProxyType(
    {
        "copy": _stream("copy", 2, 0.0),
        "copy_past": _stream("copy", 2, 0.0),
        "read": _stream("elementwise", 1, 1.0),
        "triad": _stream("elementwise", 3, 2.0),
        "triad_past": _stream("elementwise", 3, 2.0),
        **{f"peak_{dtype}": _peak for dtype in ("fp64", "fp32", "fp16", "bf16", "int8")},
        "gemv": _gemv,
        "gemm": _gemm,
        **{f"gemv_{format}": _gemv for format in ("fp16", "bf16", "int8", "q4_0", "q2_0")},
        **{f"gemm_{format}": _gemm for format in ("fp16", "bf16", "int8", "q4_0", "q2_0")},
        "gemm_packed": _gemm,
        "lut_gemv": _lut_gemv,
        "torch_gemv": _torch_gemv,
        "torch_gemm": _torch_gemm,
        **OPERATOR_WORKS,
    }
)
