"""TidalDecode: few layers choose the positions that the others attend to."""

from edgewright.experiments.reproductions.tidaldecode.system import SYSTEM

__all__ = ["SYSTEM"]
