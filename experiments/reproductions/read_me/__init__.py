"""Read-ME: one router before the model, so that batches, reads ahead and caches know what is wanted."""

from edgewright.experiments.reproductions.read_me.system import SYSTEM

__all__ = ["SYSTEM"]
