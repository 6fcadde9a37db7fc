"""What a kernel is to the harness: a shape to make operands of, and a call to time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

from edgewright.kernels.native import NativeFunction, native_function

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array: TypeAlias = "NDArray[Any]"
    Operands: TypeAlias = "tuple[NDArray[Any], ...]"
    MakeOperands: TypeAlias = "Callable[[tuple[int, ...], str, np.random.Generator], tuple[NDArray[Any], ...]]"
else:
    Array = Operands = MakeOperands = object

__all__ = ["DTYPES", "Array", "Kernel", "MakeOperands", "Operands", "native_or"]

DTYPES: Mapping[str, str] = MappingProxyType({"int8": "int8", "fp32": "float32", "fp64": "float64"})
"""NumPy's name of each number format of whole arrays; formats in blocks or bit-planes have modules of their own."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel that can be timed, with the plain form that it must agree with.

    What a call asks of hardware (operations, bytes) is not said here: that is counted once, as `Work`, a house above
    (`hwmodels.kernel_work`).

    Attributes:
        name: unique among the registered kernels.
        axes: the names of the shape's entries, in order.
        dtypes: the number formats it is written for, of the weights where operands differ.
        operands: `(shape, dtype, generator) -> arrays`, filled at random; the first one is written by a call, the others are read,
            and what a call needs besides (packing buffers) comes last.
        run: one call on those arrays; writes the first, returns nothing, allocates nothing that grows.
        reference: the same in plain NumPy: returns what `run` must leave in the first array.
        calibrates: the kernel class that its timings tell about, one of `hwmodels.KERNELS`; by default its name. Empty: they tell
            about a part of the machine instead (a peak, a bandwidth, a latency).
        multiples: the shape's entries are multiples of these; empty: any.
        portable: the Numba form, where `run` is native; `None` where `run` is the only form.
    """

    name: str
    axes: tuple[str, ...]
    dtypes: tuple[str, ...]
    operands: MakeOperands
    run: Callable[..., None]
    reference: Callable[..., Array]
    calibrates: str | None = None
    multiples: tuple[int, ...] = ()
    portable: Callable[..., None] | None = None

    @property
    def kernel_class(self) -> str:
        """The kernel class that it calibrates; empty for a probe of the machine."""
        return self.name if self.calibrates is None else self.calibrates

    @property
    def implementation(self) -> str:
        """`native` or `numba`."""
        return "native" if isinstance(self.run, NativeFunction) else "numba"

    @property
    def forms(self) -> Mapping[str, Callable[..., None]]:
        """Every form of it that runs here, by implementation; the first is `run`."""
        others = {} if self.portable is None or self.portable is self.run else {"numba": self.portable}
        return {self.implementation: self.run, **others}

    def bound(self, operands: Operands) -> Callable[[], None]:
        """One call on those operands, to be made any number of times: what calling costs besides the work is as small as it gets."""
        return self.run.bound(*operands) if isinstance(self.run, NativeFunction) else partial(self.run, *operands)

    def checked(self, shape: tuple[int, ...], dtype: str) -> tuple[int, ...]:
        """The shape, if this kernel can be called with it.

        Raises `ValueError` for a wrong rank, an empty axis, an extent that is not a multiple of what it must be, or an unknown dtype.
        """
        if len(shape) != len(self.axes) or any(extent < 1 for extent in shape):
            raise ValueError(f"kernel {self.name!r} takes a shape ({', '.join(self.axes)}) of positive extents, not {shape}")
        for axis, extent, multiple in zip(self.axes, shape, self.multiples or (1,) * len(shape), strict=True):
            if extent % multiple:
                raise ValueError(f"kernel {self.name!r} takes multiples of {multiple} for {axis}, not {extent}")
        if dtype not in self.dtypes:
            raise ValueError(f"kernel {self.name!r} has no dtype {dtype!r}: accepted are {', '.join(self.dtypes)}")
        return shape


def native_or(symbol: str, dtypes: tuple[str, ...], portable: Callable[..., None]) -> Callable[..., None]:
    """The native function of that name and operand dtypes (NumPy's names), or the portable form where there is no native library."""
    return native_function(symbol, dtypes) or portable
