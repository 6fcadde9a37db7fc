"""What an operator asks of hardware: the one place where anything is counted.

Time, memory traffic and energy are all read off the same `Work`; nothing in the project counts an operator a second time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Quantity: TypeAlias = "float | NDArray[np.float64]"
else:
    Quantity = object

__all__ = ["KERNELS", "Quantity", "Term", "Work"]

KERNELS = (
    "gemm",
    "gemv",
    "lut_gemv",
    "attention",
    "attention_decode",
    "conv",
    "conv_depthwise",
    "scan",
    "elementwise",
    "copy",
)
"""The kernel classes that devices may know an efficiency for; see `hwmodels.roofline` for how each is priced."""


@dataclass(frozen=True, slots=True)
class Term:
    """The work of some launches of one kernel shape, all alike.

    Every quantity is the total over `launches`, as a float or as an array with one entry per priced point; sizes per launch,
    which decide efficiency, are `flops / launches`.

    Attributes:
        kernel: kernel class, one of `KERNELS`.
        dtype: number format of the arithmetic (`fp32`, `fp16`, `bf16`, `fp8`, `int8`, `int4`), a key of a device's peaks.
        flops: floating or integer operations; one multiply-accumulate is two.
        weights: bytes of parameters read.
        activations: bytes of activations read and written.
        kv: bytes of KV cache (or recurrent state) read and written.
        launches: kernel launches.
    """

    kernel: str
    dtype: str
    flops: Quantity
    weights: Quantity = 0.0
    activations: Quantity = 0.0
    kv: Quantity = 0.0
    launches: Quantity = 1.0

    @property
    def bytes(self) -> Quantity:
        """Bytes over all tiers."""
        return self.weights + self.activations + self.kv

    def scaled(self, factor: Quantity) -> Term:
        """The same kernel shape, launched `factor` times as often."""
        return replace(
            self,
            flops=self.flops * factor,
            weights=self.weights * factor,
            activations=self.activations * factor,
            kv=self.kv * factor,
            launches=self.launches * factor,
        )


@dataclass(frozen=True, slots=True)
class Work:
    """A sum of `Term`s. Works add and scale, and every price of a work is the sum of the prices of its terms.

    `Work()` is nothing at all; `a + b` is both; `3 * a` is `a` three times (three times the launches, at the same size each).
    """

    terms: tuple[Term, ...] = ()

    @classmethod
    def of(
        cls,
        kernel: str,
        dtype: str,
        flops: Quantity,
        *,
        weights: Quantity = 0.0,
        activations: Quantity = 0.0,
        kv: Quantity = 0.0,
        launches: Quantity = 1.0,
    ) -> Work:
        """The work of one term; the arguments are those of `Term`."""
        return cls((Term(kernel, dtype, flops, weights, activations, kv, launches),))

    def __add__(self, other: Work) -> Work:
        return Work(self.terms + other.terms)

    def __mul__(self, factor: Quantity) -> Work:
        return Work(tuple(term.scaled(factor) for term in self.terms))

    __rmul__ = __mul__

    def __iter__(self) -> Iterator[Term]:
        return iter(self.terms)

    def __bool__(self) -> bool:
        return bool(self.terms)

    @property
    def flops(self) -> dict[str, Quantity]:
        """Operations by dtype."""
        totals: dict[str, Quantity] = {}
        for term in self.terms:
            totals[term.dtype] = totals.get(term.dtype, 0.0) + term.flops
        return totals

    @property
    def bytes(self) -> dict[str, Quantity]:
        """Bytes by tier: `weights`, `activations`, `kv`."""
        totals: dict[str, Quantity] = {"weights": 0.0, "activations": 0.0, "kv": 0.0}
        for term in self.terms:
            totals["weights"] = totals["weights"] + term.weights
            totals["activations"] = totals["activations"] + term.activations
            totals["kv"] = totals["kv"] + term.kv
        return totals

    @property
    def launches(self) -> Quantity:
        """Kernel launches."""
        total: Quantity = 0.0
        for term in self.terms:
            total = total + term.launches
        return total

    @property
    def intensity(self) -> Quantity:
        """Operational intensity, operations per byte (Williams et al., Roofline, CACM 2009)."""
        operations: Quantity = 0.0
        moved: Quantity = 0.0
        for term in self.terms:
            operations = operations + term.flops
            moved = moved + term.bytes
        return operations / moved
