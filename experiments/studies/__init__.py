"""Five questions of someone with an edge cluster, answered with a table, a picture and its confidence.

`python -m edgewright.experiments.studies` runs them; with `--update` it renews what their pages show. Read `study.py` (a question and its
sweeps), `reading.py` (how answers are read off), then the folder of one study. May import every house.
"""

from edgewright.experiments.studies.study import Part, Source, Study, find, names

__all__ = ["Part", "Source", "Study", "find", "names"]
