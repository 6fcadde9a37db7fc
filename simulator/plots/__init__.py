"""Pictures of a run for papers, with matplotlib (extra `plots`): `result.plot.latency_cdf().savefig("ttft.pdf")`.

Read `style.py` (what all pictures share), then `run.py`. Every method returns a matplotlib `Figure` and shows nothing by itself.
"""

from edgewright.simulator.plots.run import RunPlots
from edgewright.simulator.plots.style import COLUMN, MARKERS, PAGE, PALETTE, axis_label, canvas, legend, picture_style, short_keys

__all__ = ["COLUMN", "MARKERS", "PAGE", "PALETTE", "RunPlots", "axis_label", "canvas", "legend", "picture_style", "short_keys"]
