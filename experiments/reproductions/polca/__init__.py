"""POLCA: more servers under one row's power budget, held by two thresholds of clock locks."""

from edgewright.experiments.reproductions.polca.system import SYSTEM

__all__ = ["SYSTEM"]
