"""BottleFit: a narrow bottleneck in a convolutional network, cut between a board and a server."""

from edgewright.experiments.reproductions.bottlefit.system import SYSTEM

__all__ = ["SYSTEM"]
