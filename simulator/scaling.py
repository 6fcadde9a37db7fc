"""Scaling in time: what a service's scaling agent sees, when it is asked, and how its commands are carried out.

A replica that is stopped holds no memory; starting it loads its weights again. One that sleeps keeps them; a device sleeps
while every replica on it, of whatever service, is stopped or asleep, and wakes for the first that is not.

How wrong: commands take effect at once, where an orchestrator needs a second or so to place a container (put that into
`startup.engine`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgewright.policies.families import Scale, Scaling, ScalingAgent
from edgewright.simulator.power_target import Target
from edgewright.simulator.replica import Replica

if TYPE_CHECKING:
    from edgewright.simulator.service import Service

__all__ = ["Scaler"]


SLEEPER = "scaling"
"""On whose behalf devices sleep: that of all services together, as any of them may wake a device."""

MOST_LOOKS = 10_000
"""Decisions at one moment beyond which time would never pass."""


class Scaler:
    """The scaling of one service. Implements `ScalingView`."""

    def __init__(self, service: Service, agent: ScalingAgent) -> None:
        self.service = service
        self.machine = service.machine
        self.agent = agent
        self.by = f"scaling {service.name}"
        self.views = [_Scaled(replica) for replica in service.servers]
        self._by_name = {view.name: view for view in self.views}
        self._decision = Scaling()
        self._asked = False
        self._leaving: dict[str, Replica] = {}
        self._version = 0
        self._looks = (0.0, 0)
        self._joules = (0.0, 0.0)
        self._targets = [
            Target(self.machine, device, 0) for device in sorted({d for view in self.views for d in view.replica.life.devices})
        ]

    # -- view ------------------------------------------------------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        """Simulated time."""
        return self.service.now

    @property
    def replicas(self) -> Sequence[_Scaled]:
        """The service's replicas."""
        return self.views

    @property
    def arrivals(self) -> int:
        """Jobs that have come so far."""
        return self.service.arrivals

    @property
    def pending(self) -> int:
        """Jobs at the door."""
        return len(self.service.pending)

    @property
    def watts(self) -> float:
        """Mean module power of the replicas' devices since it was last read."""
        self.machine.settle_energy()
        joules = sum(target.joules() for target in self._targets)
        before, since = self._joules
        self._joules = (joules, self.now)
        return (joules - before) / (self.now - since) if self.now > since else 0.0

    # -- when ------------------------------------------------------------------------------------------------------------------------------

    def act(self) -> None:
        """Ask the agent, and do what it says."""
        self._version += 1
        self._looks = (self.now, self._looks[1] + 1) if self._looks[0] == self.now else (self.now, 1)
        if self._looks[1] > MOST_LOOKS:
            raise ValueError(f"{self.by}: at {self.now:g} s the policy undoes what it does, again and again")
        self._decision = self.agent.act(self)
        for command in self._decision.actions:
            self._do(command)
        wake_at, version = self._decision.wake_at, self._version
        if wake_at is not None:
            if wake_at <= self.now:
                raise ValueError(
                    f"scaling policy of {self.service.name} asks to be woken at {wake_at:g} s, but it is {self.now:g} s already"
                )
            self.machine.at(wake_at, lambda: self.act() if self._version == version else None)

    def arrived(self) -> None:
        """A job has come."""
        if self._decision.arrival:
            self.act()

    def changed(self) -> None:
        """A replica has changed its state, or has nothing more to do: look at the end of this moment, if that can matter to anybody."""
        if not self._asked and (self._leaving or self._decision.change):
            self._asked = True
            self.machine.after(0.0, self._look)

    def _look(self) -> None:
        self._asked = False
        for replica in tuple(self._leaving.values()):
            self._settle(replica)
        if self._decision.change:
            self.act()

    # -- commands --------------------------------------------------------------------------------------------------------------------------

    def _do(self, command: Scale) -> None:
        if command.replica not in self._by_name:
            raise ValueError(f"{self.by}: the policy commands {command.replica!r}, which is none of its replicas")
        replica = self._by_name[command.replica].replica
        life = replica.life
        if command.action == "start" and life.state in ("stopped", "draining"):
            life.wanted, life.draining, life.to_sleep, life.waking = True, False, False, True
            self._wake(life.devices)
            life.look()
        elif command.action == "wake" and (life.state == "asleep" or life.to_sleep):
            life.draining, life.to_sleep, life.resting, life.waking = False, False, False, life.state == "asleep"
            self._wake(life.devices)
            life.look()
        elif command.action in ("drain", "sleep") and life.state not in ("stopped", "asleep"):
            life.draining, life.to_sleep = True, command.action == "sleep"
            self._leaving[replica.name] = replica
            life.look()
            self._settle(replica)
        elif command.action == "stop" and life.state != "stopped":
            self._stop(replica)

    def _settle(self, replica: Replica) -> None:
        """A draining replica that has served what it had, and to which nothing is on its way, stops or goes to sleep."""
        life = replica.life
        if not life.draining or life.state == "stopped":
            self._leaving.pop(replica.name, None)
            return
        if replica.queued + replica.running or self.service.bound_to(replica, True, False):
            return
        del self._leaving[replica.name]
        if not life.to_sleep:
            self._stop(replica)
            return
        life.draining, life.resting = False, True
        life.look()
        self._rest(replica)

    def _wake(self, devices: Sequence[str]) -> None:
        for device in devices:
            self.machine.states.wake(device, SLEEPER)

    def _rest(self, replica: Replica) -> None:
        """Put those devices of a replica to sleep on which every other is stopped or at rest, too."""
        for device in replica.life.devices:
            here = [other.life for other in self.service.simulation.replicas_on(device)]
            if any(life.resting for life in here) and not any(life.wanted and not life.resting for life in here):
                self.machine.states.sleep(device, SLEEPER)

    def _stop(self, replica: Replica) -> None:
        served, life = replica.serving, replica.life
        life.wanted, life.draining, life.to_sleep, life.resting = False, False, False, False
        life.unload()
        life.look()
        self.service.replica_lost(replica, "stopped", replica.name, served or bool(replica.waiting), memory=True)
        self._rest(replica)


class _Scaled:
    """One replica as its agent sees it. Implements `ScaledView`."""

    def __init__(self, replica: Replica) -> None:
        self.replica = replica
        self.name = replica.name
        self.most = replica.most

    @property
    def state(self) -> str:
        """What it does."""
        return self.replica.life.state

    @property
    def queued(self) -> int:
        """Jobs in its queue."""
        return self.replica.queued

    @property
    def running(self) -> int:
        """Jobs in its batches."""
        return self.replica.running

    @property
    def idle_s(self) -> float:
        """Seconds since it last had something to do."""
        return self.replica.life.idle_s

    @property
    def busy_s(self) -> float:
        """Seconds with something in a batch."""
        return self.replica.life.busy_s

    @property
    def cold_start_s(self) -> float:
        """Seconds that starting it takes, alone."""
        return self.replica.life.cold_start_s
