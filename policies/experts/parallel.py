"""Expert parallelism: the plan and the agent that all placements over devices share.

Two ways of keeping a token's context:

- *home*: a token's cache is on one device (Rajbhandari et al., DeepSpeed-MoE, ICML 2022). Each layer sends hidden vectors to the
  devices of the chosen experts and the results back: two all-to-alls.
- *coherent*: every device has the cache of every sequence (Yao et al., ExFlow, IPDPS 2024), so a token goes on where its first expert
  was. With top-1 routing nothing is sent back; an all-gather at the end of the step brings new tokens, keys and values to all devices.

A vector is sent once to each device that holds one of the token's experts, and not to where the token is.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgewright.hwmodels import Quantity
from edgewright.policies.experts.amounts import CrossingBytes, GatheredBytes
from edgewright.policies.experts.keys import combine_key, dispatch_key, distinct_key, group_key
from edgewright.policies.experts.layout import Layout
from edgewright.policies.experts.routes import Counts, Routes, checked, layers_of, present, shape_of
from edgewright.policies.families import Placement
from edgewright.policies.partitioning.amounts import TokenShare
from edgewright.policies.plan import Collective, Compute, Mark, Par, Plan, Seq, par, seq
from edgewright.policies.views import ReplicaSpec
from edgewright.workloads import Model, Part
from edgewright.workloads.moe import ExpertGroup, routed_experts, without_experts

__all__ = ["Flows", "ParallelAgent", "parallel_placement"]

Flows: TypeAlias = tuple[tuple[tuple[float, ...], ...], ...]
"""`[layer][sender][receiver]`: shares of what a layer sends, which add up to 1."""


def parallel_placement(
    model: Model,
    placement: Placement,
    replica: ReplicaSpec,
    layout: Layout,
    *,
    coherent: bool,
    algorithm: str,
    gather_cache: bool = True,
    gather_algorithm: str = "ring",
    flows: Flows = (),
) -> Placement:
    """The data-parallel placement with its experts divided by `layout`.

    `gather_cache`: whether coherence is paid for (`GatheredBytes`), by an all-gather of `gather_algorithm`; `flows`: which share of the
    dispatched vectors goes from each device to each, by layer (empty: all alike). Raises `ValueError` for a model without experts, or a
    placement that does not divide the tokens over the layout's devices.
    """
    layers = layers_of(model)
    engine = _engine_of_shares(placement, replica)
    algorithms = (algorithm, gather_algorithm)
    builder = _Builder(model, replica, layout, engine, coherent=coherent, algorithms=algorithms, gather_cache=gather_cache, flows=flows)
    return Placement(
        program=builder.plan(),
        parts={device: (builder.cached(),) for device in layout.devices},
        lanes=placement.lanes,
        resident={
            device: builder.dense.part(replica.format).weight_bytes
            + sum(builder.group(index, rank).weight_bytes for index in range(len(layers)))
            for rank, device in enumerate(layout.devices)
        },
    )


def _engine_of_shares(placement: Placement, replica: ReplicaSpec) -> str | None:
    """The engine of a plan that begins with shares of the tokens side by side."""
    match placement.program:
        case Seq(children=(Par(children=(Compute(work=TokenShare(), engine=engine), *_)), *_)):
            return engine
        case _:
            raise ValueError(
                f"{replica.name}: experts are divided over devices that each compute a share of the tokens; "
                "accepted is partitioning 'data_parallel'"
            )


class _Builder:
    """Builds the plan of one replica."""

    def __init__(
        self,
        model: Model,
        replica: ReplicaSpec,
        layout: Layout,
        engine: str | None,
        *,
        coherent: bool,
        algorithms: tuple[str, str],
        gather_cache: bool,
        flows: Flows,
    ) -> None:
        self.model, self.replica, self.layout, self.engine = model, replica, layout, engine
        self.coherent, self.gather_cache, self.flows = coherent, gather_cache, flows
        self.algorithm, self.gather_algorithm = algorithms
        self.dense = without_experts(model)
        self.routed = routed_experts(model)
        self.layers = layers_of(model)

    def plan(self) -> Plan:
        """Dense segments in shares of the tokens; between them each layer's experts, reached and left by all-to-alls."""
        ends = [block + 1 for block in shape_of(self.model).blocks]
        segments = list(pairwise([0, *ends, len(self.model.blocks)]))
        children: list[Plan] = []
        for index, (start, stop) in enumerate(segments):
            children += [self._shares(start, stop)] if start < stop else []
            children += self._experts(index) if index < len(ends) else []
        return seq(*children, *self._gather(), Mark())

    def cached(self) -> Part:
        """What each device is charged cache for: all of it if coherent, an even share where the heads divide if not."""
        if self.coherent:
            return self.dense.part(self.replica.format)
        return self.model.part(self.replica.format, shards=len(self.layout.devices))

    def group(self, index: int, rank: int) -> ExpertGroup:
        """The experts of the `index`-th layer of experts on a device."""
        key = group_key(self.layers[index], self.layout.devices[rank])
        return ExpertGroup(self.routed, self.replica.format, self.layout.held(index, rank), key)

    def _shares(self, start: int, stop: int) -> Plan:
        devices = self.layout.devices
        part = self.dense.part(self.replica.format, start, stop)
        return par(*(Compute(device, TokenShare(part, rank, len(devices)), self.engine) for rank, device in enumerate(devices)))

    def _experts(self, index: int) -> list[Plan]:
        layer, top_k = self.layers[index], self.routed.top_k
        groups = par(*(Compute(device, self.group(index, rank), self.engine) for rank, device in enumerate(self.layout.devices)))
        back = top_k - 1 if self.coherent else top_k
        plans = [self._crossing(dispatch_key(layer), top_k, self.flows[index] if self.flows else ()), groups]
        return [*plans, self._crossing(combine_key(layer), back)] if back else plans

    def _crossing(self, key: str, choices: int, shares: tuple[tuple[float, ...], ...] = ()) -> Plan:
        devices = self.layout.devices
        vector = self.model.hidden * self.replica.format.activation_bytes
        crossing = CrossingBytes(key, vector, len(devices), choices, not shares)
        return Collective("alltoall", devices, crossing, self.algorithm, shares=shares)

    def _gather(self) -> list[Plan]:
        if not self.coherent:
            return []
        gathered = GatheredBytes(self.dense.part(self.replica.format), self.gather_cache)
        return [Collective("allgather", self.layout.devices, gathered, self.gather_algorithm)]


