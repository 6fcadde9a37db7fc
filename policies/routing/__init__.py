"""Family `routing`: which replica serves a job.

Read first: `candidates.py` (who may serve a job at all), `least_loaded.py`.
May import: `policies.families`, `policies.views`, `policies.base` and the houses below.
"""

from edgewright.policies.routing.energy_slo import EnergySlo
from edgewright.policies.routing.first_fit import FirstFit
from edgewright.policies.routing.least_loaded import LeastLoaded
from edgewright.policies.routing.predicted_latency import PredictedLatency
from edgewright.policies.routing.round_robin import RoundRobin

__all__ = ["EnergySlo", "FirstFit", "LeastLoaded", "PredictedLatency", "RoundRobin"]
