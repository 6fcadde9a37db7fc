"""Family `residency`: which weights sit in memory, which are read from storage, and when. Functions from placement to placement.

Read first: `rewrite.py` (how plans are transformed), `streaming_window.py` (loaders that run ahead), `lru.py` (why a cycle thrashes),
`page_cache.py` (what other caches keep of one).
May import: `policies.plan`, `policies.families`, `policies.views`, `policies.base` and the houses below.

All change the `Compute`s of `Part`s only; whatever else a plan holds stays as it is. Devices whose weights fit their budget are left alone.
"""

from edgewright.policies.residency.all_resident import AllResident
from edgewright.policies.residency.budget import held_bytes, overfull, weight_budget
from edgewright.policies.residency.lru import Lru
from edgewright.policies.residency.mmap import Mmap
from edgewright.policies.residency.pinned import Pinned
from edgewright.policies.residency.streaming_window import StreamingWindow
from edgewright.policies.residency.swap import Swap

__all__ = ["AllResident", "Lru", "Mmap", "Pinned", "StreamingWindow", "Swap", "held_bytes", "overfull", "weight_budget"]
