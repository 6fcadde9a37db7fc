"""The HTML report of a run: one file that opens offline.

Read first: `page.py` (what is on the page), `figure.py` (what a figure is), `template.html`. Each figure has a module of its own.
"""

from edgewright.simulator.report.page import render, write_report

__all__ = ["render", "write_report"]
