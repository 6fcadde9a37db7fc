"""Conformance: what everything of one kind promises, as named checks on one of them. Yours too.

    from edgewright.hwmodels.conformance import check_device
    check_device(device)                  # raises AssertionError, naming the checks that fail and what happened
    DEVICE.broken(device)                 # the same as a dictionary, empty if all hold

Read first: `suite.py` (what a suite is), `device.py` (the checks of a device). Suites of models and of trace formats are in
`edgewright.workloads.conformance`, of policies in `edgewright.policies.conformance`.
May import: `hwmodels`. Nothing in `hwmodels` imports this package: it costs nothing unless it is used.

Passing says that figures are consistent and can be priced, not that they are true.
"""

from edgewright.hwmodels.conformance.device import DEVICE, check_device
from edgewright.hwmodels.conformance.promises import require, situation
from edgewright.hwmodels.conformance.suite import Suite

__all__ = ["DEVICE", "Suite", "check_device", "require", "situation"]
