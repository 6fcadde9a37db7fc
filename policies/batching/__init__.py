"""Family `batching`: which jobs run in the next step of a replica.

Read first: `admission.py` (what may enter a step), `continuous.py` (between two steps), `closing.py` (batches that run to their end).
May import: `policies.families`, `policies.views`, `policies.base` and the houses below.

All built-ins serve models that generate and one-shot models alike: a one-shot job is a prompt of one token that never decodes.
"""

from edgewright.policies.batching.chunked_prefill import ChunkedPrefill
from edgewright.policies.batching.continuous import Continuous
from edgewright.policies.batching.dynamic import Dynamic
from edgewright.policies.batching.expert_aware import ExpertAware
from edgewright.policies.batching.static import Static

__all__ = ["ChunkedPrefill", "Continuous", "Dynamic", "ExpertAware", "Static"]
