"""Following a selection along steps: what the policies' real algorithms share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.kernels.selection import greedy_masks

__all__ = ["each_layer", "greedily", "positions_before", "prompt_rows"]

Rows = NDArray[np.float64]
Masks = NDArray[np.bool_]


def prompt_rows(attention: Rows, prompt: int) -> int:
    """How many of the steps (the first ones) are of prompt tokens; at least one, else `ValueError`."""
    steps, context = int(attention.shape[-2]), int(attention.shape[-1])
    rows = prompt - (context - steps)
    if not 1 <= rows <= steps:
        raise ValueError(f"{steps} steps up to token {context} begin with no row of a prompt of {prompt} tokens; accepted is one at least")
    return rows


def positions_before(attention: Rows) -> Masks:
    """What each step could attend to: (steps, context), the step's own token included."""
    steps, context = attention.shape[-2:]
    seen: Masks = np.arange(context)[None, :] <= np.arange(context - steps, context)[:, None]
    return seen


def each_layer(attention: Rows, prompt: int, choose: Callable[[Rows, int], Masks]) -> Masks:
    """`(layers, steps, context)` from what `choose(rows, layer)` says of one layer's decode steps; prompt rows attend to all they see.

    `choose` gets the layer's rows from the first prompt row on, and gives the tokens that each step after the prompt attends to.
    """
    first = prompt_rows(attention, prompt)
    found = np.broadcast_to(positions_before(attention), attention.shape).copy()
    for layer, rows in enumerate(attention):
        found[layer, first:] &= choose(rows, layer)
    return found


def greedily(rows: Rows, prompt: int, kept: int, recent: int, score: Callable[[Any, Any, int], Any]) -> Masks:
    """Masks of the steps after the prompt where each step adds `score` and evicts (`kernels.selection.greedy_masks`).

    The prompt counts as one step, whose row is the sum of its rows that are there. A step attends to what the one before left, and to
    its own token.
    """
    first = prompt_rows(rows, prompt)
    joined = np.concatenate([rows[:first].sum(axis=0, keepdims=True), rows[first:]])
    masks = greedy_masks(joined, kept, recent, score)[:-1]
    masks[np.arange(len(masks)), prompt + np.arange(len(masks))] = True
    return masks
