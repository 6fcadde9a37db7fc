"""Validation: predictions beside measurements that others published.

Read first: `rows.py` (the format of a measurement), `asking.py` (what a row asks of hardware), `answering.py` (its price in the row's own
unit). Then `fit.py` (how the figures of serving software are learned), `report.py` (the errors by group), and README.md for the figures.

May import: every house.
"""

__all__: list[str] = []
