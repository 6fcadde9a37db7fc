"""How the express loop is compiled: one thread, operations as written, machine code kept between processes.

Importing this module imports Numba; only modules that hold compiled code of the loop do so.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

from numba import njit

__all__ = ["compiled"]

Function = TypeVar("Function", bound=Callable[..., Any])

_FILES = ("express_books.py", "express_loop.py", "express_pass_loop.py", "express_prices.py", "express_records.py")
_STAMPS = tuple((held.st_mtime, held.st_size) for held in (Path(__file__).with_name(name).stat() for name in _FILES))


def compiled(function: Function) -> Function:
    """Decorator: compile on the first call.

    Numba notices a change of the function's own file only; here a change of any of the loop's files counts as one of each, as they
    call one another and share constants.
    """
    made = njit(function, cache=True, nogil=True, error_model="numpy")
    index = made._cache._cache_file
    index._source_stamp = (index._source_stamp, _STAMPS)
    return cast(Function, made)
