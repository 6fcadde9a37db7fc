"""Family `kv`: which tokens of a sequence's KV cache stay, in what precision, in which tier.

Read first: `sliding_window.py` (the shortest that does something), `heavy_hitters.py` (a selection by attention), `elementwise.py`.
May import: `policies.families`, `policies.base` and the houses below.

Each policy says the same thing twice: `footprint`, a closed form of counts, for time; `select`, the algorithm on attention scores, for
quality. The conformance suite holds the two together.
"""

from edgewright.policies.kv.full import Full
from edgewright.policies.kv.heavy_hitters import HeavyHitters
from edgewright.policies.kv.offload import Offload
from edgewright.policies.kv.quantised import Quantised
from edgewright.policies.kv.sliding_window import SlidingWindow

__all__ = ["Full", "HeavyHitters", "Offload", "Quantised", "SlidingWindow"]
