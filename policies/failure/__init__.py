"""Family `failure`: what becomes of jobs whose replica, link or call has failed.

Read first: `retry.py` (the shortest that does something), `backoff.py` (limits that several share), `resume.py` (checkpoints).
May import: `policies.families`, `policies.views`, `policies.base`, `policies.registry` and the houses below.
"""

from edgewright.policies.failure.backoff import Backoff
from edgewright.policies.failure.drop import Drop
from edgewright.policies.failure.failover import Failover
from edgewright.policies.failure.resume import Resume
from edgewright.policies.failure.retry import Retry

__all__ = ["Backoff", "Drop", "Failover", "Resume", "Retry"]
