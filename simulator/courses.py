"""What a replica knows of the courses of its steps: of one-shot steps they are priced once, as long as what they depend on stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgewright.policies.compile import Strand
from edgewright.policies.plan import Compute
from edgewright.policies.timeline import conflicts, timeline
from edgewright.simulator.stretch import Course
from edgewright.workloads import Step

if TYPE_CHECKING:
    from edgewright.simulator.machine import Machine
    from edgewright.simulator.sharing import Resource

__all__ = ["Courses"]


class Courses:
    """The courses of the steps of one strand, which can be jumped over.

    Attributes:
        queues: the engines that the strand computes on.
    """

    def __init__(self, machine: Machine, strand: Strand) -> None:
        self.machine = machine
        self.strand = strand
        names = {machine.cluster.engine_name(op.device, op.engine) for op in strand.ops if isinstance(op, Compute)}
        self.queues = [machine.engines[name] for name in sorted(names)]
        self._known: dict[int, Course] = {}
        self._conflicts: dict[frozenset[str], bool] = {}
        self._used: dict[Resource, None] = {}
        self._followed: list[str] = []
        self._prices: list[float] = []
        self._cluster = machine.cluster
        self._epoch = machine.epoch

    def known(self, step: Step) -> Course | None:
        """The course of a one-shot step at present clocks and capacities, priced once; None for tokens, which are hardly ever alike."""
        if not step.items:
            return None
        machine = self.machine
        if machine.epoch != self._epoch or self._used:
            if self._followed:
                machine.refresh(self._followed)
            prices = self._prices_now()
            if machine.cluster is not self._cluster or prices != self._prices:
                self._known.clear()
                self._cluster, self._prices = machine.cluster, prices
            self._epoch = machine.epoch
        found = self._known.get(step.items)
        if found is None:
            line = timeline(self.strand, machine.cluster, step, machine.clocks, machine.capacities)
            found = self._known[step.items] = Course(machine, line, 1)
            self._used.update(dict.fromkeys(found.shared))
            self._followed = [resource.name for resource in self._used if resource.following is not None]
            self._prices = self._prices_now()
        return found

    def _prices_now(self) -> list[float]:
        """What the timelines that are known depend on: clocks of the engines, capacities of what they use."""
        clocks = self.machine.clocks
        found = [clocks.get(queue.name, 1.0) for queue in self.queues]
        return found + [resource.capacity for resource in self._used] if self._used else found

    def in_its_own_way(self, course: Course) -> bool:
        """Whether operations of the plan that may run at once share a resource; which they use depends on the sizes of messages."""
        used = course.resources
        if used not in self._conflicts:
            self._conflicts[used] = conflicts(self.strand, course.line.demands)
        return self._conflicts[used]
