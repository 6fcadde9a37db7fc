"""Scissorhands: a buffer of fixed size, compressed by the persistence of importance."""

from edgewright.experiments.reproductions.scissorhands.system import SYSTEM

__all__ = ["SYSTEM"]
