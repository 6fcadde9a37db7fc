"""Whether a replica serves: its devices up, its weights in memory, its engine started, and nobody having stopped it.

A device that crashes, loses power or leaves takes all that was in its memory along: keys and values of every request of the replica
(a part of them is of no use) and its own share of the weights, which are loaded again once all devices are up. A device that sleeps
keeps both. Starting takes the loading of weights, as flows from each device's storage or the table's own seconds, and then the engine's.

How wrong: devices load at once and independently, so a weight that several hold is read several times; engines that capture graphs or
compile at every start take as long as the scenario says, whatever the device.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeAlias

from edgewright.policies.compile import compile_plan
from edgewright.policies.plan import Delay, Load, Plan, Transfer, par, seq
from edgewright.policies.timeline import makespan
from edgewright.simulator.assemble_faults import stores
from edgewright.simulator.assemble_memory import weight_bytes
from edgewright.simulator.interpreter import Execution, Scope
from edgewright.workloads import Step

if TYPE_CHECKING:
    from edgewright.simulator.replica import Replica

__all__ = ["FORGETFUL", "Lifecycle", "State"]

State: TypeAlias = Literal["ready", "draining", "starting", "stopped", "asleep", "down"]

FORGETFUL = ("crashed", "unpowered", "absent")
"""Kinds of being down in which a device's memory is lost."""


class Lifecycle:
    """The states of one replica.

    Attributes:
        state: what it does; a replica that is stopped is so whatever its devices do. `serving`: whether it computes.
        wanted: whether it is to run; `draining`: whether it is to stop (or sleep) when it has served what it has.
        unloaded: devices that must load their weights before it can serve.
        to_sleep: whether it is to sleep then; `resting`: whether it does, its devices with it if nobody else needs them.
        waking: whether its devices have been told to wake.
        residence: since when its weights take memory, and since when not, in order of time; from the beginning of a start on.
        changed: called after every change of state, by whoever watches the replica; `idled`: when it has nothing to do any more.
    """

    def __init__(self, replica: Replica) -> None:
        self.replica = replica
        self.machine = replica.machine
        self.wanted = True
        self.draining = False
        self.unloaded: dict[str, None] = {}
        self.to_sleep = False
        self.resting = False
        self.waking = False
        self.changed: Callable[[], None] = lambda: None
        self.idled: Callable[[], None] = lambda: None
        self._idle_since: float | None = 0.0
        self._running_since: float | None = None
        self._busy_s = 0.0
        self.residence: list[tuple[float, bool]] = [(0.0, True)]
        self._scope: Scope | None = None
        self.state: State = "ready"
        self.serving = True

    @property
    def devices(self) -> tuple[str, ...]:
        """All devices that it cannot do without."""
        return tuple(dict.fromkeys((*self.replica.devices, *self.replica.placement.parts)))

    @property
    def expected(self) -> bool:
        """Whether it will be ready by itself."""
        return self.state == "starting" or (self.state == "asleep" and self.waking)

    # -- what it has to do -------------------------------------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        """Simulated time."""
        return float(self.machine.env.now)

    @property
    def idle_s(self) -> float:
        """Seconds since it last had something to do, or began to serve; 0 while it has."""
        return 0.0 if self._idle_since is None else self.now - self._idle_since

    @property
    def busy_s(self) -> float:
        """Seconds so far with something in a batch."""
        return self._busy_s + (0.0 if self._running_since is None else self.now - self._running_since)

    def worked(self, now: float, waiting: int, running: int) -> None:
        """The queue or a batch has changed to so many jobs."""
        if running and self._running_since is None:
            self._running_since = now
        elif not running and self._running_since is not None:
            self._busy_s += now - self._running_since
            self._running_since = None
        idle = not running and not waiting
        if idle and self._idle_since is None:
            self._idle_since = now
            self.idled()
        elif not idle:
            self._idle_since = None

    # -- what befalls it -----------------------------------------------------------------------------------------------------------------

    def forget(self, device: str) -> None:
        """A device has lost its memory."""
        if device in self.replica.placement.parts:
            self.unloaded[device] = None

    def look(self) -> None:
        """Devices have gone down or come up, or somebody wants it to start or stop: be what that makes of it."""
        state = self._due()
        if state == self.state:
            return
        self._cancel_start()
        self.state, self.serving = state, state in ("ready", "draining")
        self.waking = self.waking and state == "asleep"
        resident = state not in ("stopped", "down") or (state == "down" and not self.unloaded)
        if resident != self.residence[-1][1]:
            self.residence.append((self.now, resident))
        if state == "starting":
            self._start()
        elif state in ("ready", "draining"):
            self._open()
        self.changed()

    def _due(self) -> State:
        up = self.machine.up
        down = [device for device in self.devices if not up(device)]
        if not self.wanted:
            return "stopped"
        if down:
            sleeping = all(cause.kind == "asleep" for device in down for cause in up.causes(device))
            return "asleep" if sleeping else "down"
        if self.resting:
            return "asleep"
        if self.unloaded or (self._scope is not None and self.state == "starting"):
            return "starting"
        return "draining" if self.draining else "ready"

    # -- starting ------------------------------------------------------------------------------------------------------------------------

    def unload(self) -> None:
        """Free the memory of all devices."""
        self.unloaded = dict.fromkeys(self.replica.placement.parts)

    def start_plan(self) -> Plan:
        """Weights of the devices that lack theirs, side by side, and then the engine."""
        table = self.replica.setup.tables[0].startup
        weights = weight_bytes(self.replica.setup)
        loads: list[Plan] = []
        for device in self.unloaded:
            if table.weights is not None:
                loads.append(Delay(table.weights, name=f"load weights {device}"))
            elif table.source is not None:
                loads.append(Transfer(table.source, device, weights[device], name=f"fetch weights {device}"))
            elif stores(self.machine.cluster, device):
                loads.append(Load(device, weights[device], name=f"load weights {device}"))
            else:
                raise ValueError(f"{self.replica.name}: {device} has no storage to load its weights from; set services.*.startup.weights")
        return seq(par(*loads), Delay(table.engine, name="start engine")) if loads else Delay(table.engine, name="start engine")

    @property
    def cold_start_s(self) -> float:
        """Seconds that starting it from nothing takes, alone."""
        before, self.unloaded = self.unloaded, dict.fromkeys(self.replica.placement.parts)
        plan, self.unloaded = self.start_plan(), before
        return float(makespan(plan, self.machine.cluster, Step()))

    def _start(self) -> None:
        self._scope = Scope(self.machine, f"{self.replica.name}.startup")
        (strand,) = compile_plan(self.start_plan()).strands
        Execution(self._scope, strand, Step(), on_end=self._started).begin()

    def _started(self, execution: Execution) -> None:
        if execution.scope is self._scope:
            self._scope = None
            self.unloaded.clear()
            self.look()

    def _cancel_start(self) -> None:
        scope, self._scope = self._scope, None
        if scope is not None:
            scope.abandon()

    def _open(self) -> None:
        self._idle_since = None if self._idle_since is None else self.now
        self.replica.run_ahead()
        for lane in self.replica.lanes:
            lane.wake()
