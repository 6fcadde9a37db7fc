"""Which KV policy at which length of context, on a board with 8 GB? Read `study.py`."""

from edgewright.experiments.studies.kv_on_8gb.study import STUDY

__all__ = ["STUDY"]
