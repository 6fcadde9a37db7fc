"""Steps of passes over cached tokens while a prompt is computed: what `KvWork.prefilling` gives for roles that choose and move."""

from __future__ import annotations

from collections.abc import Sequence

from edgewright.workloads import Attended, Step

__all__ = ["looking", "moving"]


def moving(tokens: int, windows: Sequence[int]) -> Step:
    """Reads and writes so many cached tokens."""
    return looking(tokens, 0, windows)


def looking(tokens: int, queries: int, windows: Sequence[int]) -> Step:
    """So many of the prompt's last queries look at so many cached tokens, which are read once."""
    sums = {window: min(tokens, window) for window in windows}
    full = Attended(pairs=float(tokens * queries), reads=float(tokens))
    windowed = {window: Attended(pairs=float(seen * queries), reads=float(seen)) for window, seen in sums.items()}
    return Step(prefill=max(tokens, 1), full=full, windowed=windowed)
