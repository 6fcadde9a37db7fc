"""Pictures of a run for papers, with matplotlib (extra `plots`): `result.plot.latency_cdf().savefig("ttft.pdf")`.

Read `style.py` (what all pictures share), then `run.py`. Every method returns a matplotlib `Figure` and shows nothing by itself.
"""

from edgewright.simulator.plots.run import RunPlots
from edgewright.simulator.plots.style import PALETTE, canvas, picture_style

__all__ = ["PALETTE", "RunPlots", "canvas", "picture_style"]
