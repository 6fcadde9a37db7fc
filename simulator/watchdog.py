"""What goes down and comes up, told to whom it concerns: replicas, the services that wait for them, jobs on their way."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from edgewright.simulator.availability import Cause
from edgewright.simulator.lifecycle import FORGETFUL
from edgewright.simulator.replica import Replica

if TYPE_CHECKING:
    from edgewright.simulator.simulation import Simulation

__all__ = ["Watchdog"]


class Watchdog:
    """Listens to the machine on behalf of the services of one simulation, and keeps the record of what was up."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self.machine = simulation.machine
        self.recorder = simulation.recorder
        self._by_device: dict[str, list[Replica]] = {}
        self._rows: dict[tuple[str, Cause], int] = {}
        for replica in simulation.replicas.values():
            replica.life.changed = partial(self._changed, replica)
            replica.life.idled = simulation.services[replica.service].scaler.changed
            for device in replica.life.devices:
                self._by_device.setdefault(device, []).append(replica)
        self._open_records()
        self.machine.signals.causes.subscribe(self._cause)
        self.machine.signals.availability.subscribe(self._turned)

    def _open_records(self) -> None:
        cluster = self.machine.cluster
        self._what = dict.fromkeys(cluster.devices, "device") | {each.name: "link" for each in cluster.connections}
        self._what |= {f"{each.device}.{each.name}": "storage" for each in cluster.attachments}
        for name, what in self._what.items():
            self.recorder.uptimes.watch(what, name)
        for name, service in self.simulation.services.items():
            for replica in service.servers:
                self.recorder.uptimes.watch("replica", replica.name)
            if service.servers:
                self.recorder.uptimes.watch("service", name)

    def _turned(self, name: str, up: bool, kind: str) -> None:
        self.recorder.uptimes.turn(self._what.get(name, "device"), name, up, float(self.machine.env.now))

    def _cause(self, name: str, cause: tuple[str, str], holds: bool) -> None:
        found = Cause(*cause)  # type: ignore[arg-type]
        self._note(name, found, holds)
        if self._what.get(name) != "device":
            if holds:
                self._stalled()
            return
        here, memory = self._by_device.get(name, []), holds and found.kind in FORGETFUL
        served = [replica.serving for replica in here]
        for replica in here:
            if memory:
                replica.life.forget(name)
            replica.life.look()
        for replica, did in zip(here, served, strict=True):  # only now: no job finds its way to another replica that is going down, too
            if holds and (did or memory):
                self.simulation.services[replica.service].replica_lost(replica, found.kind, name, did, memory)

    def _note(self, name: str, cause: Cause, holds: bool) -> None:
        """Write down what others than the scenario's faults do, which write themselves."""
        if cause.by.startswith("fault "):
            return
        if holds:
            self._rows[name, cause] = self.recorder.fault(cause.by, cause.kind, name, float(self.machine.env.now))
        else:
            self.recorder.fault_over(self._rows.pop((name, cause)), float(self.machine.env.now))

    def _stalled(self) -> None:
        for service in self.simulation.services.values():
            service.recovery.watch()

    def _changed(self, replica: Replica) -> None:
        service, now = self.simulation.services[replica.service], float(self.machine.env.now)
        self.recorder.uptimes.turn("replica", replica.name, replica.serving, now)
        self.recorder.uptimes.turn("service", service.name, any(each.serving for each in service.servers), now)
        service.reconsider()
