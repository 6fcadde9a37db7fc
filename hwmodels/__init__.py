"""Prices: what work costs on hardware. Knows nothing of models, policies or time.

Read first: `work.py` (what is asked), `specs.py` (of whom), `demand.py` (what an operation asks of the shared parts).
Then: `roofline.py` and `energy.py` (prices), `cluster.py` (what is joined to what), `catalog` (devices, storages and links by name),
`units.py` (quantities as people write them).
May import: `kernels`.
"""

from edgewright.hwmodels.cluster import Attachment, Cluster, Connection, Hop, Unreachable
from edgewright.hwmodels.condition import Condition
from edgewright.hwmodels.demand import Demand
from edgewright.hwmodels.energy import (
    Draw,
    bus_peak_W,
    clock_floor,
    clock_for_watts,
    dynamic_scale,
    engine_clock_for_watts,
    engine_floor,
    engine_peak_W,
    engine_static_W,
    largest_clock,
    peak_W,
    settable_clock,
    storage_peak_W,
)
from edgewright.hwmodels.rates import Rate, RateProfile
from edgewright.hwmodels.roofline import Price, price
from edgewright.hwmodels.specs import Bus, Device, Efficiency, Engine, Link, Pool, Provenance, Spread, Storage, UnknownFigure
from edgewright.hwmodels.work import KERNELS, Quantity, Term, Work

__all__ = [
    "KERNELS",
    "Attachment",
    "Bus",
    "Cluster",
    "Condition",
    "Connection",
    "Demand",
    "Device",
    "Draw",
    "Efficiency",
    "Engine",
    "Hop",
    "Link",
    "Pool",
    "Price",
    "Provenance",
    "Quantity",
    "Rate",
    "RateProfile",
    "Spread",
    "Storage",
    "Term",
    "UnknownFigure",
    "Unreachable",
    "Work",
    "bus_peak_W",
    "clock_floor",
    "clock_for_watts",
    "dynamic_scale",
    "engine_clock_for_watts",
    "engine_floor",
    "engine_peak_W",
    "engine_static_W",
    "largest_clock",
    "peak_W",
    "price",
    "settable_clock",
    "storage_peak_W",
]
