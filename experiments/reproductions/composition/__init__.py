"""Four published mechanisms at once, and what each of them does alone, and to the others.

`python -m edgewright.experiments.reproductions.composition` runs the ablation and renews the table and the picture of the README.
"""

from edgewright.experiments.reproductions.composition.mechanisms import MECHANISMS, ablation, points

__all__ = ["MECHANISMS", "ablation", "points"]
