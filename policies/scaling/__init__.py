"""Family `scaling`: how many replicas of a service run, and when.

Read first: `threshold.py` (hysteresis on queues), `keep_alive.py` (down to none), `fleet.py` (what they have in common).
May import: `policies.families`, `policies.views`, `policies.base`, `policies.registry` and the houses below.
"""

from edgewright.policies.scaling.fixed import Fixed
from edgewright.policies.scaling.keep_alive import KeepAlive
from edgewright.policies.scaling.scheduled import Scheduled
from edgewright.policies.scaling.target_utilisation import TargetUtilisation
from edgewright.policies.scaling.threshold import Threshold

__all__ = ["Fixed", "KeepAlive", "Scheduled", "TargetUtilisation", "Threshold"]
