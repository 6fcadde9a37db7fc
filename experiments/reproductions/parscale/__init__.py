"""ParScale: parallel streams of one input instead of more parameters."""

from edgewright.experiments.reproductions.parscale.system import SYSTEM

__all__ = ["SYSTEM"]
