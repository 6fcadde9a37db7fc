"""Collectives over groups of devices: nodes of several accelerators, racks of boards. The parts within groups and between them.

Within a group the links are taken to be better than between groups. Between groups of one size g, the i-th devices of all groups ("rails")
work side by side, each on 1/g of the buffer (Cho et al., BlueConnect, MLSys 2019; the all-to-all: Rajbhandari et al., DeepSpeed-MoE, 2022).
Groups of unlike size work through leaders (Jia et al., 2018): the first device of each, and the root in its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edgewright.hwmodels.collective_patterns import Phase, placed, reversed_phases, side_by_side, sized

__all__ = ["hierarchical"]

_BETWEEN = 1000


def hierarchical(
    kind: str,
    groups: Sequence[tuple[int, ...]],
    flat: Callable[[str, int, str], tuple[Phase, ...]],
    shares: Sequence[Sequence[float]],
) -> tuple[Phase, ...]:
    """The phases over groups (each sorted, that of the root first); `flat` gives those of one level.

    Raises `ValueError` for an all-gather, reduce-scatter or all-to-all over groups of unlike size.
    """
    if kind in ("reduce", "reducescatter"):
        dual = hierarchical({"reduce": "broadcast", "reducescatter": "allgather"}[kind], groups, flat, shares)
        return reversed_phases(dual, reduces=True)
    if kind == "broadcast":
        return _between_leaders("broadcast", "tree", groups, flat) + _within(groups, "broadcast", "tree", flat)
    if len({len(group) for group in groups}) == 1:
        return _over_rails(kind, groups, flat, shares)
    if kind != "allreduce":
        raise ValueError(f"a hierarchical {kind} over groups of {sorted(map(len, groups))} devices: expected groups of one size")
    gathering = _within(groups, "reduce", "tree", flat)
    return gathering + _between_leaders("allreduce", "ring", groups, flat) + _within(groups, "broadcast", "tree", flat)


def _over_rails(
    kind: str, groups: Sequence[tuple[int, ...]], flat: Callable[[str, int, str], tuple[Phase, ...]], shares: Sequence[Sequence[float]]
) -> tuple[Phase, ...]:
    if kind == "alltoall":
        return _alltoall(groups, shares)
    rails = list(zip(*groups, strict=True))
    between = flat(kind, len(groups), "ring")
    crossing = side_by_side([placed(between, rail, 1.0 / len(rails), _BETWEEN) for rail in rails])
    gathering = _within(groups, "allgather", "ring", flat)
    scattering = _within(groups, "reducescatter", "ring", flat) if kind == "allreduce" else ()
    return scattering + crossing + gathering


def _alltoall(groups: Sequence[tuple[int, ...]], shares: Sequence[Sequence[float]]) -> tuple[Phase, ...]:
    """First to the device of the own group that is on the receiver's rail, pairwise; then along the rails."""
    count, size = len(groups), len(groups[0])
    found: list[Phase] = []
    for shift in range(1, size):
        pairs = [(group[at], group[(at + shift) % size]) for group in groups for at in range(size)]
        rails = [(at + shift) % size for _ in groups for at in range(size)]
        sizes = [sum(shares[sender][other[rail]] for other in groups) for (sender, _), rail in zip(pairs, rails, strict=True)]
        found += sized(pairs, sizes)
    for shift in range(1, count):
        ends = [(here, (here + shift) % count, at) for here in range(count) for at in range(size)]
        pairs = [(groups[here][at], groups[there][at]) for here, there, at in ends]
        sizes = [sum(shares[sender][groups[there][at]] for sender in groups[here]) for here, there, at in ends]
        found += sized(pairs, sizes, level=_BETWEEN)
    return tuple(found)


def _within(
    groups: Sequence[tuple[int, ...]], kind: str, algorithm: str, flat: Callable[[str, int, str], tuple[Phase, ...]]
) -> tuple[Phase, ...]:
    """The same collective in every group, side by side; in each its first device is the root."""
    return side_by_side([placed(flat(kind, len(group), algorithm), group) for group in groups])


def _between_leaders(
    kind: str, algorithm: str, groups: Sequence[tuple[int, ...]], flat: Callable[[str, int, str], tuple[Phase, ...]]
) -> tuple[Phase, ...]:
    return placed(flat(kind, len(groups), algorithm), [group[0] for group in groups], 1.0, _BETWEEN)
