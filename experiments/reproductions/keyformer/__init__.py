"""Keyformer: key tokens by Gumbel-softmax scores, half of the cache."""

from edgewright.experiments.reproductions.keyformer.system import SYSTEM

__all__ = ["SYSTEM"]
