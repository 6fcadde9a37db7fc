"""Family `kv`: which tokens of a sequence's KV cache stay, in what precision, in which tier.

Read first: `sliding_window.py` (the shortest that does something), `heavy_hitters.py` (a selection by attention), `keyformer.py` (one
whose scoring costs time), `tidaldecode.py` (one whose layers differ), `quality.py` (what share of the attention a policy retains).
May import: `policies.families`, `policies.base` and the houses below.

Each policy says the same thing twice: `footprint`, a closed form of counts, for time; `select`, the algorithm on attention scores, for
quality. The conformance suite holds the two together. What else a policy may say is in `families.py`: `KvWork` (its own work, layers
that differ) and `KvFollowing` (an algorithm that goes along with the steps).
"""

from edgewright.policies.kv.full import Full
from edgewright.policies.kv.gemfilter import GemFilter
from edgewright.policies.kv.heavy_hitters import HeavyHitters
from edgewright.policies.kv.keyformer import Keyformer
from edgewright.policies.kv.offload import Offload
from edgewright.policies.kv.quality import Retention, retained_attention
from edgewright.policies.kv.quantised import Quantised
from edgewright.policies.kv.quest import Quest
from edgewright.policies.kv.scissorhands import Scissorhands
from edgewright.policies.kv.sliding_window import SlidingWindow
from edgewright.policies.kv.snapkv import SnapKV
from edgewright.policies.kv.sparf import SparF
from edgewright.policies.kv.tidaldecode import TidalDecode

__all__ = [
    "Full",
    "GemFilter",
    "HeavyHitters",
    "Keyformer",
    "Offload",
    "Quantised",
    "Quest",
    "Retention",
    "Scissorhands",
    "SlidingWindow",
    "SnapKV",
    "SparF",
    "TidalDecode",
    "retained_attention",
]
