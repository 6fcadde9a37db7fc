"""The HTML report of a run: one file that opens offline.

Read first: `page.py` (what is on the page), `figure.py` (what a figure is), `frame.py` (what every page has), `run.html`.
Each figure has a module of its own.
"""

from edgewright.simulator.report.figure import Drawing
from edgewright.simulator.report.frame import framed
from edgewright.simulator.report.page import render, write_report

__all__ = ["Drawing", "framed", "render", "write_report"]
