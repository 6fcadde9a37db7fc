"""The one way in which this house compiles: one thread, sums may be reordered, machine code kept between processes.

Importing this module imports Numba; only modules that hold compiled code do so, and the registry loads those on demand.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, cast

from numba import njit

__all__ = ["compiled"]

Function = TypeVar("Function", bound=Callable[..., object])

_SHARED = ("attention_tiles.py", "functions.py", "tiles.py")
_STAMPS = tuple((held.st_mtime, held.st_size) for held in (Path(__file__).with_name(name).stat() for name in _SHARED))


def compiled(function: Function) -> Function:
    """Decorator: compile on the first call with each combination of argument types.

    Machine code is cached beside the source file, or in the user's cache directory where that is not writable (`NUMBA_CACHE_DIR`
    overrides both). Numba notices a change of the function's own file only: keep what a compiled function calls in the same file, or in one
    of those that all share (`_SHARED`), whose changes count as changes of every file.
    Sums may be reordered and multiplications fused, so that they vectorise; NaN and infinities are kept.
    """
    made = njit(function, cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
    index = made._cache._cache_file
    index._source_stamp = (index._source_stamp, _STAMPS)
    return cast(Function, made)
