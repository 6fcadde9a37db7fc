"""Family `orchestration`: how a service that owns no devices serves a job by calling other services.

Read first: `calls.py` (what a call may say, and what it returns), `cascade.py` (the shortest script), `speculative.py` (a loop of calls).
May import: `policies.plan`, `policies.families`, `policies.views`, `policies.base` and the houses below.
"""

from edgewright.policies.orchestration.calls import call, result_of
from edgewright.policies.orchestration.cascade import Cascade
from edgewright.policies.orchestration.composition import Composition
from edgewright.policies.orchestration.disaggregated import Disaggregated
from edgewright.policies.orchestration.early_exit import EarlyExit
from edgewright.policies.orchestration.speculative import Speculative
from edgewright.policies.orchestration.split_decoding import SplitDecoding

__all__ = ["Cascade", "Composition", "Disaggregated", "EarlyExit", "Speculative", "SplitDecoding", "call", "result_of"]
