"""EdgeMoE: experts on storage, predicted from those of the layers before and read ahead."""

from edgewright.experiments.reproductions.edgemoe.system import SYSTEM

__all__ = ["SYSTEM"]
