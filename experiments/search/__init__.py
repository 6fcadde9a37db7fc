"""Answers to *how much*, *which one* and *what trade-off*: `edgewright search FILE`, or `search(...)` in Python.

Read `question.py` (what can be asked), `trials.py` (how runs are made and remembered), then `capacity.py`, `best.py`, `front.py` (one for
each kind of question). Every answer says how sure it is: replicate r of every candidate has the seed `scenario.seed + r`, so that
differences between candidates are not differences of luck. May import every house.
"""

from edgewright.experiments.search.answers import Answer, Candidate
from edgewright.experiments.search.question import Limit, Prices, Question
from edgewright.experiments.search.running import search

__all__ = ["Answer", "Candidate", "Limit", "Prices", "Question", "search"]