class ParallelAgent:
    """Follows tokens over the devices of one replica.

    Attributes:
        local, crossed: vectors needed where the token was, and sent elsewhere (dispatched), so far.
        hits: experts touched so far, each in the memory of its device; an expert counts once per layer and step. `misses` stays 0.
    """

    def __init__(self, model: Model, layout: Layout, coherent: bool) -> None:
        self._layers = layers_of(model)
        self._layout = layout
        self._table = layout.table
        self._holds = self._table[:, :, None] == np.arange(len(layout.devices))
        self._coherent = coherent
        self.local = 0
        self.crossed = 0
        self.hits = 0
        self.misses = 0

    def bind(self, routes: Any) -> Mapping[str, Quantity]:
        """What falls on each device and crosses between them, per layer, in one step."""
        return {key: float(values[0]) for key, values in self.bind_block(routes, 1).items()}

    def bind_block(self, routes: Any, steps: int) -> Mapping[str, Any]:
        """The same for consecutive steps of as many tokens each: arrays with one entry per step."""
        experts = self._table.shape[1]
        found = checked(routes, len(self._layers), experts)
        touched = present(found, steps, experts)
        per_device = np.einsum("lse,len->lsn", touched, self._holds, dtype=float)
        rows = self._rows(found, steps)
        sent, back, needed = self._vectors(found, steps)
        self.hits += int(touched.sum())
        self.crossed += int(sent.sum())
        self.local += int(needed.sum() - sent.sum())
        outcomes: dict[str, Any] = {}
        for index, layer in enumerate(self._layers):
            outcomes[distinct_key(layer)] = touched[index].sum(axis=1, dtype=float)
            outcomes[dispatch_key(layer)], outcomes[combine_key(layer)] = sent[index], back[index]
            for rank, device in enumerate(self._layout.devices):
                outcomes[f"{group_key(layer, device)}.rows"] = rows[index, :, rank]
                outcomes[f"{group_key(layer, device)}.distinct"] = per_device[index, :, rank]
        return outcomes

    def snapshot(self) -> object:
        """The counts, for `restore`."""
        return self.local, self.crossed, self.hits

    def restore(self, state: Any) -> None:
        """Go back to a snapshot."""
        self.local, self.crossed, self.hits = state

    def _rows(self, routes: Routes, steps: int) -> Counts:
        """Token-expert pairs by layer, step and device."""
        layers, tokens, _ = routes.shape
        devices = len(self._layout.devices)
        cell = np.arange(layers)[:, None] * steps + np.arange(tokens) // (tokens // steps or 1)
        flat = cell[:, :, None] * devices + self._devices(routes)
        return np.bincount(flat.ravel(), minlength=layers * steps * devices).reshape(layers, steps, devices).astype(float)

    def _vectors(self, routes: Routes, steps: int) -> tuple[Counts, Counts, Counts]:
        """Vectors sent, sent back, and needed by devices in all, by layer and step."""
        layers, tokens, _ = routes.shape
        chosen = self._devices(routes)
        needs = np.zeros((layers, tokens, len(self._layout.devices)), dtype=bool)
        np.put_along_axis(needs, chosen, True, axis=2)
        before, after = self._places(chosen, tokens // steps or 1)
        total = needs.sum(axis=2)
        sent = total - np.take_along_axis(needs, before[:, :, None], axis=2)[:, :, 0]
        back = total - np.take_along_axis(needs, after[:, :, None], axis=2)[:, :, 0]
        sent, back, total = (each.reshape(layers, steps, -1).sum(axis=2, dtype=float) for each in (sent, back, total))
        return sent, back, total

    def _places(self, chosen: NDArray[np.int64], per_step: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where each token is before and after each layer's experts, `(layers, tokens)`."""
        layers, tokens, _ = chosen.shape
        home = np.broadcast_to(np.arange(tokens) % per_step % len(self._layout.devices), (layers, tokens))
        if not self._coherent:
            return home, home
        after = chosen[:, :, 0]
        return np.concatenate((home[:1], after[:-1])), after

    def _devices(self, routes: Routes) -> NDArray[np.int64]:
        """The device rank of every choice."""
        return self._table[np.arange(len(routes))[:, None, None], routes]
