"""What a router may expect of a replica: times and energies of jobs, from the prices of its plan alone at full clocks.

The way of a job's input to the replica, and of its answer's last message back, are part of both.

How wrong: nothing else on the devices and links, links at their nominal rates, no waiting for memory, output lengths as the router guesses
them. Of scripts, the work of the replica's parts is counted, without loads and transfers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edgewright.hwmodels import Cluster, Demand
from edgewright.policies.compile import Strand
from edgewright.policies.timeline import price_classes, timeline
from edgewright.simulator.stepping import decoded, prefilled, step_at
from edgewright.workloads import Step

if TYPE_CHECKING:
    from edgewright.simulator.assemble import Setup

__all__ = ["Forecast"]


class Forecast:
    """Forecasts for one replica."""

    def __init__(self, cluster: Cluster, setup: Setup, strands: Sequence[Strand]) -> None:
        self.cluster = cluster
        self.model = setup.model
        self.root = setup.spec.devices[0]
        self.placement = setup.placement
        self.kv = setup.tables[0].kv
        self.strands = strands

    def seconds_of(self, job: Any, expected_output: int, queued: int, queued_tokens: int, batch: int) -> float:
        """Time to a job's last token: its input's way, queued prompts and its own, then decoding in a batch of that size."""
        way = sum(float(demand.alone(self.cluster.capacities)) for demand in self._carried(job))
        if not self.model.generates:
            return way + (queued + 1) * self.seconds(self.probe(1, 0))
        prefill = self.seconds(self._prompt(queued_tokens + job.prompt))
        return way + prefill + expected_output * self.seconds(self.probe(batch, job.prompt + expected_output // 2))

    def joules_of(self, job: Any, expected_output: int, batch: int) -> float:
        """Dynamic energy of a job: its input's way, its prefill, and its share of decode steps in a batch of that size."""
        way = sum(float(joules) for demand in self._carried(job) for joules in demand.joules.values())
        if not self.model.generates:
            return way + self.joules(self.probe(1, 0))
        decode = self.joules(self.probe(batch, job.prompt + expected_output // 2)) / batch
        return way + self.joules(self._prompt(job.prompt)) + expected_output * decode

    def _carried(self, job: Any) -> list[Demand]:
        """A job's input from where it is to the replica's root, and one message of its answer back."""
        if job.location is None:
            return []
        ways = (job.location, self.root, job.job.ingress_bytes), (self.root, job.location, job.job.egress_bytes_per_token)
        return [self.cluster.transfer(*way) for way in ways if way[2] > 0.0]

    def probe(self, batch: int, context: int) -> Step:
        """A plain step: `batch` sequences decoding at `context`, all of it prompt, or that many one-shot inputs."""
        if not self.model.generates:
            return Step(items=batch)
        contexts = np.full((batch, 1), float(context))
        return step_at(decoded(contexts, contexts, self.model.windows, self.kv), 0)

    def _prompt(self, tokens: int) -> Step:
        return prefilled([(tokens, 0, tokens)], self.model.windows, self.kv)

    def seconds(self, step: Step) -> float:
        """Seconds of a step."""
        if self.strands:
            return max(float(timeline(strand, self.cluster, step, {}).token) for strand in self.strands)
        return sum(float(demand.alone(self.cluster.capacities)) for demand in self._work(step))

    def joules(self, step: Step) -> float:
        """Dynamic joules of a step."""
        priced = [d for strand in self.strands for d in price_classes(strand, self.cluster, step, {})] or self._work(step)
        return sum(float(joules) for demand in priced for joules in demand.joules.values())

    def _work(self, step: Step) -> list[Demand]:
        return [self.cluster.compute(device, part(step)) for device, parts in self.placement.parts.items() for part in parts]
