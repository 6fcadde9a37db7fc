"""Published systems against their baselines, from mechanism: `edgewright reproduce tpi-llm`.

Read `claims.py` (what a system is here: claims, assumptions, and how to simulate it), `verdicts.py` (when a claim is reproduced), then the
folder of one system. A system's mechanism lives in the houses below, as a policy, plan, kernel or model that any scenario can use; its
folder holds the set-up as scenario files, the published figures, and what came out. May import every house.
"""

from edgewright.experiments.reproductions.catalogue import find, names
from edgewright.experiments.reproductions.claims import Assumption, Claim, System, Value
from edgewright.experiments.reproductions.running import Outcomes, reproduce
from edgewright.experiments.reproductions.verdicts import Row, rows_of

__all__ = ["Assumption", "Claim", "Outcomes", "Row", "System", "Value", "find", "names", "reproduce", "rows_of"]
