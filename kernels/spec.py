"""What a kernel is to the harness: a shape to make operands of, and a call to time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array: TypeAlias = "NDArray[Any]"
    Operands: TypeAlias = "tuple[NDArray[Any], ...]"
    MakeOperands: TypeAlias = "Callable[[tuple[int, ...], str, np.random.Generator], tuple[NDArray[Any], ...]]"
else:
    Array = Operands = MakeOperands = object

__all__ = ["DTYPES", "Array", "Kernel", "MakeOperands", "Operands"]

DTYPES: Mapping[str, str] = MappingProxyType({"int8": "int8", "fp32": "float32", "fp64": "float64"})
"""NumPy's name of each number format that a kernel may be timed in."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel that can be timed, with the plain form that it must agree with.

    What a call asks of hardware (operations, bytes) is not said here: that is counted once, as `Work`, a house above.

    Attributes:
        name: unique among the registered kernels; also the kernel class that its timings calibrate.
        axes: the names of the shape's entries, in order.
        dtypes: the number formats it is written for, keys of `DTYPES`.
        operands: `(shape, dtype, generator) -> arrays`, filled at random; the first one is written by a call, the others are read,
            and what a call needs besides (packing buffers) comes last.
        run: one call on those arrays; writes the first, returns nothing, allocates nothing.
        reference: the same in plain NumPy: returns what `run` must leave in the first array.
    """

    name: str
    axes: tuple[str, ...]
    dtypes: tuple[str, ...]
    operands: MakeOperands
    run: Callable[..., None]
    reference: Callable[..., Array]

    def checked(self, shape: tuple[int, ...], dtype: str) -> tuple[int, ...]:
        """The shape, if this kernel can be called with it; raises `ValueError` for a wrong rank, an empty axis or an unknown dtype."""
        if len(shape) != len(self.axes) or any(extent < 1 for extent in shape):
            raise ValueError(f"kernel {self.name!r} takes a shape ({', '.join(self.axes)}) of positive extents, not {shape}")
        if dtype not in self.dtypes:
            raise ValueError(f"kernel {self.name!r} has no dtype {dtype!r}: accepted are {', '.join(self.dtypes)}")
        return shape
