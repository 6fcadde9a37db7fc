"""Collective communication as a sequence of phases of equal messages, the form in which its alpha-beta cost is exact.

Hockney's model (a message of n bytes takes alpha + n/B; Parallel Computing 20(3), 1994) and the algorithms of Thakur, Rabenseifner and
Gropp, "Optimization of collective communication operations in MPICH", IJHPCA 19(1), 2005. `nbytes` is one device's full buffer: the
input of `allreduce`, `reduce`, `reducescatter` and `alltoall`, the output of `broadcast` and `allgather`. With N devices on a
full-duplex switch, links of B bytes/s and a latency of a seconds:

    | kind          | ring                       | star                                     | tree (L = ceil(log2 N))  |
    | allreduce     | 2(N-1) (a + n/(N B))       | 2 (a + (N-1) n/B)                        | 2 L (a + n/B)            |
    | broadcast     | 2(N-1) (a + n/(N B))       | a + (N-1) n/B                            | L (a + n/B)              |
    | reduce        | as broadcast, reversed     | as broadcast, reversed                   | as broadcast, reversed   |
    | allgather     | (N-1) (a + n/(N B))        | 2a + ((N-1)/N + (N-1)^2/N) n/B           | L a + (N-1)/N n/B        |
    | reducescatter | as allgather, reversed     | as allgather, reversed                   | as allgather, reversed   |
    | alltoall      | (N-1) (a + n/(N B))        | 2 (a + (N-1)^2/N n/B)                    | Bruck: L phases of ~n/2  |

The ring broadcast is a pipelined chain of N segments; the tree broadcast is binomial; the tree all-gather and all-to-all are Bruck's.
The arithmetic of a reduction is not in it (gamma = 0): it is work of the devices, 1 operation per element and message received.

How accurate is this model? Large buffers on dedicated links: within 10-15 %. Small ones depend on the software's alpha, which is
the links' latency and per-message figures. Skew between devices, and protocol changes of a library with size, are not in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

__all__ = ["ALGORITHMS", "KINDS", "Phase", "phases"]

KINDS = ("allreduce", "broadcast", "reduce", "allgather", "reducescatter", "alltoall")
"""What a collective does, as in MPI."""

ALGORITHMS = ("ring", "star", "tree")
"""How its messages travel: round a circle, through the root, or in a logarithmic number of phases."""


class Phase(NamedTuple):
    """Messages sent at the same time, all of one size.

    Attributes:
        pairs: `(sender, receiver)` by rank.
        fraction: size of each message as a fraction of the full buffer.
        repeat: how often the phase is repeated, one after another.
    """

    pairs: tuple[tuple[int, int], ...]
    fraction: float
    repeat: int = 1


def phases(kind: str, ranks: int, algorithm: str) -> tuple[Phase, ...]:
    """The phases of a collective over `ranks` devices, in order; rank 0 is the root. Empty for a single device.

    Raises `ValueError` for an unknown kind or algorithm, or fewer than one device.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown collective {kind!r}: accepted are {', '.join(KINDS)}")
    if algorithm not in ALGORITHMS:
        raise ValueError(f"unknown algorithm {algorithm!r} of a collective: accepted are {', '.join(ALGORITHMS)}")
    if ranks < 1:
        raise ValueError("a collective needs at least one device")
    return _BUILDERS[kind](ranks, algorithm) if ranks > 1 else ()


def _reversed(steps: tuple[Phase, ...]) -> tuple[Phase, ...]:
    """The dual: every message the other way, the phases backwards; a reduction for every distribution."""
    return tuple(Phase(tuple((b, a) for a, b in step.pairs), step.fraction, step.repeat) for step in reversed(steps))


def _inward(ranks: int) -> tuple[tuple[int, int], ...]:
    return tuple((rank, 0) for rank in range(1, ranks))


def _outward(ranks: int) -> tuple[tuple[int, int], ...]:
    return tuple((0, rank) for rank in range(1, ranks))


def _circle(ranks: int, shift: int = 1) -> tuple[tuple[int, int], ...]:
    return tuple((rank, (rank + shift) % ranks) for rank in range(ranks))


def _levels(ranks: int) -> int:
    return (ranks - 1).bit_length()


def _broadcast(ranks: int, algorithm: str) -> tuple[Phase, ...]:
    if algorithm == "star":
        return (Phase(_outward(ranks), 1.0),)
    if algorithm == "tree":
        return tuple(Phase(_binomial(ranks, level), 1.0) for level in range(_levels(ranks)))
    return tuple(Phase(_chain(ranks, step), 1.0 / ranks) for step in range(2 * ranks - 2))


def _binomial(ranks: int, level: int) -> tuple[tuple[int, int], ...]:
    """Level of a binomial tree: those who have the buffer (ranks below 2^level) each send it 2^level further."""
    reach = 1 << level
    return tuple((rank, rank + reach) for rank in range(min(reach, ranks - reach)))


def _chain(ranks: int, step: int) -> tuple[tuple[int, int], ...]:
    """Step of a pipelined chain of `ranks` segments: link i carries segment `step - i`."""
    return tuple((rank, rank + 1) for rank in range(ranks - 1) if 0 <= step - rank < ranks)


def _allgather(ranks: int, algorithm: str) -> tuple[Phase, ...]:
    if algorithm == "ring":
        return (Phase(_circle(ranks), 1.0 / ranks, ranks - 1),)
    if algorithm == "star":
        return (Phase(_inward(ranks), 1.0 / ranks), Phase(_outward(ranks), (ranks - 1) / ranks))
    return tuple(Phase(_circle(ranks, -(1 << level)), min(1 << level, ranks - (1 << level)) / ranks) for level in range(_levels(ranks)))


def _alltoall(ranks: int, algorithm: str) -> tuple[Phase, ...]:
    if algorithm == "ring":
        return tuple(Phase(_circle(ranks, shift), 1.0 / ranks) for shift in range(1, ranks))
    if algorithm == "star":
        return (Phase(_inward(ranks), (ranks - 1) / ranks), Phase(_outward(ranks), (ranks - 1) / ranks))
    return tuple(Phase(_circle(ranks, 1 << level), _blocks(ranks, level) / ranks) for level in range(_levels(ranks)))


def _blocks(ranks: int, level: int) -> int:
    """Blocks that Bruck's all-to-all forwards at a level: those whose distance has that bit set."""
    return sum(1 for distance in range(1, ranks) if distance >> level & 1)


def _reduce(ranks: int, algorithm: str) -> tuple[Phase, ...]:
    return _reversed(_broadcast(ranks, algorithm))


def _reducescatter(ranks: int, algorithm: str) -> tuple[Phase, ...]:
    return _reversed(_allgather(ranks, algorithm))


def _allreduce(ranks: int, algorithm: str) -> tuple[Phase, ...]:
    if algorithm == "ring":
        return (Phase(_circle(ranks), 1.0 / ranks, 2 * (ranks - 1)),)
    return _reduce(ranks, algorithm) + _broadcast(ranks, algorithm)


_BUILDERS: Mapping[str, Callable[[int, str], tuple[Phase, ...]]] = {
    "allreduce": _allreduce,
    "broadcast": _broadcast,
    "reduce": _reduce,
    "allgather": _allgather,
    "reducescatter": _reducescatter,
    "alltoall": _alltoall,
}
