"""Living on a battery: slower when it runs low, and the least important devices asleep when it is nearly empty."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from edgewright.hwmodels.units import Fraction, Seconds
from edgewright.policies.base import at_least, ordered, within
from edgewright.policies.families import Actuation, PowerAgent
from edgewright.policies.power.commands import ClockCommands
from edgewright.policies.registry import register
from edgewright.policies.views import PowerView, TargetView
from edgewright.workloads import Stream

__all__ = ["ChargeSaver"]


@register("power", "charge_saver")
@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeSaver:
    """Locks clocks below a first state of charge, and puts targets of low priority to sleep below a second; both with hysteresis.

    Where the domain lives on no battery nothing is ever commanded.

    Attributes:
        low: state of charge below which every target is locked to `clock`, a fraction of its maximum.
        critical: state of charge below which targets of priority `sleepers` or less sleep.
        hysteresis: how far the charge must rise above a threshold again before its measure is undone.
        patience: seconds after which a clock counts as set even if the target shows another.

    How wrong it can be: charge says nothing of what is to come. A site that knows its sun and its load can save earlier, and less.
    """

    needs_budget: ClassVar[bool] = False

    low: Fraction = 0.5
    critical: Fraction = 0.3
    hysteresis: Fraction = 0.05
    clock: Fraction = 0.6
    sleepers: int = 0
    patience: Seconds = 60.0

    def __post_init__(self) -> None:
        within(self, 0.0, 1.0, "low", "critical", "hysteresis", "clock")
        ordered(self, "critical", "low")
        at_least(self, patience=0.0)

    def sleeps(self, priority: int) -> bool:
        """Whether it may put a device of that priority to sleep, which then must be able to."""
        return priority <= self.sleepers

    def start(self, scope: str, stream: Stream) -> PowerAgent:
        """The agent of one power domain; it knows which measures are in force."""
        return _Agent(self)


class _Agent:
    def __init__(self, policy: ChargeSaver) -> None:
        self._policy = policy
        self._slow = self._sleepy = False
        self._commands = ClockCommands(policy.patience)
        self._asleep: dict[str, None] = {}

    def act(self, view: PowerView) -> Sequence[Actuation]:
        if view.charge is None:
            return ()
        policy = self._policy
        self._slow = view.charge < policy.low + (policy.hysteresis if self._slow else 0.0)
        self._sleepy = view.charge < policy.critical + (policy.hysteresis if self._sleepy else 0.0)
        return [command for target in view.targets for command in self._command(target, view.now)]

    def _command(self, target: TargetView, now: float) -> Iterator[Actuation]:
        sleeper = target.can_sleep and self._policy.sleeps(target.priority)
        if sleeper and self._sleepy != (target.name in self._asleep):
            if self._sleepy:
                self._asleep[target.name] = None
            else:
                del self._asleep[target.name]
            yield Actuation(target.name, "sleep" if self._sleepy else "wake")
        elif target.name not in self._asleep:
            yield from self._commands.clock(target, self._policy.clock if self._slow else 1.0, now)
