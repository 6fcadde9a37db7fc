"""The suite of the `power` seam: a toy power domain carries out commands late, while seeded readings come in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from random import Random

from edgewright.hwmodels.conformance import require, situation
from edgewright.policies.conformance.fakes import FakePower, FakeTarget
from edgewright.policies.families import Actuation, PowerAgent, PowerPolicy
from edgewright.workloads import Stream

__all__ = ["ToyDomain", "check_power"]

PERIOD = 2.0
BUDGET = 200.0
KINDS = ("clock", "watts", "brake", "sleep", "wake")
SETTLING = 300
"""Periods after which a controller has had the time to go up and down every ladder it may have: ten minutes."""


def check_power(policy: PowerPolicy, situations: int = 30) -> None:
    """Require of a power policy, over seeded domains, actuator delays and readings:

    - commands name a target of the domain; clocks lie in its range, caps between its lowest and its highest peak, others carry no value;
    - no target is commanded twice at once, nor told again what it was told last;
    - another agent given the same readings commands the same, and the view is left as it was;
    - under a constant reading, commands cease; also under a reading that wavers by half a percent of the budget (hysteresis).

    Raises `AssertionError` saying in which situation. Readings do not respond to commands: what a policy achieves is not judged here.
    """
    for number in range(situations):
        with situation(policy, f"domain {number} under a random load"):
            first = _commands(policy, number, _random_load(number), SETTLING)
            require(first == _commands(policy, number, _random_load(number), SETTLING), "a second agent commands otherwise")
        level = 0.3 + 0.9 * number / max(situations - 1, 1)
        for name, reading in (("constant", _constant(level)), ("wavering", _wavering(level))):
            with situation(policy, f"domain {number} under a {name} reading of {level:.3f} of the budget"):
                _check_quiet(_commands(policy, number, reading, 2 * SETTLING))


@dataclass(slots=True)
class ToyDomain:
    """Targets that carry out a command after `delay` seconds (a brake after a tenth of it), in the order in which commands take effect."""

    targets: list[FakeTarget]
    delay: float
    now: float = 0.0
    _under_way: list[tuple[float, Actuation]] = field(default_factory=list)

    def command(self, actuations: Sequence[Actuation]) -> None:
        """Set commands on their way."""
        self._under_way += [(self.now + self.delay * (0.1 if each.kind == "brake" else 1), each) for each in actuations]

    def advance(self, seconds: float) -> None:
        """Let time pass, and the commands due take effect."""
        self.now += seconds
        due = sorted((item for item in self._under_way if item[0] <= self.now), key=lambda item: item[0])
        self._under_way = [item for item in self._under_way if item[0] > self.now]
        for _, actuation in due:
            self.targets = [_obeying(target, actuation) for target in self.targets]


def _obeying(target: FakeTarget, actuation: Actuation) -> FakeTarget:
    if actuation.target != target.name:
        return target
    clock = target.clock_min if actuation.kind == "brake" else actuation.value if actuation.kind == "clock" else None
    return target if clock is None else replace(target, clock=clock, clock_set=clock)


def _domain(number: int) -> ToyDomain:
    random = Random(f"power:{number}")
    targets = [
        FakeTarget(
            name=f"device{place}",
            priority=random.randint(0, 2),
            clock_min=random.choice((0.1, 0.2, 0.5, 0.95)),
            idle_W=random.uniform(1, 20),
            dynamic_W=random.uniform(5, 80),
        )
        for place in range(random.randint(1, 5))
    ]
    return ToyDomain(targets, delay=random.choice((0.0, 1.0, 5.0, 40.0)))


def _commands(policy: PowerPolicy, number: int, reading: Callable[[int], float], periods: int) -> list[Sequence[Actuation]]:
    domain, agent = _domain(number), policy.start("domain", Stream(1, "conformance"))
    last: dict[str, Actuation] = {}
    commands = []
    for period in range(periods):
        actuations = _checked(agent, FakePower(domain.now, reading(period) * BUDGET, BUDGET, 10.0, list(domain.targets)), last)
        domain.command(actuations)
        domain.advance(PERIOD)
        commands.append(actuations)
    return commands


def _checked(agent: PowerAgent, view: FakePower, last: dict[str, Actuation]) -> Sequence[Actuation]:
    targets = {target.name: target for target in view.targets if isinstance(target, FakeTarget)}
    actuations = tuple(agent.act(view))
    require({target.name: target for target in view.targets} == targets, "act changed the view")
    for actuation in actuations:
        require(actuation.target in targets, f"{actuation} is for no target of the domain: {sorted(targets)}")
        _check_actuation(targets[actuation.target], actuation)
        require(last.get(actuation.target) != actuation, f"{actuation} at {view.now} repeats the last command to that target")
        last[actuation.target] = actuation
    require(len({actuation.target for actuation in actuations}) == len(actuations), f"commands a target twice at {view.now}: {actuations}")
    return actuations


def _check_actuation(target: FakeTarget, actuation: Actuation) -> None:
    require(actuation.kind in KINDS, f"{actuation} is of an unknown kind; accepted are {', '.join(KINDS)}")
    if actuation.kind not in ("clock", "watts"):
        require(actuation.value is None, f"{actuation} carries a value, which its kind does not have")
        return
    low, high = (target.clock_min, 1.0) if actuation.kind == "clock" else (target.peak_W(target.clock_min), target.peak_W(1.0))
    inside = actuation.value is not None and low - 1e-9 <= actuation.value <= high + 1e-9
    require(inside, f"{actuation} is outside the target's range, {low:g} to {high:g}")


def _check_quiet(commands: list[Sequence[Actuation]]) -> None:
    late = [(period, *actuations) for period, actuations in enumerate(commands) if actuations and period >= SETTLING]
    require(not late, f"still commands after {SETTLING} periods: {late[:3]}")


def _constant(level: float) -> Callable[[int], float]:
    return lambda period: level


def _wavering(level: float) -> Callable[[int], float]:
    return lambda period: level + (0.005 if period % 2 else -0.005)


def _random_load(number: int) -> Callable[[int], float]:
    random = Random(f"load:{number}")
    levels = [random.uniform(0.3, 1.15) for _ in range(SETTLING // 10 + 1)]
    return lambda period: levels[period // 10]
