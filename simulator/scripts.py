"""Runs scripts: generators that yield plans and are sent what came of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from edgewright.policies.compile import compile_plan
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
        reveal: outcomes of this script, `(name) -> value`; the scope's if not given.
    """

    def __init__(
        self,
        scope: Scope,
        script: Script,
        step: Step,
        on_token: Callable[[], None],
        on_end: Callable[[], None] | None = None,
        reveal: Callable[[str], Any] | None = None,
    ) -> None:
        self.scope = scope
        self.script = script
        self.step = step
        self.on_token: Callable[[], None] | None = on_token
        self.on_end = on_end
        self.reveal = reveal
        self._instant: list[Outcome] = []
        self._running = False

    def begin(self) -> ScriptRun:
        """Run up to the first plan that takes time."""
        self._run(next(self.script, None))
        return self

    def _run(self, plan: Plan | None) -> None:
        """Start plans one after another for as long as they end at once (a loop, so that many instant plans do not recurse)."""
        while plan is not None:
            self._running = True
            self._start(plan)
            self._running = False
            if not self._instant:
                return
            plan = self._following(self._instant.pop())
        self._token()
        if self.on_end is not None:
            self.on_end()

    def _start(self, plan: Plan) -> None:
        (strand,) = compiled(plan).strands
        token = self._token if strand.token is not None else None
        Execution(self.scope, strand, self.step, token, self._ended, self.reveal).begin()

    def _ended(self, execution: Execution) -> None:
        """A plan has ended: send the script its outcome, now or as soon as `_run` looks."""
        revealed = dict(execution.revealed)
        if execution.results:
            revealed["call"] = next(reversed(execution.results.values()))
        outcome = Outcome(revealed, execution.started, float(self.scope.machine.env.now))
        if self._running:
            self._instant.append(outcome)
        else:
            self._run(self._following(outcome))

    def _following(self, outcome: Outcome) -> Plan | None:
        try:
            return self.script.send(outcome)
        except StopIteration:
            return None

    def _token(self) -> None:
        call, self.on_token = self.on_token, None
        if call is not None:
            call()
