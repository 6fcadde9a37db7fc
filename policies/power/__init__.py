"""Family `power`: how a power domain is held to its budget.

Read first: `commands.py` (what a controller remembers of what it commanded), `static_cap.py`, `two_thresholds.py`, `charge_saver.py`.
May import: `policies.families`, `policies.views`, `policies.base` and the houses below.

A policy that works without a budget says so with `needs_budget = False`; one that may put devices of a priority to sleep has a method
`sleeps(priority)` that says so, and scenarios in which such a device cannot sleep are refused.
Clocks are fractions of a target's maximum; `budget_W` includes the domain's `overhead_W`, which nobody here controls.
"""

from edgewright.policies.power.charge_saver import ChargeSaver
from edgewright.policies.power.none import Uncontrolled
from edgewright.policies.power.static_cap import StaticCap
from edgewright.policies.power.two_thresholds import TwoThresholds

__all__ = ["ChargeSaver", "StaticCap", "TwoThresholds", "Uncontrolled"]
