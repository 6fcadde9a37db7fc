"""GemFilter: an early layer picks the prompt's tokens on which the model then runs."""

from edgewright.experiments.reproductions.gemfilter.system import SYSTEM

__all__ = ["SYSTEM"]
