"""Placements that keep tokens where they are: the least number of crossings between consecutive layers of experts.

The integer program of Yao et al., "Exploiting Inter-Layer Expert Affinity for Accelerating Mixture-of-Experts Model Inference" (ExFlow),
IPDPS 2024, over transition counts in place of single tokens: binaries `x[l, e, g]` (expert e of layer l on device g), one device per
expert, a fixed number of experts per device and layer, `y[l, i, j] >= x[l, i, g] - x[l + 1, j, g]` for every device, and the least
`sum counts[l, i, j] * y[l, i, j]`.

`staged_table` first keeps tokens on nodes, then, of those that stay on theirs, on devices: links between nodes are the slower ones.

`swept_table` is the fallback for sizes where that takes too long: layer by layer the exact best assignment given its neighbours
(Hungarian algorithm), until no layer improves. It is a local optimum.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgewright.policies.experts.layout import Table, quotas
from edgewright.policies.experts.routes import Counts, Routes
from edgewright.workloads import Stream

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["crossings", "exact_table", "flows", "staged_table", "swept_table", "transition_counts"]


def transition_counts(routes: Routes, experts: int) -> Counts:
    """`(layers - 1, experts, experts)`: tokens whose first expert in a layer was `i` and that chose `j` in the next."""
    first, following = routes[:-1, :, :1], routes[1:]
    layers = np.arange(len(first))[:, None, None]
    flat = (layers * experts + first) * experts + following
    return np.bincount(flat.ravel(), minlength=len(first) * experts**2).reshape(len(first), experts, experts).astype(float)


def crossings(counts: Counts, table: Table) -> float:
    """Transitions between experts on different devices."""
    apart = table[:-1, :, None] != table[1:, None, :]
    return float((counts * apart).sum())


def flows(counts: Counts, table: Table, devices: int) -> Counts:
    """`(layers, devices, devices)`: which share of a layer's sent vectors goes from each device to each; a layer's shares add up to 1.

    Tokens come to the first layer from all devices alike, and to the others from where their first expert was. A layer that sends nothing
    has even shares.
    """
    held = (table[:, :, None] == np.arange(devices)).astype(float)
    arriving = np.tile(counts[0].sum(axis=1) @ held[0], (devices, 1))
    moving = np.einsum("lig,lij,ljh->lgh", held[:-1], counts, held[1:], optimize=True)
    apart = np.concatenate((arriving[None], moving)) * (1.0 - np.eye(devices))
    total = apart.sum(axis=(1, 2), keepdims=True)
    even = (1.0 - np.eye(devices)) / (devices * max(1, devices - 1))
    return np.where(total > 0.0, apart / np.where(total > 0.0, total, 1.0), even)


def staged_table(counts: Counts, nodes: Sequence[Sequence[int]], solve: Callable[[Counts, int], Table]) -> Table:
    """The placement that `solve` finds over nodes, and then over each node's devices for the transitions that stay there.

    `nodes` are the ranks of as many devices each. ExFlow's two stages: hops between nodes first, then hops inside that solution.
    """
    across = solve(counts, len(nodes))
    table = np.empty_like(across)
    for node, ranks in enumerate(nodes):
        inside = [np.flatnonzero(row == node) for row in across]
        staying = np.stack([counts[layer][np.ix_(inside[layer], inside[layer + 1])] for layer in range(len(counts))])
        for layer, row in enumerate(solve(staying, len(ranks))):
            table[layer, inside[layer]] = np.asarray(ranks)[row]
    return table


def swept_table(counts: Counts, devices: int, starts: int = 1) -> Table:
    """The best of `starts` placements that no re-assignment of a single layer improves; deterministic.

    They differ in the first layer: in turn, and then shuffled.
    """
    found = [_swept(counts, devices, _first_layer(counts.shape[1], devices, start)) for start in range(starts)]
    return min(found, key=lambda table: crossings(counts, table))


def _first_layer(experts: int, devices: int, start: int) -> NDArray[np.int64]:
    turn = np.arange(experts) % devices
    return turn if start == 0 else turn[Stream(0, "crossing").permutation(experts, start)]


def _swept(counts: Counts, devices: int, first: NDArray[np.int64]) -> Table:
    layers, experts = len(counts) + 1, counts.shape[1]
    slots = np.repeat(np.arange(devices), quotas(experts, devices))
    table = np.tile(first, (layers, 1))
    for layer in range(1, layers):
        table[layer] = _assigned(_pull(counts, table, layer, devices, forward=False), slots)
    least = crossings(counts, table)
    while True:
        for layer in range(layers):
            table[layer] = _assigned(_pull(counts, table, layer, devices), slots)
        reached = crossings(counts, table)
        if reached >= least:
            return table
        least = reached


def _pull(counts: Counts, table: Table, layer: int, devices: int, *, forward: bool = True) -> Counts:
    """`(experts, devices)`: transitions that stay if an expert of the layer is on a device; `forward`: also those to the next layer."""
    pull = np.zeros((counts.shape[1], devices))
    for rank in range(devices):
        if layer > 0:
            pull[:, rank] += counts[layer - 1][table[layer - 1] == rank].sum(axis=0)
        if forward and layer < len(counts):
            pull[:, rank] += counts[layer][:, table[layer + 1] == rank].sum(axis=1)
    return pull


def _assigned(pull: Counts, slots: NDArray[np.int64]) -> NDArray[np.int64]:
    """The device of each expert in the assignment to slots that keeps the most transitions."""
    from scipy.optimize import linear_sum_assignment

    _, chosen = linear_sum_assignment(pull[:, slots], maximize=True)
    return np.asarray(slots[chosen], dtype=np.int64)


def exact_table(counts: Counts, devices: int, node_limit: int) -> Table | None:
    """The placement with the least crossings, or None if it was not proved within `node_limit` nodes of branch and bound."""
    from scipy.optimize import Bounds, LinearConstraint, milp

    program = _Program(counts, devices)
    matrix, lower, upper = program.constraints()
    solved = milp(
        program.costs(),
        integrality=program.integrality(),
        bounds=Bounds(0.0, program.upper_bounds()),
        constraints=LinearConstraint(matrix, lower, upper),
        options={"node_limit": node_limit, "mip_rel_gap": 0.0},
    )
    return program.table(solved.x) if solved.status == 0 and solved.x is not None else None


class _Program:
    """The integer program: the binaries `x[l, e, g]` first, then one `y` for each transition that occurs."""

    def __init__(self, counts: Counts, devices: int) -> None:
        self.counts, self.devices = counts, devices
        self.layers, self.experts = len(counts) + 1, counts.shape[1]
        self.pairs = np.argwhere(counts > 0)
        self.binaries = self.layers * self.experts * devices

    def costs(self) -> Counts:
        """Crossings are what costs."""
        return np.concatenate((np.zeros(self.binaries), self.counts[tuple(self.pairs.T)]))

    def integrality(self) -> NDArray[np.int64]:
        """`x` is integral; `y` then is by itself."""
        return np.concatenate((np.ones(self.binaries, dtype=np.int64), np.zeros(len(self.pairs), dtype=np.int64)))

    def upper_bounds(self) -> Counts:
        """1, but for placements that only rename devices of equal quota: the first layer's expert e is on one of the first e + 1."""
        bounds = np.ones(self.binaries + len(self.pairs))
        if self.experts % self.devices == 0:
            first = bounds[: self.experts * self.devices].reshape(self.experts, self.devices)
            first[np.arange(self.devices) > np.arange(self.experts)[:, None]] = 0.0
        return bounds

    def table(self, solution: Counts) -> Table:
        """The placement of a solution."""
        chosen = solution[: self.binaries].reshape(self.layers, self.experts, self.devices)
        table: Table = np.argmax(chosen, axis=2)
        return table

    def constraints(self) -> tuple[csr_array[np.float64], Counts, Counts]:
        """One device per expert, a quota per layer and device, and `y >= x - x'`."""
        from scipy.sparse import coo_array

        place = np.arange(self.binaries).reshape(self.layers, self.experts, self.devices)
        ones = [(place[layer, expert], 1.0, 1.0) for layer in range(self.layers) for expert in range(self.experts)]
        shares = quotas(self.experts, self.devices)
        full = [(place[layer, :, rank], float(share), float(share)) for layer in range(self.layers) for rank, share in enumerate(shares)]
        equal = [*ones, *full]
        rows, columns, values = self._crossing_rows(place, len(equal))
        for row, (cells, _, _) in enumerate(equal):
            rows.append(np.full(cells.size, row))
            columns.append(cells.ravel())
            values.append(np.ones(cells.size))
        height = len(equal) + len(self.pairs) * self.devices
        entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
        lower = np.array([low for _, low, _ in equal] + [0.0] * (height - len(equal)))
        upper = np.array([high for _, _, high in equal] + [np.inf] * (height - len(equal)))
        return coo_array(entries, shape=(height, self.binaries + len(self.pairs))).tocsr(), lower, upper

    def _crossing_rows(self, place: NDArray[np.int64], first: int) -> tuple[list[NDArray[np.int64]], list[NDArray[np.int64]], list[Counts]]:
        """`y[l, i, j] - x[l, i, g] + x[l + 1, j, g] >= 0`, from row `first` on."""
        layer, here, there = self.pairs.T
        rows: list[NDArray[np.int64]] = []
        columns: list[NDArray[np.int64]] = []
        values: list[Counts] = []
        for rank in range(self.devices):
            row = first + rank * len(self.pairs) + np.arange(len(self.pairs))
            cells = (self.binaries + np.arange(len(self.pairs)), place[layer, here, rank], place[layer + 1, there, rank])
            for column, sign in zip(cells, (1.0, -1.0, 1.0), strict=True):
                rows.append(row)
                columns.append(column)
                values.append(np.full(len(self.pairs), sign))
        return rows, columns, values
