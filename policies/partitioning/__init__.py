"""Family `partitioning`: how one inference is spread over the devices of a replica.

Read first: `tensor_parallel.py` (a plan of collectives), `stages.py` (what a stage costs), `amounts.py` (bytes that depend on the step).
May import: `policies.plan`, `policies.families`, `policies.views`, `policies.base` and the houses below.

Every plan computes each block exactly once per step (whole, in equal shards, or each share of the tokens) and ends with `Mark("token")`.
"""

from edgewright.policies.partitioning.amounts import BoundaryBytes, OutputBytes, TokenShare
from edgewright.policies.partitioning.branches import Branches
from edgewright.policies.partitioning.data_parallel import DataParallel
from edgewright.policies.partitioning.in_storage import InStorage
from edgewright.policies.partitioning.pipeline import Pipeline
from edgewright.policies.partitioning.single import Single
from edgewright.policies.partitioning.split import Split
from edgewright.policies.partitioning.tensor_parallel import TensorParallel

__all__ = [
    "BoundaryBytes",
    "Branches",
    "DataParallel",
    "InStorage",
    "OutputBytes",
    "Pipeline",
    "Single",
    "Split",
    "TensorParallel",
    "TokenShare",
]
