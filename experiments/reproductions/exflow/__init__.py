"""ExFlow: tokens go on where their expert was, and experts that follow each other share a device."""

from edgewright.experiments.reproductions.exflow.system import SYSTEM

__all__ = ["SYSTEM"]
