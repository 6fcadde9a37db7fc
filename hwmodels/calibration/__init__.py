"""Calibration: real kernels timed on the machine at hand, and what a device must be like for them to take that long.

Read first: `estimator.py` (`Calibration().fit(timings).predict(work)`), `curve.py` (the time of one kernel class as a function of size).
Then: `suite.py` (which sizes are timed), `timing.py` (a timed point, and the file that a run can go on with), `profile.py` (the device,
in the catalogue's form), `readers.py` (joules that a machine says it used), `torch_suite.py` (the same through PyTorch).
May import: `kernels`, and the rest of `hwmodels`.
"""

from edgewright.hwmodels.calibration.curve import Curve
from edgewright.hwmodels.calibration.estimator import Calibration, Prediction
from edgewright.hwmodels.calibration.suite import Point, full_suite, quick_suite, time_points, unseen_points
from edgewright.hwmodels.calibration.timing import Timing, TimingFile

__all__ = [
    "Calibration",
    "Curve",
    "Point",
    "Prediction",
    "Timing",
    "TimingFile",
    "full_suite",
    "quick_suite",
    "time_points",
    "unseen_points",
]
