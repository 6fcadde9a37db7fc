"""Fixed power caps: shares of a budget that hold whatever the load, the practice that oversubscription is measured against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from edgewright.hwmodels.units import Watts
from edgewright.policies.base import at_least
from edgewright.policies.families import Actuation, PowerAgent
from edgewright.policies.registry import register
from edgewright.policies.views import PowerView, TargetView
from edgewright.workloads import Stream

__all__ = ["StaticCap", "shares"]


@register("power", "static_cap")
@dataclass(frozen=True, slots=True, kw_only=True)
class StaticCap:
    """Caps every target once, so that the sum of what they can draw and the domain's overhead fits the budget.

    Every target first gets the peak of its lowest clock. What remains fills the priorities from the highest down; within a priority each
    target gets the same fraction of what lies between its lowest and its highest peak. Commanded again only if the caps change (another
    budget, other targets).

    Attributes:
        watts: cap of every target, instead of a share of the budget; brought into the range that the target's clocks reach.

    How wrong it can be: caps follow from peaks, so the sum is safe and often far below the budget in use. A real cap is enforced by a
    loop of its own with overshoots of milliseconds to seconds; here the device never exceeds it once the command has taken effect.
    A die above its trip point leaks more than its peak says until its governor has cooled it down.
    Where even the lowest clocks exceed the budget, every target is capped to its lowest clock and the budget is exceeded.
    """

    watts: Watts | None = None

    def __post_init__(self) -> None:
        at_least(self, watts=0.0)

    def start(self, scope: str, stream: Stream) -> PowerAgent:
        """The agent of one power domain; it knows the caps that it commanded."""
        return _Agent(self.watts)


class _Agent:
    def __init__(self, watts: float | None) -> None:
        self._watts = watts
        self._caps: dict[str, float] = {}

    def act(self, view: PowerView) -> Sequence[Actuation]:
        caps = self._wanted(view)
        ceilings = {target.name: target.peak_W(1.0) for target in view.targets}
        changed = {name: cap for name, cap in caps.items() if cap != self._caps.get(name, ceilings[name])}
        self._caps.update(changed)
        return [Actuation(name, "watts", cap) for name, cap in changed.items()]

    def _wanted(self, view: PowerView) -> Mapping[str, float]:
        if self._watts is None:
            return shares(view.targets, view.budget_W - view.overhead_W)
        return {target.name: _clamped(target, self._watts) for target in view.targets}


def shares(targets: Sequence[TargetView], watts: float) -> Mapping[str, float]:
    """Watts per target that fill `watts`, the highest priority first; never below a target's lowest peak nor above its highest."""
    left = watts - sum(target.peak_W(target.clock_min) for target in targets)
    caps: dict[str, float] = {}
    for _, group in groupby(sorted(targets, key=lambda target: -target.priority), key=lambda target: target.priority):
        members = list(group)
        span = sum(_span(target) for target in members)
        fraction = min(max(left, 0.0) / span, 1.0) if span > 0 else 1.0
        caps.update({target.name: _part(target, fraction) for target in members})
        left -= fraction * span
    return {target.name: caps[target.name] for target in targets}


def _span(target: TargetView) -> float:
    return target.peak_W(1.0) - target.peak_W(target.clock_min)


def _part(target: TargetView, fraction: float) -> float:
    return _clamped(target, target.peak_W(target.clock_min) + fraction * _span(target)) if fraction < 1 else target.peak_W(1.0)


def _clamped(target: TargetView, watts: float) -> float:
    return min(max(watts, target.peak_W(target.clock_min)), target.peak_W(1.0))
