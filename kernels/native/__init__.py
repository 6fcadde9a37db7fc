"""Kernels in C, for what Numba cannot reach: byte permutes, dot products of small integers, non-temporal stores. Optional.

Read first: `library.py` (how an entry point is found and called), `edgewright.h` and `paths.c` (how a code path is chosen at run time).
The library is built with the package where there is a C compiler (`pyproject.toml`), or in place by
`python -m edgewright.kernels.native.build`. Without it every kernel that has a Numba form runs that one; `native_status()` says which
it is and why. It is plain C behind ctypes: neither Python's nor NumPy's headers are needed.
"""

from edgewright.kernels.native.library import NativeFunction, NativeStatus, code_path, native_function, native_status

__all__ = ["NativeFunction", "NativeStatus", "code_path", "native_function", "native_status"]
