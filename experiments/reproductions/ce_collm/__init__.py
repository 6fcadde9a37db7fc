"""CE-CoLLM: early exits at the edge, a cloud for the tokens that no exit is sure of."""

from edgewright.experiments.reproductions.ce_collm.system import SYSTEM

__all__ = ["SYSTEM"]
