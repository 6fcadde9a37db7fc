"""Which device holds which expert, and how evenly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Layout", "Table", "quotas", "round_robin_table"]

Table: TypeAlias = NDArray[np.int64]
"""`(layers, experts)`: the rank of the device that holds each expert of each layer."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Experts spread over devices: `ranks[layer][expert]` is the index in `devices` of the one that holds it."""

    devices: tuple[str, ...]
    ranks: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, devices: tuple[str, ...], table: Table) -> Layout:
        """The layout of a table."""
        return cls(devices, tuple(tuple(row) for row in table.tolist()))

    @property
    def table(self) -> Table:
        """The ranks as an array `(layers, experts)`."""
        return np.array(self.ranks, dtype=np.int64)

    def held(self, layer: int, rank: int) -> int:
        """How many experts of the layer (counted from 0) the device holds."""
        return self.ranks[layer].count(rank)


def quotas(experts: int, devices: int) -> list[int]:
    """Experts per device and layer, as even as integers allow; earlier devices get the rest."""
    return [experts // devices + (rank < experts % devices) for rank in range(devices)]


def round_robin_table(layers: int, experts: int, devices: int) -> Table:
    """Expert `e` on device `e mod devices`, in every layer."""
    return np.tile(np.arange(experts) % devices, (layers, 1))
