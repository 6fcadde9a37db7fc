"""How many experts must fit in RAM? Read `study.py`."""

from edgewright.experiments.studies.experts_in_ram.study import STUDY

__all__ = ["STUDY"]
