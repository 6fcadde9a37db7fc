"""Kernels by name. Third parties add theirs through the entry-point group `edgewright.kernels` (each loads a module that registers)."""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache

from edgewright.kernels.spec import Kernel

__all__ = ["DuplicateKernel", "UnknownKernel", "kernel", "kernel_names", "register"]

_REGISTRY: dict[str, Kernel] = {}


class UnknownKernel(ValueError):
    """No kernel of that name; the message lists the valid ones and the nearest."""


class DuplicateKernel(ValueError):
    """A second kernel of the same name."""


def register(made: Kernel) -> Kernel:
    """Make the kernel available by its name, and return it. Raises `DuplicateKernel`."""
    if made.name in _REGISTRY:
        raise DuplicateKernel(f"kernel {made.name!r} is already registered")
    _REGISTRY[made.name] = made
    return made


def kernel(name: str) -> Kernel:
    """The kernel of that name; raises `UnknownKernel`."""
    names = kernel_names()
    if name not in _REGISTRY:
        near = get_close_matches(name, names, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise UnknownKernel(f"unknown kernel {name!r}: accepted are {', '.join(names)}{hint}")
    return _REGISTRY[name]


def kernel_names() -> tuple[str, ...]:
    """The names of all kernels, sorted."""
    _load_all()
    return tuple(sorted(_REGISTRY))


@cache
def _load_all() -> None:
    from importlib.metadata import entry_points

    import edgewright.kernels.attention
    import edgewright.kernels.attention_decode
    import edgewright.kernels.channels
    import edgewright.kernels.convolution
    import edgewright.kernels.elementwise
    import edgewright.kernels.experts
    import edgewright.kernels.gemm
    import edgewright.kernels.gemv
    import edgewright.kernels.integer
    import edgewright.kernels.kv_quantise
    import edgewright.kernels.kv_scores
    import edgewright.kernels.kv_tokens
    import edgewright.kernels.latency
    import edgewright.kernels.lut
    import edgewright.kernels.memory
    import edgewright.kernels.peaks
    import edgewright.kernels.products_block
    import edgewright.kernels.products_float
    import edgewright.kernels.products_int8
    import edgewright.kernels.sparse  # noqa: F401

    for entry in entry_points(group="edgewright.kernels"):
        entry.load()
