"""Tensors between blocks: how long each lives, what crosses a cut, and how much is alive at once.

Sizes are numbers (not bytes) per row. A chain of blocks needs two buffers at a time (the input and the output of the running block); skip
connections keep a tensor alive until its last reader; blocks that work in place reuse their input's buffer (MCUNet, Lin et al., NeurIPS
2020: a depthwise convolution overwrites its input channel by channel and needs one channel besides).

How accurate is this? The peak is that of a perfect allocator: the lower bound that a real one reaches or exceeds by fragmentation.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Tensor", "lifetimes", "numbers_crossing", "peak_numbers"]


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor between blocks.

    Attributes:
        name: of the block that makes it, or `input`.
        numbers: per row.
        born: index of the block that makes it; -1 for the model's input.
        dies: index of the last block that reads it; the number of blocks for the model's result.
    """

    name: str
    numbers: float
    born: int
    dies: int


def lifetimes(entering: float, blocks: tuple[tuple[str, float, tuple[int, ...] | None], ...]) -> tuple[Tensor, ...]:
    """Tensors of a graph of blocks given as `(name, numbers out, indices read or None for the block before)`; the input first."""
    last = {index: len(blocks) for index in range(-1, len(blocks))}
    for index, (_, _, inputs) in enumerate(blocks):
        for read in (index - 1,) if inputs is None else inputs:
            last[read] = index
    made = [("input", entering, -1), *((name, numbers, index) for index, (name, numbers, _) in enumerate(blocks))]
    return tuple(Tensor(name, numbers, index, last[index]) for name, numbers, index in made)


def numbers_crossing(tensors: tuple[Tensor, ...], cut: int) -> float:
    """Numbers per row that cross a cut: born before block `cut`, read at it or later."""
    return sum(each.numbers for each in tensors if each.born < cut <= each.dies)


def peak_numbers(tensors: tuple[Tensor, ...], scratch: tuple[tuple[float, float | None], ...]) -> float:
    """The most numbers per row alive while any block runs; `scratch` is `(inside, in place)` per block.

    `inside` are numbers that live only in the block; `in place` is the buffer with which it may overwrite an input, None if it may not.
    """
    return max(_alive(tensors, index, inside, in_place) for index, (inside, in_place) in enumerate(scratch))


def _alive(tensors: tuple[Tensor, ...], index: int, inside: float, in_place: float | None) -> float:
    held = sum(each.numbers for each in tensors if each.born < index <= each.dies)
    made = tensors[index + 1].numbers
    if in_place is None:
        return held + inside + made
    reused = max((each.numbers for each in tensors if each.born < index == each.dies), default=0.0)
    return held + inside + min(made, in_place + max(made - reused, 0.0))
