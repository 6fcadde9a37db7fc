"""Two thresholds with hysteresis, POLCA: Patel et al., Characterizing Power Management Opportunities for LLMs in the Cloud, ASPLOS 2024."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgewright.hwmodels.units import Fraction, Seconds
from edgewright.policies.base import at_least, ordered, within
from edgewright.policies.families import Actuation, PowerAgent
from edgewright.policies.power.commands import ClockCommands
from edgewright.policies.registry import register
from edgewright.policies.views import PowerView, TargetView
from edgewright.workloads import Stream

__all__ = ["TwoThresholds"]

FREE, LOW, LOWER, ALL, BRAKED = range(5)


@register("power", "two_thresholds")
@dataclass(frozen=True, slots=True, kw_only=True)
class TwoThresholds:
    """Locks clocks, low priority first, as the reading passes two thresholds of the budget; brakes above the budget itself.

    With p = reading / budget: above `t1`, low-priority targets are locked to `low_clock`; above `t2`, to `lower_clock`; still above once
    those have taken effect, high-priority targets are locked to `high_clock`; above `brake`, every target goes to its lowest clock by
    the fast path. A lock is undone when p falls `hysteresis` below its threshold; a brake gives way to the locks when p falls that far
    below `t2`. Nothing is undone, and high priority not locked, while a command is under way: out-of-band commands take tens of seconds.

    Attributes:
        t1, t2: thresholds, fractions of the budget.
        hysteresis: how far below its threshold a lock is undone.
        brake: fraction of the budget above which all targets brake. A device that brakes shows its lowest clock.
        low_clock, lower_clock, high_clock: locks as fractions of a target's maximum clock. The defaults are POLCA's 1275, 1110 and
            1305 MHz over the 1410 MHz of its A100: on other devices the same fractions are an assumption.
        high_priority: targets of this priority or above are of high priority.
        patience: seconds after which a command counts as carried out even if the target shows another clock (POLCA: up to 40 s).

    How wrong it can be: the thresholds are POLCA's, fitted to the power rise of a large row of servers (11.8 % in 40 s); a few devices
    rise faster, and then the brake works for its living. Clock locks bound power only through what the devices draw at those clocks.
    """

    t1: Fraction = 0.80
    t2: Fraction = 0.89
    hysteresis: Fraction = 0.05
    brake: Fraction = 1.0
    low_clock: Fraction = 1275 / 1410
    lower_clock: Fraction = 1110 / 1410
    high_clock: Fraction = 1305 / 1410
    high_priority: int = 1
    patience: Seconds = 60.0

    def __post_init__(self) -> None:
        within(self, 0.0, 1.0, "hysteresis", "t1", "t2", "low_clock", "lower_clock", "high_clock")
        ordered(self, "hysteresis", "t1", "t2", "brake")
        ordered(self, "lower_clock", "low_clock")
        at_least(self, patience=0.0)

    def start(self, scope: str, stream: Stream) -> PowerAgent:
        """The agent of one power domain; it knows its stage and the clocks that it commanded."""
        return _Agent(self)

    def locked(self, target: TargetView, stage: int) -> float:
        """The clock fraction that `target` has at a stage of the ladder (0 free, 1 to 3 locks, 4 brake)."""
        if stage == BRAKED:
            return target.clock_min
        if target.priority >= self.high_priority:
            return self.high_clock if stage == ALL else 1.0
        return (1.0, self.low_clock, self.lower_clock, self.lower_clock)[stage]


class _Agent:
    def __init__(self, policy: TwoThresholds) -> None:
        self._policy = policy
        self._stage = FREE
        self._commands = ClockCommands(policy.patience)

    def act(self, view: PowerView) -> Sequence[Actuation]:
        pending = any(self._commands.pending(target, view.now) for target in view.targets)
        before, self._stage = self._stage, self._next(view.watts / view.budget_W, pending)
        if self._stage == before:
            return ()
        return [command for target in view.targets for command in self._command(target, view.now)]

    def _command(self, target: TargetView, now: float) -> tuple[Actuation, ...]:
        if self._stage == BRAKED:
            return self._commands.brake(target, now)
        return self._commands.clock(target, self._policy.locked(target, self._stage), now)

    def _next(self, power: float, pending: bool) -> int:
        raised = self._raised(power, pending)
        return raised if raised != self._stage or pending else self._lowered(power)

    def _raised(self, power: float, pending: bool) -> int:
        policy, stage = self._policy, self._stage
        if power > policy.brake:
            return BRAKED
        if power > policy.t2:
            return max(stage, ALL if stage == LOWER and not pending else LOWER)
        return max(stage, LOW) if power > policy.t1 else stage

    def _lowered(self, power: float) -> int:
        policy, stage = self._policy, self._stage
        if stage == BRAKED:
            return ALL if power < policy.t2 - policy.hysteresis else stage
        if stage >= LOW and power < policy.t1 - policy.hysteresis:
            return FREE
        return LOW if stage > LOW and power < policy.t2 - policy.hysteresis else stage
