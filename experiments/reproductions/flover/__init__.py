"""Flover: requests join a running batch between iterations, instead of an instance of the model each."""

from edgewright.experiments.reproductions.flover.system import SYSTEM

__all__ = ["SYSTEM"]
