"""Devices that are near each other: groups by single linkage, parted where distances jump (`Cluster.nearby`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

__all__ = ["clustered"]


def clustered(devices: Sequence[str], apart: Iterable[tuple[float, str, str]]) -> tuple[tuple[str, ...], ...]:
    """The groups, from the distances of all pairs, the least first; devices and groups in the order of the devices."""
    groups = {device: [device] for device in devices}
    joins: list[tuple[float, str, str]] = []
    for distance, a, b in apart:
        if _merged(groups, a, b):
            joins.append((distance, a, b))
    jumps = [(after[0] / before[0], place) for place, (before, after) in enumerate(pairwise(joins), 1) if after[0] > 2.0 * before[0]]
    groups = {device: [device] for device in devices}
    for _, a, b in joins[: max(jumps)[1]] if jumps else joins:
        _merged(groups, a, b)
    return tuple(dict.fromkeys(tuple(device for device in devices if groups[device] is groups[each]) for each in devices))


def _merged(groups: dict[str, list[str]], a: str, b: str) -> bool:
    """Join the groups of two devices, the smaller to the larger; False if they are in one already."""
    if groups[a] is groups[b]:
        return False
    large, small = sorted((groups[a], groups[b]), key=len, reverse=True)
    large += small
    groups.update(dict.fromkeys(small, large))
    return True
