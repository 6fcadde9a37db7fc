"""Decisions in the middle of a run as steps of an environment: the run waits in a thread of its own while the learner thinks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from queue import Queue
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgewright.simulator.request import Request
    from edgewright.simulator.simulation import Simulation

__all__ = ["Bridge", "Progress"]


@dataclass(frozen=True, slots=True)
class Progress:
    """What happened since the last decision.

    Attributes:
        seconds: simulated time.
        joules: energy of all devices and links.
        met: jobs completed within their service's objectives and their deadline.
        missed: jobs completed too late, rejected, or failed.
    """

    seconds: float
    joules: float
    met: int
    missed: int


class _Stopped(BaseException):
    """The environment was reset or closed: the run ends where it is."""


class Bridge:
    """One run. `ask` is called by its agent, in the run's thread; `start`, `answer` and `stop` by the environment."""

    def __init__(self, simulation: Callable[[Bridge], Simulation]) -> None:
        self.progress = Progress(0.0, 0.0, 0, 0)
        self._build = simulation
        self._asked: Queue[Any] = Queue()
        self._answers: Queue[Any] = Queue()
        self._thread: threading.Thread | None = None
        self._simulation: Simulation | None = None
        self._last = (0.0, 0.0)
        self._met = self._missed = 0

    # -- the environment's side ------------------------------------------------------------------------------------------------------------

    def start(self) -> Any:
        """Begin the run; the first observation, or None if it ends without a decision. Raises what the run raises."""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self._next()

    def answer(self, action: Any) -> Any:
        """Go on with a decision; the next observation, or None at the end."""
        self._answers.put(action)
        return self._next()

    def stop(self) -> None:
        """End the run, wherever it is."""
        if self._thread is not None and self._thread.is_alive():
            self._answers.put(_Stopped())
            self._thread.join()

    def _next(self) -> Any:
        kind, value = self._asked.get()
        if kind == "error":
            raise value
        return value

    # -- the run's side --------------------------------------------------------------------------------------------------------------------

    def ask(self, observation: Any) -> Any:
        """The learner's action at this observation."""
        self._settle()
        self._asked.put(("decision", observation))
        answer = self._answers.get()
        if isinstance(answer, _Stopped):
            raise answer
        return answer

    def _run(self) -> None:
        try:
            self._simulation = self._build(self)
            self._simulation.machine.signals.finished.subscribe(self._finished)
            self._simulation.run_until(self._simulation.end)
            self._settle()
            self._asked.put(("end", None))
        except _Stopped:
            return
        except Exception as error:
            self._asked.put(("error", error))

    def _finished(self, request: object) -> None:
        assert self._simulation is not None
        if _met(request, self._simulation):  # type: ignore[arg-type]
            self._met += 1
        else:
            self._missed += 1

    def _settle(self) -> None:
        """What happened since the last decision, and a new beginning."""
        if self._simulation is None:
            return
        now, joules = self._simulation.now, sum(self._simulation.machine.joules().values())
        self.progress = Progress(now - self._last[0], joules - self._last[1], self._met, self._missed)
        self._last = (now, joules)
        self._met = self._missed = 0


def _met(request: Request, simulation: Simulation) -> bool:
    """Completed in time, as `slo_met` of a result has it."""
    job, now = request.job, simulation.now
    if request.status != "completed" or (job.deadline is not None and now > job.deadline):
        return False
    slo, first, last = simulation.scenario.slo, request.first_token, request.last_token
    if not simulation.services[job.service].generates or first is None or last is None:
        return True
    tokens = request.generated - 1
    pairs = [(slo.ttft, first - job.arrival), (slo.e2e, now - job.arrival), (slo.tpot, (last - first) / tokens if tokens > 0 else 0.0)]
    return all(limit is None or value <= limit for limit, value in pairs)
