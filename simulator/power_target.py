"""What a power controller commands: a device as a whole, or one of its engines (a target of a rail)."""

from __future__ import annotations

from collections.abc import Callable

from edgewright.hwmodels import Device, clock_floor, clock_for_watts, engine_clock_for_watts, engine_floor, engine_peak_W, peak_W
from edgewright.simulator.machine import Machine

__all__ = ["Target"]


class Target:
    """A device, or an engine `device.engine`, under power control. Implements `TargetView`: clocks are fractions of the maximum.

    Every controller may set two limits, and the lowest of all holds: a lock (`clock`, or `brake` until the next `clock`) and a cap
    (`watts`); and it may put a device to sleep. A command that arrives after a later one of its sort is too late and does nothing.

    `leakage_W`: what a device may leak besides, with its die at its trip point.
    """

    def __init__(self, machine: Machine, name: str, priority: int, leakage_W: float = 0.0) -> None:
        self.machine = machine
        self.name = name
        self.priority = priority
        self.leakage_W = leakage_W
        self.device, _, engine = name.partition(".")
        self.spec: Device = machine.cluster.devices[self.device]
        self.unit = self.spec.engines[engine] if engine else self.spec.main_engine
        self.whole = not engine
        self.engines = [f"{self.device}.{each}" for each in self.spec.engines] if self.whole else [name]
        self.clock_min = clock_floor(self.spec) if self.whole else engine_floor(self.unit)
        self._commanded: dict[tuple[str, str], float] = {}
        self._numbers: dict[tuple[str, str], int] = {}
        self._commands = 0

    @property
    def clock(self) -> float:
        """The clock in force, of its first engine."""
        return self.machine.clock_limits.clock(f"{self.device}.{self.unit.name}")

    @property
    def clock_set(self) -> float:
        """The clock that the last commands ask for."""
        return min(self._commanded.values(), default=1.0)

    @property
    def clock_max_Hz(self) -> float:
        """The highest clock of its first engine."""
        return self.unit.clock_max

    @property
    def idle_W(self) -> float:
        """What it draws when idle: an engine nothing, its module does."""
        return self.spec.idle_W if self.whole else 0.0

    @property
    def can_sleep(self) -> bool:
        """Whether it is a device that can be put to sleep."""
        return self.whole and self.spec.sleep_W is not None

    @property
    def asleep(self) -> bool:
        """Whether its device sleeps, whoever put it to sleep."""
        return self.machine.states.asleep(self.device)

    @property
    def up(self) -> bool:
        """Whether its device works: it neither sleeps nor wakes, has power and has not crashed."""
        return self.machine.up(self.device)

    def peak_W(self, clock: float) -> float:
        """The most that it can draw at that fraction of its clock: the module, or of an engine what its own supply gives."""
        return peak_W(self.spec, clock) + self.leakage_W if self.whole else engine_peak_W(self.unit, clock)

    def clock_for_watts(self, watts: float) -> float:
        """The highest clock whose `peak_W` is within `watts`."""
        return clock_for_watts(self.spec, watts - self.leakage_W) if self.whole else engine_clock_for_watts(self.unit, watts)

    def joules(self) -> float:
        """What it has drawn: its module, or its engine; the machine is settled."""
        owners = [self.device, *self.engines, *(f"{self.device}.{bus}" for bus in self.spec.buses)] if self.whole else self.engines
        return self.machine.ledger.joules(owners, float(self.machine.env.now), ("idle", "sleep", "leakage", "static", "dynamic"))

    def limit(self, by: tuple[str, str], clock: float) -> None:
        """`by` allows its engines no more than that clock from now on; each rounds it to a clock of its own."""
        for engine in self.engines:
            self.machine.clock_limits.limit(engine, by, clock)

    def command(self, controller: str, sort: str, clock: float, act: Callable[[], None] | None = None) -> Callable[[], bool]:
        """Ask for a limit of a sort; what is returned puts it in force, or returns False if a later command is in force already.

        `act`: what to do instead of limiting the clock.
        """
        key = (controller, sort)
        self._commanded[key] = clock
        self._commands += 1
        number = self._commands

        def arrive() -> bool:
            if self._numbers.get(key, 0) > number:
                return False
            self._numbers[key] = number
            if act is None:
                self.limit(key, clock)
            else:
                act()
            return True

        return arrive

    def command_state(self, controller: str, kind: str) -> Callable[[], bool]:
        """Ask for `sleep` or `wake`; what is returned does it, as `command` says."""
        change = self.machine.sleep if kind == "sleep" else self.machine.wake
        return self.command(controller, "state", 1.0, lambda: change(self.device, controller))
