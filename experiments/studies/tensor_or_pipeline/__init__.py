"""Four boards hold one model: tensor parallel or pipeline? Read `study.py`."""

from edgewright.experiments.studies.tensor_or_pipeline.study import STUDY

__all__ = ["STUDY"]
