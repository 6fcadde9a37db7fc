"""ED-ViT: a vision transformer as narrow ones side by side on small boards."""

from edgewright.experiments.reproductions.ed_vit.system import SYSTEM

__all__ = ["SYSTEM"]
