"""Family `experts`: which device or storage tier holds an expert; what to read ahead, what to evict.

Read first: `keys.py` (what agents tell plans), `on_demand.py` (a cache before storage), `parallel.py` (experts over devices).
May import: `policies.partitioning`, `policies.residency`, `policies.plan`, `policies.families`, `policies.views` and the houses below.

An agent follows the routes of one replica: `bind(routes)` for one step, `bind_block(routes, steps)` for a run of steps at once (equal to
one by one), `snapshot()` and `restore(state)` where a run was cut short. `hits` and `misses` count experts that were in memory when
routed to, and that were not. An agent that has `step` is a `Program`: its scripts take the place of the placement's program.
"""

from edgewright.policies.experts.affinity import Affinity
from edgewright.policies.experts.on_demand import OnDemand
from edgewright.policies.experts.popularity import Popularity
from edgewright.policies.experts.prefetch import Prefetch
from edgewright.policies.experts.profiling import profiled
from edgewright.policies.experts.resident import Resident
from edgewright.policies.experts.round_robin import RoundRobin

__all__ = ["Affinity", "OnDemand", "Popularity", "Prefetch", "Resident", "RoundRobin", "profiled"]
