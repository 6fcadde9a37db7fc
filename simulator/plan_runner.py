"""Runs a compiled plan again and again: one iteration of its paced strands per step, and the strands that run ahead of the steps."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from edgewright.policies.compile import CompiledPlan, Strand
from edgewright.simulator.interpreter import Execution, Scope
from edgewright.workloads import Step

__all__ = ["PlanRunner"]


class PlanRunner:
    """Runs a compiled plan's strands: paced ones once per step, the others ahead of the steps as far as pools and flags let them."""

    def __init__(self, scope: Scope, plan: CompiledPlan) -> None:
        self.scope = scope
        self.plan = plan
        self._earlier: dict[Strand, deque[Execution]] = {}
        self._queued: dict[Strand, deque[tuple[Step, Callable[[], None]]]] = {}
        self._busy: dict[Strand, bool] = {}
        self._started = False

    def start(self) -> None:
        """Start the strands that run ahead; called by the first step if nobody did."""
        if not self._started:
            self._started = True
            for strand in self.plan.ahead:
                self._again(strand, None)

    def step(self, step: Step, on_token: Callable[[], None]) -> None:
        """Run one step; `on_token` is called when every paced strand has come to its token."""
        self.start()
        open_strands = len(self.plan.paced)

        def one_token() -> None:
            nonlocal open_strands
            open_strands -= 1
            if open_strands == 0:
                on_token()

        for strand in self.plan.paced:
            self._queued.setdefault(strand, deque()).append((step, one_token))
            self._next(strand)

    def resumed(self, strand: Strand, step: Step, on_token: Callable[[], None]) -> Execution:
        """An iteration that a stretch hands over in the middle: the strand is busy until it has ended."""
        self._busy[strand] = True
        return Execution(self.scope, strand, step, on_token, self._idle)

    def _next(self, strand: Strand) -> None:
        queued = self._queued.get(strand)
        if queued and (any(strand.lagged) or not self._busy.get(strand)):
            step, on_token = queued.popleft()
            self._busy[strand] = True
            self._launch(strand, step, on_token, self._idle)

    def _idle(self, execution: Execution) -> None:
        self._busy[execution.strand] = False
        self._next(execution.strand)

    def _again(self, strand: Strand, _: Execution | None) -> None:
        """Start the next iteration of a strand that runs ahead, in an event of its own so that instant iterations do not recurse."""
        if self.scope.closed:
            return

        def ended(execution: Execution) -> None:
            self.scope.machine.after(0.0, lambda: self._again(strand, execution))

        self._launch(strand, Step(), None, ended)

    def _launch(self, strand: Strand, step: Step, on_token: Callable[[], None] | None, on_end: Callable[[Execution], None]) -> None:
        depth = max((lag for lagged in strand.lagged for _, lag in lagged), default=0)
        recent = self._earlier.setdefault(strand, deque(maxlen=max(depth, 1)))
        execution = Execution(self.scope, strand, step, on_token, on_end)
        earlier = tuple(recent)
        recent.append(execution)
        execution.begin(earlier)
