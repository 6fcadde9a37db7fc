"""InstInfer: decode attention inside the storage that holds the cache."""

from edgewright.experiments.reproductions.instinfer.system import SYSTEM

__all__ = ["SYSTEM"]
