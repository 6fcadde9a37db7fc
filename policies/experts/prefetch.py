"""Experts on storage, predicted and read ahead.

Yi et al., EdgeMoE: Empowering Sparse Large Language Models on Mobile Devices, IEEE TMC 2025 (arXiv 2308.14352).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.policies.base import at_least, within
from edgewright.policies.experts.buffer import ExpertBuffer
from edgewright.policies.experts.keys import distinct_key, routes_key
from edgewright.policies.experts.on_demand import on_demand_placement
from edgewright.policies.experts.prediction import Predictor
from edgewright.policies.experts.profile import profiled_routes
from edgewright.policies.experts.routes import checked, layers_of, present, shape_of
from edgewright.policies.families import Placement, Script
from edgewright.policies.plan import Cancel, Compute, Join, Load, Mark, Plan, detach, seq
from edgewright.policies.registry import register
from edgewright.policies.residency.budget import held_bytes
from edgewright.policies.views import ReplicaSpec
from edgewright.workloads import ExpertShape, Format, Model, Step, Stream
from edgewright.workloads.routing_markov import MarkovRouting
from edgewright.workloads.routing_stats import RoutingProcess

__all__ = ["Prefetch", "PrefetchAgent"]


@register("experts", "prefetch")
@dataclass(frozen=True, slots=True, kw_only=True)
class Prefetch:
    """While a block computes, the experts that the next layer will probably want are read in order of probability.

    When the router has decided, reads of experts that it did not choose are cancelled, those of chosen ones are waited for, and chosen
    experts that were not predicted are read on demand. The replica has one device; a step is a script (see `PrefetchAgent`).

    Attributes:
        slots: experts in memory, of all layers together (EdgeMoE: 10).
        depth: experts read ahead per layer, at most (EdgeMoE: 1 to 3 fit the window).
        history: layers that the prediction looks back, 1 or 2 (EdgeMoE: 2). Two need a table row per pair of experts seen.
        profile: where the prediction was learnt; None: it learns from the routes served, starting with nothing.
        profile_tokens: tokens learnt from.
        bits: bits per weight of experts in storage and buffer, dealt out in turn over a layer's experts, one place on from layer to layer
            (EdgeMoE: 2, 4 and 8 as each expert's accuracy bears); empty: the replica's format. They are computed in that format.
        storage: name of the storage that is read; None: the device's first.

    How wrong it can be: a wrong expert that had been read in full when the router decided is dropped, while EdgeMoE may keep it. The
    router is computed with the experts, so it fires one small product early. Meant for one token per step: with several, the union of
    their experts is wanted and little can be predicted. Expanding narrow experts is free (EdgeMoE measures 2.7 % of their reads on a TX2);
    the threads' competition for cores is not here.
    """

    slots: int = 10
    depth: int = 3
    history: int = 1
    profile: RoutingProcess | MarkovRouting | None = None
    profile_tokens: int = 2000
    bits: tuple[float, ...] = ()
    storage: str | None = None

    def __post_init__(self) -> None:
        at_least(self, slots=0, depth=0, profile_tokens=1)
        within(self, 1, 2, "history")
        if any(not 1.0 <= each <= 32.0 for each in self.bits):
            raise ValueError(f"bits: {self.bits!r} has a width out of range; accepted are 1 to 32 bits")

    def arrange(self, model: Model, placement: Placement, replica: ReplicaSpec) -> Placement:
        """What is in memory and where reads go. The program is that of a step without prediction; the agent's scripts take its place.

        In memory are all weights but the routed experts, `slots` of those, `depth` being read, and, if they are kept narrow, as many as
        a token uses in full width. Raises `ValueError` for a model
        without experts, or a placement other than the whole model on one device.
        """
        whole = _whole(model, placement, replica)
        shape = shape_of(model)
        layers = len(shape.blocks)
        demand = on_demand_placement(model, placement, replica, min(shape.count, self.slots // layers), self.storage)
        kept = min(self.slots + self.depth, layers * shape.count)
        idle = layers * shape.count - (shape.top_k if self.bits else kept)
        narrow = kept * shape.parameters * sum(self.bits) / len(self.bits) / 8 if self.bits else 0.0
        held = held_bytes(placement.parts[whole.device]) - idle * shape.expert_bytes(replica.format) + narrow
        return replace(demand, resident={whole.device: held})

    def expert_bytes(self, layer: int, expert: int, shape: ExpertShape, format: Format) -> float:
        """Bytes of an expert in storage; layers are counted from 0."""
        if not self.bits:
            return shape.expert_bytes(format)
        return shape.parameters * self.bits[(layer + expert) % len(self.bits)] / 8

    def start(self, scope: str, stream: Stream, model: Model, replica: ReplicaSpec) -> PrefetchAgent:
        """The agent of one replica, its buffer empty."""
        predictor = Predictor(len(layers_of(model)), shape_of(model).count, self.history)
        if self.profile is not None:
            predictor.learn(profiled_routes("prefetch", self.profile, self.profile_tokens, model, replica))
        return PrefetchAgent(self, model, replica, predictor)


def _whole(model: Model, placement: Placement, replica: ReplicaSpec) -> Compute:
    """The one compute of the whole model; raises `ValueError` for any other plan."""
    if len(replica.devices) == 1 and placement.parts == {replica.devices[0]: (model.part(replica.format),)}:
        return Compute(replica.devices[0], model.part(replica.format))
    raise ValueError(
        f"{replica.name}: experts 'prefetch' reads ahead on one device that holds the whole model; accepted is partitioning 'single'"
    )


class PrefetchAgent:
    """Runs the steps of one replica: a `Program` whose scripts see a layer's routes when its router has decided, and not before.

    Attributes:
        hits: chosen experts that were in memory, or being read because they had been predicted.
        misses: chosen experts read on demand.
        wasted: predicted experts that were not chosen, their reads cancelled or dropped.
    """

    def __init__(self, policy: Prefetch, model: Model, replica: ReplicaSpec, predictor: Predictor) -> None:
        self._policy, self._model, self._replica = policy, model, replica
        self._layers = layers_of(model)
        self._predictor = predictor
        self._buffer = ExpertBuffer(policy.slots, len(self._layers))
        self.hits = 0
        self.misses = 0
        self.wasted = 0

    # -- routes ----------------------------------------------------------------------------------------------------------------------

    def bind(self, routes: Any) -> Mapping[str, Any]:
        """The routes of one step by layer, for its routers to reveal, and the distinct experts that they touch."""
        return {key: values[0] for key, values in self.bind_block(routes, 1).items()}

    def bind_block(self, routes: Any, steps: int) -> Mapping[str, Any]:
        """The same for consecutive steps of as many tokens each: arrays with one entry per step. Binding moves nothing: scripts do."""
        count = shape_of(self._model).count
        found = checked(routes, len(self._layers), count)
        touched = present(found, steps, count).sum(axis=2, dtype=float)
        split = found.reshape(len(found), steps, -1, found.shape[2])
        named: dict[str, Any] = {routes_key(layer): split[index] for index, layer in enumerate(self._layers)}
        return {**named, **{distinct_key(layer): touched[index] for index, layer in enumerate(self._layers)}}

    def snapshot(self) -> object:
        """Nothing: binding moves nothing."""
        return None

    def restore(self, state: object) -> None:
        """Nothing to go back to."""

    # -- script ----------------------------------------------------------------------------------------------------------------------

    def step(self, step: Step) -> Script:
        """The script of one step: dense blocks up to a router, then what its routes ask for, and on to the next."""
        before: list[NDArray[np.int64]] = []
        predicted = self._predicted(0, before)
        plan = seq(*self._reads_ahead(0, predicted), self._segment(0))
        for index, layer in enumerate(self._layers):
            outcome = yield plan
            chosen = np.asarray(outcome.revealed[routes_key(layer)])
            waits, reads = self._settle(index, np.unique(chosen).tolist(), predicted)
            if waits:
                yield seq(*waits)
            self._learn(index, before, chosen)
            before.append(chosen)
            predicted = self._predicted(index + 1, before)
            plan = seq(*reads, *self._reads_ahead(index + 1, predicted), self._segment(index + 1))
        yield seq(plan, Mark())

    def _predicted(self, index: int, before: list[NDArray[np.int64]]) -> list[int]:
        """The experts to read ahead for a layer, the most probable first, less those in memory."""
        if index == len(self._layers):
            return []
        likely = self._predictor.ranked(index, before)[: max(self._policy.depth, shape_of(self._model).top_k)]
        return [expert for expert in likely if (index, expert) not in self._buffer][: self._policy.depth]

    def _reads_ahead(self, index: int, experts: list[int]) -> list[Plan]:
        """Detached reads, each waiting for the one before (or its cancellation), so that any of them can be cancelled by itself."""
        plans: list[Plan] = []
        for place, expert in enumerate(experts):
            wait = [Join(self._ahead(index, experts[place - 1]))] if place else []
            plans.append(detach(seq(*wait, self._load(index, [expert])), self._ahead(index, expert)))
        return plans

    def _settle(self, index: int, wanted: list[int], predicted: list[int]) -> tuple[list[Plan], list[Plan]]:
        """Cancel the wrong reads and wait for the right ones, then read what is missing; the buffer and the counts move on."""
        wrong = [expert for expert in predicted if expert not in wanted]
        right = [expert for expert in predicted if expert in wanted]
        missing = [expert for expert in wanted if expert not in right and (index, expert) not in self._buffer]
        self.wasted += len(wrong)
        self.misses += len(missing)
        self.hits += len(wanted) - len(missing)
        self._buffer.use(index, wanted)
        cancelled = [Cancel(self._ahead(index, expert)) for expert in wrong]
        awaited = [Join(self._ahead(index, expert)) for expert in right]
        return [*cancelled, *awaited], [self._load(index, missing)] if missing else []

    def _learn(self, index: int, before: list[NDArray[np.int64]], chosen: NDArray[np.int64]) -> None:
        if self._policy.profile is None:
            self._predictor.observe(index, before, chosen)

    def _segment(self, index: int) -> Compute:
        """The blocks from the `index - 1`-th layer's experts to the router of the `index`-th."""
        bounds = (0, *shape_of(self._model).blocks, len(self._model.blocks))
        part = self._model.part(self._replica.format, bounds[index], bounds[index + 1])
        reveals = routes_key(self._layers[index]) if index < len(self._layers) else None
        return Compute(self._replica.devices[0], part, name=f"segment{index}", reveals=reveals)

    def _load(self, index: int, experts: list[int]) -> Load:
        shape = shape_of(self._model)
        nbytes = sum(self._policy.expert_bytes(index, expert, shape, self._replica.format) for expert in experts)
        return Load(self._replica.devices[0], nbytes, self._policy.storage)

    def _ahead(self, index: int, expert: int) -> str:
        return f"moe{self._layers[index]}.ahead{expert}"
