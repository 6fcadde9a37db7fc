"""The native library: found beside this file, checked, and called through ctypes.

A call costs some 0.3 microseconds once its arrays are bound to it (`NativeFunction.bound`), about what a compiled Numba function costs.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgewright.kernels.spec import Array

__all__ = ["INTERFACE", "PATHS", "NativeFunction", "NativeStatus", "code_path", "native_function", "native_status"]

INTERFACE = 2
"""The number of entry points, operands and packings that this package expects; `EW_INTERFACE` in `edgewright.h`."""
PATHS = ("plain", "neon", "avx2", "avx512", "avx512_bf16")
"""Code paths by their number in `edgewright.h`. `avx512` needs its byte permutes and dot products too (VBMI, VNNI)."""
SUFFIXES = (".so", ".dylib", ".pyd")


class _Operand(ctypes.Structure):
    _fields_ = (("data", ctypes.c_void_p), ("shape", ctypes.c_int64 * 4))


@dataclass(frozen=True, slots=True)
class NativeStatus:
    """Whether native kernels are in use, and why.

    Attributes:
        available: whether they are.
        path: the code path in use, one of `PATHS`; empty without the library.
        paths: all code paths that this processor can run.
        reason: in words, for people.
        file: the library.
    """

    available: bool
    path: str
    paths: tuple[str, ...]
    reason: str
    file: Path | None = None


class NativeFunction:
    """An entry point of the library, called with arrays like any kernel.

    Attributes:
        symbol: its name in C.
        dtypes: NumPy's names of the dtypes of its operands, in order.
    """

    def __init__(self, symbol: str, dtypes: tuple[str, ...], entry: Callable[[ctypes.Array[_Operand]], None]) -> None:
        self.symbol, self.dtypes, self._entry = symbol, dtypes, entry

    def bound(self, *arrays: Array) -> Callable[[], None]:
        """The call on these arrays: what is returned takes nothing, and costs little more than the work itself.

        Raises `ValueError` for arrays of other dtypes, a rank above 4, or that are not C-contiguous: C would read past them.
        """
        self._check(arrays)
        operands = (_Operand * len(arrays))()
        for operand, array in zip(operands, arrays, strict=True):
            operand.data = array.ctypes.data
            operand.shape[: array.ndim] = array.shape
        entry = self._entry

        def call(_kept: tuple[Array, ...] = arrays) -> None:
            entry(operands)

        return call

    def __call__(self, *arrays: Array) -> None:
        self.bound(*arrays)()

    def _check(self, arrays: tuple[Array, ...]) -> None:
        if tuple(str(array.dtype) for array in arrays) != self.dtypes:
            raise ValueError(f"{self.symbol} takes arrays of {', '.join(self.dtypes)}, not of {', '.join(str(a.dtype) for a in arrays)}")
        for place, array in enumerate(arrays):
            if array.ndim > 4 or not array.flags.c_contiguous:
                raise ValueError(f"{self.symbol} takes C-contiguous arrays of at most 4 axes; operand {place} is not one")


def native_status() -> NativeStatus:
    """Which implementation native kernels have in this process, and why."""
    library, file, reason = _found()
    if library is None:
        return NativeStatus(False, "", (), reason, file)
    runs = tuple(name for number, name in enumerate(PATHS) if library.ew_runs(number))
    path = PATHS[library.ew_path()]
    return NativeStatus(True, path, runs, f"native kernels on the path {path}, the widest of: {', '.join(runs)}", file)


def native_function(symbol: str, dtypes: tuple[str, ...]) -> NativeFunction | None:
    """The entry point of that name, `None` without the library."""
    library = _found()[0]
    if library is None:
        return None
    entry = getattr(library, symbol)
    entry.restype = None
    return NativeFunction(symbol, dtypes, entry)


@contextmanager
def code_path(name: str) -> Iterator[None]:
    """Run native kernels on another of `PATHS` while the context lasts, in all threads: for tests and comparisons.

    Raises `ValueError` for one that this processor cannot run.
    """
    status = native_status()
    library = _found()[0]
    if library is None or name not in status.paths:
        raise ValueError(f"no native code path {name!r} here: accepted are {', '.join(status.paths) or 'none'}")
    library.ew_use(PATHS.index(name))
    try:
        yield
    finally:
        library.ew_use(PATHS.index(status.path))


@cache
def _found() -> tuple[ctypes.CDLL | None, Path | None, str]:
    """The library, its file, and why there is none."""
    if os.environ.get("EDGEWRIGHT_NATIVE") == "off":
        return None, None, "Numba kernels: native ones are switched off by EDGEWRIGHT_NATIVE=off"
    built = sorted(path for path in Path(__file__).parent.glob("_edgewright*") if path.suffix in SUFFIXES)
    if not built:
        return None, None, "Numba kernels: native ones were not built (no C compiler?); `python -m edgewright.kernels.native.build` does"
    file = max(built, key=lambda path: path.stat().st_mtime_ns)
    try:
        library = ctypes.CDLL(str(file))
    except OSError as error:
        return None, file, f"Numba kernels: {file.name} cannot be loaded: {error}"
    if library.ew_interface() != INTERFACE:
        return None, file, f"Numba kernels: {file.name} was built from other sources; `python -m edgewright.kernels.native.build` renews it"
    widest = max(number for number in range(len(PATHS)) if library.ew_runs(number))
    library.ew_use(widest)
    return library, file, ""
