"""How many boards fit under the budget of a PoE switch, or under the sun? Read `study.py`."""

from edgewright.experiments.studies.boards_under_budget.study import STUDY

__all__ = ["STUDY"]
