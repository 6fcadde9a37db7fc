"""When is it worth asking the cloud? Read `study.py`."""

from edgewright.experiments.studies.ask_the_cloud.study import STUDY

__all__ = ["STUDY"]
