"""T-MAC: weights of few bits multiplied by table look-ups on processors."""

from edgewright.experiments.reproductions.t_mac.system import SYSTEM

__all__ = ["SYSTEM"]
