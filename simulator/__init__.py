"""Time: SimPy, contention, power and measurement. The only house that imports simpy.

    from edgewright.simulator import Scenario, simulate
    result = simulate(Scenario.load("quickstart"))

Read first: `simulation.py` (a scenario brought to life), `interpreter.py` (how plans run), `lane.py` (the serving loop).
Then: `machine.py` and `sharing.py` (engines, shared capacities, energy), `stretch.py` (runs of steps jumped over), `express.py` (a
replica whose whole loop runs compiled; `express_rule.py` says when), `power_build.py` (what feeds, protects and controls power domains),
`scenario.py` (what a file may say), `result.py` (what a run leaves behind).
May import: `policies`, `workloads`, `hwmodels`, `kernels`.
"""

import edgewright.simulator.compiled  # noqa: F401  before all others: it says where they are imported from
from edgewright.simulator.errors import ScenarioError
from edgewright.simulator.invariants import InvariantViolation
from edgewright.simulator.plan_run import PlanTrace, run_plan
from edgewright.simulator.result import Result
from edgewright.simulator.scenario import Scenario
from edgewright.simulator.simulation import Simulation, simulate

__all__ = ["InvariantViolation", "PlanTrace", "Result", "Scenario", "ScenarioError", "Simulation", "run_plan", "simulate"]
