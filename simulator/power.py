"""Controllers of power domains: what they are told, and how their commands reach the devices.

Telemetry gives means over its period, late, noisy and rounded if the scenario says so. Commands take their time, and clocks and caps come
in steps.

How wrong: a mean over the telemetry period hides shorter peaks, as a real meter with that period does.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from edgewright.policies.families import Actuation, PowerAgent
from edgewright.simulator.machine import Machine
from edgewright.simulator.power_cap import RunningCap
from edgewright.simulator.power_domain import Domain, Rail
from edgewright.simulator.power_target import Target
from edgewright.workloads import Stream

if TYPE_CHECKING:
    from edgewright.simulator.recorder import Recorder
    from edgewright.simulator.schema_power import PowerDomain

__all__ = ["Controller"]


class Controller:
    """Telemetry, policy and actuators of one domain. Implements `PowerView`."""

    def __init__(
        self,
        machine: Machine,
        domain: Domain | Rail,
        table: PowerDomain,
        agent: PowerAgent,
        targets: Sequence[Target],
        stream: Stream,
        recorder: Recorder,
        charge: Callable[[], float | None] = lambda: None,
    ) -> None:
        self.machine = machine
        self.domain = domain
        self.table = table
        self.agent = agent
        self.targets = list(targets)
        self.by_name = {target.name: target for target in targets}
        self.stream = stream
        self.recorder = recorder
        self.watts = 0.0
        self._charge = charge
        self._caps = self._running_caps()

    def _running_caps(self) -> dict[str, RunningCap]:
        window = self.table.actuator.window
        caps = {target.name: RunningCap(target, self.domain.name, window) for target in self.targets} if window is not None else {}
        for cap in caps.values():
            self.machine.env.process(cap.run())
        return caps

    @property
    def now(self) -> float:
        """Simulated time."""
        return float(self.machine.env.now)

    @property
    def budget_W(self) -> float:
        """The domain's budget; infinite if it has none."""
        return float("inf") if self.domain.budget is None else self.domain.budget

    @property
    def overhead_W(self) -> float:
        """Of the budget, what no clock changes."""
        return self.domain.overhead_W()

    @property
    def charge(self) -> float | None:
        """State of charge of the battery that the domain lives on, None without one."""
        return self._charge()

    def run(self) -> Generator[Any, Any, None]:
        """The controller's SimPy process: a reading per period."""
        period, before, count = self.table.telemetry.period, 0.0, 0
        self._decide(0.0)
        while True:
            yield self.machine.env.timeout(period)
            self.machine.settle_energy()
            joules = self.domain.load_joules()
            watts, before = (joules - before) / period, joules
            watts = self._read(watts, count)
            count += 1
            if self.table.telemetry.delay > 0.0:
                self.machine.after(self.table.telemetry.delay, partial(self._decide, watts))
            else:
                self._decide(watts)

    def _read(self, watts: float, count: int) -> float:
        """What the meter says of a mean power."""
        telemetry = self.table.telemetry
        if telemetry.noise > 0.0:
            watts *= 1.0 + self.stream.normal(0.0, telemetry.noise, count)
        return round(watts / telemetry.resolution) * telemetry.resolution if telemetry.resolution > 0.0 else watts

    def _decide(self, watts: float) -> None:
        self.watts = watts
        for actuation in self.agent.act(self):
            self._command(actuation)

    def _command(self, actuation: Actuation) -> None:
        if actuation.target not in self.by_name:
            raise ValueError(f"power policy of {self.domain.name} commands {actuation.target!r}, which is not one of its devices")
        target = self.by_name[actuation.target]
        before = target.clock_set
        take_effect = self._carried_out(target, actuation)
        delay = self._delay(actuation, target.clock_set > before)
        value = float("nan") if actuation.value is None else actuation.value
        rows = self.recorder.rows["actuations"]
        row = len(rows["time_s"])
        self.recorder.add("actuations", self.now, self.domain.name, target.name, actuation.kind, value, float("nan"))
        apply = partial(self._apply, take_effect, row)
        if delay > 0.0:
            self.machine.after(delay, apply)
        else:
            apply()

    def _delay(self, actuation: Actuation, rises: bool) -> float:
        actuator = self.table.actuator
        if actuation.kind == "brake" and actuator.brake is not None:
            return actuator.brake
        return actuator.rise if rises and actuator.rise is not None else actuator.delay

    def _carried_out(self, target: Target, actuation: Actuation) -> Callable[[], bool]:
        """What puts the command in force once it has arrived."""
        name = self.domain.name
        if actuation.kind in ("sleep", "wake"):
            if not target.can_sleep:
                raise ValueError(f"power policy of {name}: {target.name} cannot {actuation.kind}: its sleep_W is unknown")
            return target.command_state(name, actuation.kind)
        if actuation.kind == "brake":
            return target.command(name, "lock", target.clock_min)
        if actuation.value is None or actuation.kind not in ("clock", "watts"):
            raise ValueError(f"power policy of {name}: cannot do {actuation.kind} {actuation.value} to {target.name}")
        if actuation.kind == "clock":
            return target.command(name, "lock", self._settable(target, actuation.value))
        watts = _floored(actuation.value, self.table.actuator.watts_step)
        clock = self._settable(target, target.clock_for_watts(watts))
        if target.name in self._caps:
            return target.command(name, "cap", 1.0, partial(setattr, self._caps[target.name], "watts", watts))
        return target.command(name, "cap", clock)

    def _settable(self, target: Target, clock: float) -> float:
        return min(max(_floored(clock, self.table.actuator.clock_step), target.clock_min), 1.0)

    def _apply(self, take_effect: Callable[[], bool], row: int) -> None:
        if take_effect():
            self.recorder.rows["actuations"]["effective_s"][row] = self.now


def _floored(value: float, step: float) -> float:
    """The highest multiple of a step within a value; the value itself if there is no step."""
    return int(value / step * (1.0 + 1e-9)) * step if step > 0.0 else value
