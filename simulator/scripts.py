"""Runs scripts: generators that yield plans and are sent what came of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from edgewright.policies.compile import CompiledPlan, compile_plan
from edgewright.policies.families import Outcome, Script
from edgewright.policies.plan import Plan
from edgewright.simulator.interpreter import Execution, Scope
from edgewright.workloads import Step

__all__ = ["ScriptRun"]

compiled = lru_cache(maxsize=4096)(compile_plan)
"""Scripts yield the same few plans again and again; plans are values, so they compile once."""


class ScriptRun:
    """One script, from its first plan to its last.

    Attributes:
        on_token: called once: at the first `token` mark of any of its plans, or at the end if none has one.
        on_end: called once, when the script has returned.
    """

    def __init__(
        self, scope: Scope, script: Script, step: Step, on_token: Callable[[], None], on_end: Callable[[], None] | None = None
    ) -> None:
        self.scope = scope
        self.script = script
        self.step = step
        self.on_token: Callable[[], None] | None = on_token
        self.on_end = on_end
        self.started = scope.machine.env.now

    def begin(self) -> ScriptRun:
        """Run up to the first plan."""
        plan = next(self.script, None)
        self._take(plan)
        return self

    def _take(self, plan: Plan | None) -> None:
        if plan is None:
            self._token()
            if self.on_end is not None:
                self.on_end()
            return
        program: CompiledPlan = compiled(plan)
        (strand,) = program.strands
        token = self._token if strand.token is not None else None
        Execution(self.scope, strand, self.step, token, self._advance).begin()

    def _advance(self, execution: Execution) -> None:
        now = self.scope.machine.env.now
        revealed = dict(execution.revealed)
        revealed.update({f"call:{node}": result for node, result in execution.results.items()})
        if execution.results:
            revealed["call"] = next(reversed(execution.results.values()))
        try:
            plan = self.script.send(Outcome(revealed, execution.started, now))
        except StopIteration:
            plan = None
        self._take(plan)

    def _token(self) -> None:
        call, self.on_token = self.on_token, None
        if call is not None:
            call()
