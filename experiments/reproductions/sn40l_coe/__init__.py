"""SambaNova SN40L: a composition of experts over three tiers of memory."""

from edgewright.experiments.reproductions.sn40l_coe.system import SYSTEM

__all__ = ["SYSTEM"]
