"""Heat in time: what a device's power makes of its temperature, and a governor that slows it down.

Once per period, as real governors poll, the energy drawn since the last time becomes a mean power, which moves the temperatures
exactly. At or above its trip point the device's clocks are stepped down by one step per period, below trip less hysteresis they are
stepped up again (the step-wise governor of Linux, drivers/thermal/gov_step_wise.c, without its look at trends). At the critical
temperature the device is switched off until it has cooled to where clocks would rise. Leakage above what was drawn at the reference
temperature grows linearly with temperature and is drawn as the part `leakage` while the device is awake; below it is 0. A run begins in
the steady state of idle power without leakage.

How wrong: temperature is unknown between two periods; power that swings within one is averaged (see `hwmodels.thermal`). Leakage grows
exponentially, by half to twice per 25 K: a line through two points 30 K apart is within some 10 % between them. Heat of boards, storages
and supplies does not reach the die, nor does that of neighbours.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

from edgewright.hwmodels.series import Series
from edgewright.hwmodels.thermal import Thermal
from edgewright.simulator.availability import Cause
from edgewright.simulator.power_target import Target

if TYPE_CHECKING:
    from edgewright.simulator.machine import Machine
    from edgewright.simulator.recorder import Recorder

__all__ = ["Governor", "Heat"]

OFF = Cause("unpowered", "heat")
"""Why a device that has become too hot is off."""


@dataclass(frozen=True, slots=True)
class Governor:
    """What watches over a device's temperature.

    Attributes:
        air: degrees Celsius around it, over time.
        period: seconds between its looks.
        hysteresis: kelvins below the trip point at which clocks rise again.
        step: of clocks per look, a fraction of the maximum; `floor` the least that it sets.
        leakage: watts per kelvin above `reference`, degrees Celsius.
    """

    air: Series
    period: float = 1.0
    hysteresis: float = 5.0
    step: float = 0.1
    floor: float = 0.1
    leakage: float = 0.0
    reference: float = 25.0


class Heat:
    """Temperatures of one device, from the die outwards.

    Attributes:
        temperatures: degrees Celsius at the last look; `hottest` of the die since somebody last asked.
        limit: clock that the governor allows, as a fraction.
        throttles: how often it began to slow the device down.
    """

    def __init__(self, machine: Machine, device: str, thermal: Thermal, governor: Governor, recorder: Recorder) -> None:
        self.machine = machine
        self.device = device
        self.thermal = thermal
        self.governor = governor
        self.recorder = recorder
        self.limit = 1.0
        self.throttles = 0
        self._steps = 0
        self._target = Target(machine, device, 0)
        self._leaks = 0.0
        self.temperatures = thermal.steady(machine.cluster.devices[device].idle_W, governor.air.at(0.0))
        self.hottest = self.temperatures[0]
        self._leak()
        machine.signals.causes.subscribe(self._changed)

    def _changed(self, name: str, cause: Cause, holds: bool) -> None:
        if name == self.device:
            self._leak()

    @property
    def most_leaked_W(self) -> float:
        """Watts that leak with the die at its trip point, above which the governor does not let it stay."""
        return max(0.0, self.governor.leakage * (self.thermal.trip - self.governor.reference))

    def run(self) -> Generator[Any, Any, None]:
        """The governor's SimPy process."""
        period, joules = self.governor.period, 0.0
        while True:
            yield self.machine.env.timeout(period)
            self.machine.settle_energy()
            before, joules = joules, self._target.joules()
            air = self.governor.air.at(float(self.machine.env.now))
            self.temperatures = self.thermal.after(self.temperatures, (joules - before) / period, air, period)
            self.hottest = max(self.hottest, self.temperatures[0])
            self._leak()
            self._govern(self.temperatures[0])

    def _leak(self) -> None:
        states = self.machine.states
        awake = states.powered(self.device) and not states.asleep(self.device)
        watts = max(0.0, self.governor.leakage * (self.temperatures[0] - self.governor.reference)) if awake else 0.0
        if watts != self._leaks:
            self.machine.ledger.account(self.device, "leakage").change(watts - self._leaks, float(self.machine.env.now))
            self._leaks = watts

    def _govern(self, hot: float) -> None:
        trip, cool = self.thermal.trip, self.thermal.trip - self.governor.hysteresis
        off = OFF in self.machine.up.causes(self.device)
        if self.thermal.critical is not None and hot >= self.thermal.critical and not off:
            self._note("overheated", hot)
            self.machine.up.hold(self.device, OFF)
        elif off and hot < cool:
            self._note("cooled", hot)
            self.machine.up.release(self.device, OFF)
        if hot >= trip:
            self._allow(self._steps + 1)
        elif hot < cool:
            self._allow(self._steps - 1)

    def _allow(self, steps: int) -> None:
        self._steps = min(max(steps, 0), ceil((1.0 - self.governor.floor) / self.governor.step - 1e-9))
        limit = max(self.governor.floor, 1.0 - self._steps * self.governor.step)
        if limit == self.limit:
            return
        if self.limit == 1.0:
            self.throttles += 1
            self._note("throttled", limit)
        elif limit == 1.0:
            self._note("unthrottled", limit)
        self.limit = limit
        self._target.limit(("heat", self.device), limit)

    def _note(self, event: str, value: float) -> None:
        self.recorder.add("power_events", float(self.machine.env.now), self.device, event, value)
