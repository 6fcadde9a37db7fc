"""Sweeps: a scenario, the factors to vary, replications; results as they finish, in one data set that a killed sweep goes on with.

Read `spec.py` (what a sweep is), `points.py` (which points are run), then `driver.py` (how). May import every house.

    from edgewright.experiments.sweeps import sweep

    result = sweep("hello", {"services.chat.format": ["q8_0", "q4_0"]}, replications=5, out="results/formats")
    result.summary(["ttft_p50_s", "joules_per_token"])
"""

from edgewright.experiments.sweeps.driver import SweepResult, sweep
from edgewright.experiments.sweeps.spec import Precision, Spec, SweepError, read_spec

__all__ = ["Precision", "Spec", "SweepError", "SweepResult", "read_spec", "sweep"]
